"""Programs that came with this environment as Python distributions."""

import shutil
import sysconfig
from pathlib import Path


def binary(name: str, distribution: str) -> Path:
    """Return the program that came with this environment, else the one on PATH.

    Raises:
        FileNotFoundError: there is none.
    """
    own = Path(sysconfig.get_path("scripts")) / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no {name} in this environment; install the distribution {distribution}")
    return Path(found)
