"""The rule for lists of dependencies: what either side added or removed holds, and of two versions the higher."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from scaffolder.update.models import Hunk, Suggestion
from scaffolder.update.suggest.versions import higher_line, skeleton

_ITEM = re.compile(r"""^(?P<indent>\s*)(?P<quote>["'])(?P<spec>[^"']+)(?P=quote),?(?P<comment>\s*#.*)?$""")
_ARRAY = re.compile(r"^(?P<key>[A-Za-z0-9_-]+)\s*=\s*\[.*\]\s*$")
_REASON = "These are lists of dependencies: what either side added or removed holds, and of two versions the higher."


@dataclass(frozen=True)
class _Item:
    """One dependency: what it says, and the line it is on without the comma."""

    spec: str
    line: str


def union(path: str, hunk: Hunk) -> Suggestion | None:
    """Merge lists of dependencies in ``pyproject.toml`` and requirements files by name."""
    name = path.rpartition("/")[2]
    if name == "pyproject.toml":
        merged = _toml_lines(hunk) or _toml_array(hunk)
    elif name.startswith("requirements") and name.endswith((".txt", ".in")):
        merged = _merge_text(*(_requirements(side) for side in (hunk.ours, hunk.base, hunk.theirs)), comma="")
    else:
        return None
    return None if merged is None else Suggestion("dependencies", _REASON, text=merged)


def _toml_lines(hunk: Hunk) -> str | None:
    return _merge_text(*(_items(side) for side in (hunk.ours, hunk.base, hunk.theirs)), comma=",")


def _toml_array(hunk: Hunk) -> str | None:
    """Merge arrays that are on one line, ``dependencies = ["a", "b"]``."""
    sides, keys = [], set()
    for side in (hunk.ours, hunk.base, hunk.theirs):
        match = _ARRAY.match(side.rstrip("\n"))
        values = _array(side, match["key"]) if match else None
        if match is None or values is None:
            return None
        keys.add(match["key"])
        sides.append(_by_name([_Item(value, value) for value in values]))
    if len(keys) != 1 or any(side is None for side in sides):
        return None
    ours, base, theirs = (side or {} for side in sides)
    merged = _merge(ours, base, theirs)
    if merged is None or any('"' in item.spec for item in merged):
        return None
    listed = ", ".join(f'"{item.spec}"' for item in merged)
    return f"{keys.pop()} = [{listed}]\n"


def _array(text: str, key: str) -> list[str] | None:
    try:
        values = tomllib.loads(text)[key]
    except (tomllib.TOMLDecodeError, KeyError):
        return None
    return values if isinstance(values, list) and all(isinstance(value, str) for value in values) else None


def _merge_text(
    ours: Mapping[str, _Item] | None,
    base: Mapping[str, _Item] | None,
    theirs: Mapping[str, _Item] | None,
    *,
    comma: str,
) -> str | None:
    if ours is None or base is None or theirs is None or not (ours or theirs):
        return None
    merged = _merge(ours, base, theirs)
    if merged is None:
        return None
    return "".join(f"{_with_comma(item.line, comma)}\n" for item in merged)


def _with_comma(line: str, comma: str) -> str:
    text, sign, comment = line.partition("#")
    return f"{text.rstrip()}{comma}{f'  {sign}{comment}' if sign else ''}"


def _merge(ours: Mapping[str, _Item], base: Mapping[str, _Item], theirs: Mapping[str, _Item]) -> list[_Item] | None:
    """Merge by name: the template's order first, then what the repository added."""
    merged = []
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        mine, was, other = ours.get(name), base.get(name), theirs.get(name)
        item = _pick(mine, was, other)
        if item == "unclear":
            return None
        if isinstance(item, _Item):
            merged.append(item)
    return merged


def _pick(mine: _Item | None, was: _Item | None, other: _Item | None) -> "_Item | str | None":
    specs = [item.spec if item is not None else None for item in (mine, was, other)]
    if specs[0] == specs[2] or specs[0] == specs[1]:
        return other
    if specs[2] == specs[1]:
        return mine
    if mine is None or other is None or skeleton(mine.spec) != skeleton(other.spec):
        return "unclear"
    chosen = higher_line(mine.spec, other.spec)
    return "unclear" if chosen is None else mine if chosen == mine.spec else other


def _items(text: str) -> dict[str, _Item] | None:
    items = []
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _ITEM.match(line)
        if match is None:
            return None
        quoted = f"{match['quote']}{match['spec']}{match['quote']}"
        items.append(_Item(match["spec"], f"{match['indent']}{quoted}{match['comment'] or ''}"))
    return _by_name(items)


def _requirements(text: str) -> dict[str, _Item] | None:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return _by_name([_Item(line.partition(" #")[0].strip(), line) for line in lines])


def _by_name(items: list[_Item]) -> dict[str, _Item] | None:
    """Index dependencies by name; None if one is none, or there twice (markers)."""
    found: dict[str, _Item] = {}
    for item in items:
        try:
            name = canonicalize_name(Requirement(item.spec).name)
        except InvalidRequirement:
            return None
        if name in found:
            return None
        found[name] = item
    return found
