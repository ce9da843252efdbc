"""Rows of a request, held against the model's schema; both protocols are turned into this one form."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from operator import itemgetter
from typing import Any

from mlplatform.serving.columns import CheckedColumn, Rejected
from mlplatform.serving.problems import InvalidInput, MalformedRequest, ModelOutputInvalid, PayloadTooLarge
from mlplatform.spec.model import Column
from mlplatform.telemetry.context import TraceContext

MAX_ROWS = 10_000
"""Most rows in one request."""
_MAX_ERRORS = 10


@dataclass(slots=True)
class Rows:
    """Checked rows: ``count`` rows in one list, row after row, in the order of the model's columns.

    ``absent`` names optional columns that were left out and whose type has no missing value.
    """

    values: list[Any]
    count: int
    absent: frozenset[str] = frozenset()
    trace: TraceContext | None = None
    """The trace of the request that they came with."""


class InputSchema:
    """The model's input columns, in the order of its signature."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(CheckedColumn.of(column) for column in columns)
        self.declared = tuple(columns)
        self.names = tuple(column.name for column in self.columns)
        self.width = len(self.columns)
        self.tabular = all(column.numeric or column.dtype == "bool" for column in self.columns)
        """Whether a row can be given as a plain row of numbers in one tensor."""
        self._index = {name: number for number, name in enumerate(self.names)}
        self._keys = frozenset(self.names)
        self._pick = itemgetter(*self.names) if self.width > 1 else lambda row: (row[self.names[0]],)
        self._quick = all(column.numeric and column.enum is None for column in self.columns)
        self._cells = tuple((column.allowed, column.low, column.high) for column in self.columns)

    def reordered(self, names: Sequence[str]) -> "InputSchema":
        """Return the same columns in another order."""
        return InputSchema([self.declared[self._index[name]] for name in names])

    def from_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        """Take rows given as objects with a member for each column."""
        _check_count(len(records))
        try:
            values = list(chain.from_iterable(map(self._pick, records)))
            if all(len(record) == self.width for record in records):
                return self._checked(values, len(records))
        except (KeyError, TypeError):
            pass
        return self._from_odd_records(records)

    def _from_odd_records(self, records: Sequence[Any]) -> Rows:
        first = records[0]
        if not isinstance(first, Mapping):
            raise MalformedRequest(
                "Each instance must be an object with the model's columns, or a list of values in their order."
            )
        for number, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise MalformedRequest(f"Instance {number} is not an object as the first one is.")
            self._check_names(record, row=number)
        absent = set()
        for column in self.columns:
            if column.required or column.nullable_in_numpy:
                continue
            given = sum(record.get(column.name) is not None for record in records)
            if given == 0:
                absent.add(column.name)
            elif given < len(records):
                detail = f"is given in some rows only, and {column.type.value} has no missing value"
                raise _invalid([{"column": column.name, "detail": detail}])
        values = [record.get(name) for record in records for name in self.names]
        return self._checked(values, len(records), frozenset(absent))

    def from_lists(self, lists: Sequence[Sequence[Any]]) -> Rows:
        """Take rows given as lists of values in the order of the columns."""
        _check_count(len(lists))
        for number, row in enumerate(lists):
            if not isinstance(row, list) or len(row) != self.width:
                what = f"has {len(row)} values" if isinstance(row, list) else "is not a list"
                raise InvalidInput(
                    f"Row {number} {what}; the model takes {self.width} columns: {', '.join(self.names)}."
                )
        return self._checked(list(chain.from_iterable(lists)), len(lists))

    def from_flat(self, values: list[Any], count: int) -> Rows:
        """Take rows that already lie one after the other in one list."""
        _check_count(count)
        return self._checked(values, count)

    def from_columns(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """Take one list of values for each column."""
        if len(columns) != self.width or not self._keys.issuperset(columns):
            self._check_names(columns)
        if not columns:
            raise InvalidInput("The request has no columns.")
        counts = {len(values) for values in columns.values()}
        if len(counts) > 1:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise InvalidInput(f"All columns must have the same number of rows; they have: {lengths}.")
        count = counts.pop()
        _check_count(count)
        missing = self._keys.difference(columns)
        absent = frozenset(name for name in missing if not self._column(name).nullable_in_numpy)
        whole = [columns[name] if name in columns else [None] * count for name in self.names]
        return self._checked(list(chain.from_iterable(zip(*whole, strict=True))), count, absent)

    def _column(self, name: str) -> CheckedColumn:
        return self.columns[self._index[name]]

    def _check_names(self, given: Collection[str], row: int | None = None) -> None:
        errors: list[dict[str, Any]] = []
        where = {} if row is None else {"row": row}
        for column in self.columns:
            if column.required and column.name not in given:
                errors.append({**where, "column": column.name, "detail": "is missing"})
        for name in given:
            if name not in self._keys:
                close = get_close_matches(name, self.names, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                errors.append({**where, "column": name[:200], "detail": f"is not a column of the model{hint}"})
        if errors:
            raise _invalid(errors)

    def _checked(self, values: list[Any], count: int, absent: frozenset[str] = frozenset()) -> Rows:
        if not absent:
            if count == 1 and self._quick:
                # Spelt out because it runs for each request; a comparison with NaN is false, so NaN does not pass.
                for value, (allowed, low, high) in zip(values, self._cells, strict=True):
                    if type(value) not in allowed or not low <= value <= high:
                        break
                else:
                    return Rows(values, count)
            elif all(column.accepts(values[number :: self.width]) for number, column in enumerate(self.columns)):
                return Rows(values, count)
        return Rows(self._coerced(values, count, absent), count, absent)

    def _coerced(self, values: list[Any], count: int, absent: frozenset[str]) -> list[Any]:
        result = list(values)
        errors: list[dict[str, Any]] = []
        for position, value in enumerate(values):
            column = self.columns[position % self.width]
            if column.name in absent:
                continue
            try:
                result[position] = column.coerce(value)
            except Rejected as rejected:
                errors.append({"row": position // self.width, "column": column.name, "detail": str(rejected)})
                if len(errors) == _MAX_ERRORS:
                    break
        if errors:
            raise _invalid(errors)
        return result


class OutputSchema:
    """The model's output columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(CheckedColumn.of(column) for column in columns)
        self.declared = tuple(columns)
        self.names = tuple(column.name for column in self.columns)

    def accepts(self, answer: Sequence[Sequence[Any]]) -> bool:
        """Say whether the columns of an answer are fine as they are."""
        return all(column.accepts(values) for column, values in zip(self.columns, answer, strict=True))

    def coerced(self, answer: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """Return the answer's columns as the schema has them.

        Raises:
            ModelOutputInvalid: a value is outside of the schema.
        """
        result = []
        for column, values in zip(self.columns, answer, strict=True):
            try:
                result.append([column.coerce(value) for value in values])
            except Rejected as rejected:
                raise ModelOutputInvalid(f"The model's output {column.name} {rejected}.", output=column.name) from None
        return result


def _check_count(count: int) -> None:
    if count == 0:
        raise InvalidInput("The request has no rows.")
    if count > MAX_ROWS:
        raise PayloadTooLarge(
            f"The request has {count} rows; at most {MAX_ROWS} are accepted in one.", maxRows=MAX_ROWS
        )


def _invalid(errors: list[dict[str, Any]]) -> InvalidInput:
    first = errors[0]
    row = f" in row {first['row']}" if "row" in first else ""
    more = f" ({len(errors)} faults in all)" if len(errors) > 1 else ""
    return InvalidInput(f"Column {first['column']}{row} {first['detail']}{more}.", errors=errors)
