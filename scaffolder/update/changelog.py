"""Read a template's changelog: which sections an update crosses.

The format is Keep a Changelog's (https://keepachangelog.com/en/1.1.0/): a heading of the second level for each version,
``## [1.2.0] - 2026-03-01`` or plainly ``## v1.2.0``.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder.update.models import Section

if TYPE_CHECKING:
    from packaging.version import Version

NAME = "CHANGELOG.md"
_LARGEST = 1024 * 1024
_HEADING = re.compile(r"^##\s+\[?(?P<version>[^\s\]]+)\]?")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")


def crossed(folder: Path, old: str | None, new: str | None) -> tuple[Section, ...]:
    """Return the sections for the versions after ``old`` up to ``new``, in the changelog's order.

    A template without a changelog, or with headings that aren't versions, has none for them.
    """
    from packaging.version import Version

    path = folder / NAME
    if old is None or new is None or not path.is_file() or path.stat().st_size > _LARGEST:
        return ()
    sections = parse(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(
        Section(version, text)
        for version, text in sections
        if (parsed := _version(version)) is not None and Version(old) < parsed <= Version(new)
    )


def parse(text: str) -> list[tuple[str, str]]:
    """Split a changelog into (version, text) by its headings of the second level; what is above the first is left out."""
    sections: list[tuple[str, list[str]]] = []
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match:
            sections.append((match["version"], []))
        elif sections:
            sections[-1][1].append(line)
    return [(version, "\n".join(lines).strip()) for version, lines in sections]


def _version(text: str) -> "Version | None":
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return None
