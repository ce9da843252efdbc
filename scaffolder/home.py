"""Where released templates, built toolkits and embedded repositories lie: the platform's home folder."""

import os
from pathlib import Path

HOME_VARIABLE = "ML_PLATFORM_HOME"
HOME_FOLDER = ".mlplatform"


def platform_home(home: Path | None = None) -> Path:
    """Return ``home``, or ``ML_PLATFORM_HOME``, or the ``.mlplatform`` folder here or above, or the user's cache folder.

    The cache folder will do for rendering, since a release can be made again at any time from the same content.
    """
    if home is not None:
        return home.absolute()
    if configured := os.environ.get(HOME_VARIABLE):
        return Path(configured).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / HOME_FOLDER).is_dir():
            return folder / HOME_FOLDER
    from platformdirs import user_cache_path

    return user_cache_path("mlplatform", appauthor=False)
