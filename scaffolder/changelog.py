"""A template's changelog: what each version changes for a model repository, in the manner of Keep a Changelog.

``CHANGELOG.md`` beside the template's ``copier.yml`` has a section ``## [1.2.0] - 2026-03-01`` for each version, newest first,
and may have one ``## [Unreleased]``.
"""

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

FILE = "CHANGELOG.md"
UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## +\[?(?P<name>[^\]\s]+)\]?(?:\s+-\s+(?P<date>\d{4}-\d{2}-\d{2}))?\s*$")
_FENCE = re.compile(r"^\s*(```+|~~~+)")


@dataclass(frozen=True)
class Section:
    """What one version changes."""

    version: str
    date: str | None
    text: str


def parse(text: str) -> list[Section]:
    """Return the sections in the order of the file; what stands before the first one is not part of any.

    Raises:
        ValueError: a heading names no version, or one stands twice.
    """
    sections: list[Section] = []
    for number, heading, body in split(text, _HEADING):
        name = _canonical(heading["name"], number)
        if any(section.version == name for section in sections):
            raise ValueError(f"{FILE}:{number}: {name} has a section already")
        sections.append(Section(name, heading["date"], body))
    return sections


def split(text: str, heading: re.Pattern[str]) -> list[tuple[int, re.Match[str], str]]:
    """Cut a text at its headings: the line's number from 1, how it matched, and what stands below it.

    What looks like a heading in fenced code is none; what stands before the first heading is left out.
    """
    found: list[tuple[int, re.Match[str], list[str]]] = []
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if (mark := _FENCE.match(line)) is not None:
            fence = mark[1][:3] if fence is None else (None if mark[1].startswith(fence) else fence)
        matched = heading.match(line) if fence is None else None
        if matched is not None:
            found.append((number, matched, []))
        elif found:
            found[-1][2].append(line)
    return [(number, matched, "\n".join(lines).strip()) for number, matched, lines in found]


def between(sections: list[Section], older: str, newer: str) -> list[Section]:
    """Return the sections of versions after ``older`` up to and with ``newer``, newest first.

    The unreleased section counts for a post-release, which is what a change without a new version becomes.

    Raises:
        ValueError: what is given is no version.
    """
    low, high = as_version(older), as_version(newer)
    found = [one for one in sections if one.version != UNRELEASED and low < Version(one.version) <= high]
    found.sort(key=lambda one: Version(one.version), reverse=True)
    unreleased = [one for one in sections if one.version == UNRELEASED and one.text]
    return [*unreleased, *found] if high.is_postrelease and low < high else found


def section_of(sections: list[Section], version: str) -> Section | None:
    """Return the section of a version, if it says anything."""
    return next((one for one in sections if one.version == version and one.text), None)


def with_section(text: str, version: str, date: str, notes: str) -> str:
    """Return the changelog with a section for a version above all other versions."""
    lines = text.splitlines()
    place = next(
        (
            index
            for index, line in enumerate(lines)
            if (found := _HEADING.match(line)) is not None and found["name"] != UNRELEASED
        ),
        len(lines),
    )
    section = [f"## [{version}] - {date}", "", notes.strip(), ""]
    if place == len(lines) and lines and lines[-1].strip():
        section.insert(0, "")
    return "\n".join([*lines[:place], *section, *lines[place:]]).rstrip() + "\n"


def as_version(text: str) -> Version:
    """Return a version or tag as something that can be compared.

    Raises:
        ValueError: it is none.
    """
    try:
        return Version(text.removeprefix("v"))
    except InvalidVersion:
        raise ValueError(f"{text[:60]!r} is no version") from None


def _canonical(name: str, number: int) -> str:
    if name.lower() == UNRELEASED.lower():
        return UNRELEASED
    try:
        return str(as_version(name))
    except ValueError as fault:
        raise ValueError(f"{FILE}:{number}: {fault}") from None
