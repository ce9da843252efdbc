"""The rule for pinned versions: the higher one wins."""

import re

from packaging.version import InvalidVersion, Version

from scaffolder.update.models import Hunk, Suggestion

_COMMIT = re.compile(r"(?<=@)[0-9a-f]{40}\b|\bsha256:[0-9a-f]{64}\b")
_END = r"(?:[._-]?(?:a|b|rc|post|dev)\.?\d+)?(?![\w.])"
# A number is a version where it follows a comparison, an @ or the colon of an image, or has a v before it.
_PINNED = rf"(?:(?<=[=<>~]=)|(?<=[<>^~@]))v?\d+(?:\.\d+)*{_END}|(?<=\w:)v?\d+(?:\.\d+)+{_END}|\bv\d+(?:\.\d+)*{_END}"
_VERSION = re.compile(_PINNED)
# Behind a key that says so, any dotted number is one.
_KEYED = re.compile(rf"{_PINNED}|(?<![\w.-])\d+(?:\.\d+)+{_END}")
_KEY = re.compile(r"""^\s*(?:-\s+)?["']?[\w.-]*(?:version|rev|tag)["']?\s*(?:[:?]?=|:)""", re.IGNORECASE)
_CODE = (".py", ".js", ".ts", ".tsx", ".go", ".rs", ".java", ".md")


def higher(path: str, hunk: Hunk) -> Suggestion | None:
    """The sides differ only in version numbers: line by line, the higher is taken. Numbers in code are something else."""
    if path.endswith(_CODE):
        return None
    sides = [side.splitlines(keepends=True) for side in (hunk.ours, hunk.base, hunk.theirs)]
    if not sides[0] or len({len(side) for side in sides}) != 1:
        return None
    chosen, taken = [], []
    for ours, base, theirs in zip(*sides, strict=True):
        line = _pick(ours, base, theirs)
        if line is None:
            return None
        chosen.append(line)
        if ours != theirs and base not in (ours, theirs):
            taken.append(line.strip())
    if not taken:
        return None
    listed = ", ".join(f"`{line}`" for line in taken[:3])
    return Suggestion(
        "higher-version",
        f"The sides differ only in version numbers; the higher is taken: {listed}.",
        text="".join(chosen),
    )


def _pick(ours: str, base: str, theirs: str) -> str | None:
    """Merge one line: the side that changed it, or of two the one with the higher versions."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if len({skeleton(side) for side in (ours, base, theirs)}) != 1:
        return None
    return higher_line(ours, theirs)


def higher_line(ours: str, theirs: str) -> str | None:
    """Return the line whose every version is at least the other's; None if neither is, or they can't be compared."""
    if "!=" in ours or "!=" in theirs:
        return None
    mine, other = versions_in(ours), versions_in(theirs)
    if mine is None or other is None or len(mine) != len(other) or not mine or mine == other:
        return None
    if all(a >= b for a, b in zip(mine, other, strict=True)):
        return ours
    if all(a <= b for a, b in zip(mine, other, strict=True)):
        return theirs
    return None


def skeleton(line: str) -> str:
    """Return a line with placeholders for its versions and digests, to see whether two differ in anything else."""
    return _pattern(line).sub("<version>", _COMMIT.sub("<commit>", line)).strip()


def versions_in(line: str) -> list[Version] | None:
    """Return the versions in a line, in order; None if one of them isn't by PEP 440."""
    try:
        return [Version(match.group()) for match in _pattern(line).finditer(_COMMIT.sub("<commit>", line))]
    except InvalidVersion:
        return None


def _pattern(line: str) -> re.Pattern[str]:
    return _KEYED if _KEY.match(line) else _VERSION
