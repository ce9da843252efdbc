"""What was asked and answered in a window, as columns in the form of the training reference.

Everything here was sent by somebody: what does not fit is counted as missing or left out, and nothing of it raises.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from backend.privacy.samples import Sample
from mlplatform.reference.build import ERROR, error_of, slices
from mlplatform.reference.profile import ALL, Side
from mlplatform.reference.values import in_slice, slice_name
from mlplatform.spec.model import Column, ModelSpec

Row = Mapping[tuple[Side, str], Any]
MOST_OF_A_REQUEST = 20
"""Rows of one request that count: rows that are sent together are often alike, and tests take them for independent."""


@dataclass
class PartWindow:
    """Rows of a part, by column; ``labelled`` of them have their truth."""

    name: str
    rows: int = 0
    columns: dict[tuple[Side, str], list[Any]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a row."""
        self.rows += 1
        for key, value in row.items():
            self.columns.setdefault(key, []).append(value)


def parts_of(spec: ModelSpec, rows: Iterable[Row]) -> list[PartWindow]:
    """Return all rows, and the rows of each slice."""
    everything = PartWindow(ALL)
    own = [(one, PartWindow(slice_name(one))) for one in slices(spec)]
    for row in rows:
        everything.add(row)
        for one, part in own:
            if in_slice(row.get(("input", one.column)), one):
                part.add(row)
    return [everything, *(part for _, part in own)]


def drawn(rows: Iterable[Row], most: int, draw: random.Random) -> tuple[list[Row], int]:
    """Return rows, of more than ``most`` so many, each as likely as any other; and how many there were."""
    kept: list[Row] = []
    count = 0
    for count, row in enumerate(rows, start=1):
        if count <= most:
            kept.append(row)
        elif (place := draw.randrange(count)) < most:
            kept[place] = row
    return kept, count


def asked(spec: ModelSpec, sample: Sample) -> Iterator[dict[tuple[Side, str], Any]]:
    """Yield some rows of a sampled prediction: its inputs, and what was answered."""
    inputs, outputs = spec.schema_.inputs, spec.schema_.outputs
    given, said = _inputs(sample.request, inputs), _outputs(sample.answer, outputs)
    count = max(map(len, given.values()), default=0)
    # A model that answers has been asked for as many rows; longer lists are cut in the sample.
    count = min([count, *map(len, said.values())]) if said else count
    for place in _spread(count, MOST_OF_A_REQUEST):
        row: dict[tuple[Side, str], Any] = {}
        for column in inputs:
            # A column that nobody sent is one without values, which is something to be found.
            row["input", column.name] = _at(given.get(column.name, ()), place)
        for column in outputs:
            row["output", column.name] = _at(said.get(column.name, ()), place)
        yield row


def told(spec: ModelSpec, sample: Sample, truth: Sequence[Any]) -> Iterator[dict[tuple[Side, str], Any]]:
    """Yield the rows of a sampled prediction whose truth is known, with how far the answer was from it."""
    inputs, first = spec.schema_.inputs, spec.schema_.outputs[0]
    given, said = _inputs(sample.request, inputs), _outputs(sample.answer, [first])
    answers = said.get(first.name, ())
    for place in _spread(min(len(answers), len(truth)), MOST_OF_A_REQUEST):
        error = error_of(spec, answers[place], truth[place])
        if error is not None:
            row: dict[tuple[Side, str], Any] = {("error", ERROR): error}
            for column in inputs:
                row["input", column.name] = _at(given.get(column.name, ()), place)
            yield row


def _spread(count: int, most: int) -> list[int]:
    return list(range(count)) if count <= most else [int(index * count / most) for index in range(most)]


def _at(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _inputs(request: Any, columns: Sequence[Column]) -> dict[str, Sequence[Any]]:
    """Return a request's columns, of whichever protocol it is."""
    if not isinstance(request, dict):
        return {}
    if isinstance(rows := request.get("instances"), list):
        return _by_row(rows, columns)
    inputs = request.get("inputs")
    if isinstance(inputs, dict):
        return {str(name): values for name, values in inputs.items() if isinstance(values, list)}
    if not isinstance(inputs, list):
        return {}
    tensors = [one for one in inputs if isinstance(one, dict) and isinstance(one.get("data"), list)]
    if not tensors:
        return _by_row(inputs, columns)
    names = {column.name for column in columns}
    if len(tensors) == 1 and (len(columns) > 1 or tensors[0].get("name") not in names):
        shape = tensors[0].get("shape")
        if tensors[0].get("name") not in names or (isinstance(shape, list) and shape[1:2] == [len(columns)]):
            flat, width = _flat(tensors[0]["data"]), len(columns)
            whole = len(flat) // width * width
            return {column.name: flat[place:whole:width] for place, column in enumerate(columns)}
    return {str(one.get("name")): _flat(one["data"]) for one in tensors}


def _outputs(answer: Any, columns: Sequence[Column]) -> dict[str, Sequence[Any]]:
    if not isinstance(answer, dict):
        return {}
    if isinstance(rows := answer.get("predictions"), list):
        return _by_row(rows, columns) if rows and isinstance(rows[0], dict) else {columns[0].name: rows}
    outputs = answer.get("outputs")
    if isinstance(outputs, dict):
        return {str(name): values for name, values in outputs.items() if isinstance(values, list)}
    if not isinstance(outputs, list):
        return {}
    tensors = [one for one in outputs if isinstance(one, dict) and isinstance(one.get("data"), list)]
    return {str(one.get("name")): _flat(one["data"]) for one in tensors} if tensors else {columns[0].name: outputs}


def _by_row(rows: Sequence[Any], columns: Sequence[Column]) -> dict[str, Sequence[Any]]:
    found: dict[str, list[Any]] = {column.name: [] for column in columns}
    for row in rows:
        for place, column in enumerate(columns):
            if isinstance(row, dict):
                found[column.name].append(row.get(column.name))
            elif isinstance(row, list):
                found[column.name].append(_at(row, place))
            else:
                found[column.name].append(row if place == 0 else None)
    return dict(found)


def _flat(data: list[Any]) -> list[Any]:
    while data and isinstance(data[0], list):
        data = list(chain.from_iterable(one if isinstance(one, list) else [one] for one in data))
    return data
