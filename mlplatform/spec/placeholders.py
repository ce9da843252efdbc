"""Values that a person still has to fill in.

Whatever writes a ``model.yaml`` for somebody (``platform adopt``) marks what it could not find out, in the place of the value:
``target: "<fill in: the column that holds the truth>"``. No command takes such a file for complete.
"""

from collections.abc import Iterator
from typing import Any

from mlplatform.spec.faults import Fault
from mlplatform.spec.reader import Document, Path_, dotted

_START, _END = "<fill in: ", ">"


def placeholder(what: str) -> str:
    """Return the mark that stands for a value; ``what`` says which value belongs there."""
    return f"{_START}{what}{_END}"


def unfilled(document: Document) -> dict[Path_, Fault]:
    """Return a fault for each mark in the document, by its place."""
    found = {}
    for path, what in _marks(document.data, ()):
        fix = "write the real value in its place"
        found[path] = Fault(*document.place(path), dotted(path), f"is not filled in yet: {what}", fix)
    return found


def _marks(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _marks(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _marks(inner, (*path, index))
    elif isinstance(value, str) and value.startswith(_START.rstrip()):
        yield path, value.removeprefix(_START.rstrip()).strip().removesuffix(_END)
