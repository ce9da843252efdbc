"""Read a template's changelog: which sections an update crosses.

The format is Keep a Changelog's (https://keepachangelog.com/en/1.1.0/): a heading of the second level for each version,
``## [1.2.0] - 2026-03-01`` or plainly ``## v1.2.0``.
"""

import re
from pathlib import Path

from packaging.version import InvalidVersion, Version

from scaffolder.changelog import FILE, split
from scaffolder.update.models import Section

_LARGEST = 1024 * 1024
_HEADING = re.compile(r"^##\s+\[?(?P<version>[^\s\]]+)\]?")


def crossed(folder: Path, old: str | None, new: str | None) -> tuple[Section, ...]:
    """Return the sections for the versions after ``old`` up to ``new``, in the changelog's order.

    A template without a changelog, or with headings that aren't versions, has none for them.
    """
    path = folder / FILE
    if old is None or new is None or not path.is_file() or path.stat().st_size > _LARGEST:
        return ()
    return tuple(
        Section(heading["version"], text)
        for _, heading, text in split(path.read_text(encoding="utf-8", errors="replace"), _HEADING)
        if (parsed := _version(heading["version"])) is not None and Version(old) < parsed <= Version(new)
    )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
