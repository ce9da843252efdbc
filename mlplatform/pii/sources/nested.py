"""Nested values spread over columns: ``{"user": {"mails": ["a"]}}`` has the column ``user.mails[]``."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlplatform.pii.sources.base import Limits, Notes

_FURTHER = "…"


class Repeated(list[Any]):
    """The values of a name that an object has more than once, which most readers lose."""


def parsed(text: str | bytes) -> Any:
    """Read JSON and keep all values of names that are there more than once.

    Raises:
        ValueError: it is no JSON, or nested deeper than the interpreter goes.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name not in made:
            made[name] = value
        elif isinstance(made[name], Repeated):
            made[name].append(value)
        else:
            made[name] = Repeated([made[name], value])
    return made


def spread(rows: Sequence[Any], limits: Limits, notes: Notes) -> dict[str, list[object]]:
    """Return the columns of nested rows. All have one entry a row; more values in one row are added as further entries.

    A path that comes after the limit of columns is added to a last one named ``…``, so that it is looked at all the same.
    """
    columns: dict[str, list[list[object]]] = {}
    for number, row in enumerate(rows):
        for path, value in _leaves(row, limits, notes):
            if path not in columns and len(columns) >= limits.paths:
                notes.add(f"more than {limits.paths} columns: the rest was looked at as one, {_FURTHER}")
                path = _FURTHER
            if path not in columns:
                columns[path] = [[] for _ in rows]
            columns[path][number].append(value)
    return {path: [_one(values) for values in entries] for path, entries in columns.items()}


class Several(tuple[object, ...]):
    """The values that one row has in one column."""


def _one(values: list[object]) -> object:
    if len(values) == 1:
        return values[0]
    return Several(values) if values else None


def _leaves(row: Any, limits: Limits, notes: Notes) -> Iterable[tuple[str, object]]:
    todo: list[tuple[str, Any, int]] = [("", row, 0)]
    while todo:
        path, value, depth = todo.pop()
        if isinstance(value, str) and depth < limits.nesting and value[:1] in "{[" and value[-1:] in "}]":
            value = _inner(value)
        if isinstance(value, Mapping) and depth < limits.nesting:
            named = [(f"{path}.{name}" if path else str(name), item, depth + 1) for name, item in value.items()]
            todo += reversed(named)
        elif isinstance(value, Repeated) and depth < limits.nesting:
            todo += [(path, item, depth + 1) for item in value]
        elif isinstance(value, list | tuple | set) and depth < limits.nesting:
            todo += [(f"{path}[]", item, depth + 1) for item in value]
        else:
            if isinstance(value, Mapping | list | tuple):
                notes.add(f"deeper than {limits.nesting} levels: read as text")
                value = json.dumps(value, default=str, ensure_ascii=False)
            yield path or "value", value


def _inner(text: str) -> Any:
    """Return JSON that is kept as text in a cell, or the text."""
    try:
        return parsed(text)
    except ValueError:
        return text
