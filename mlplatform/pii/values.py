"""The values of one column, deduplicated, whatever they came in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlplatform.pii.sources.nested import Several

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_TEXT = 32_768
"""Characters of one value that are looked at."""


_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,18})(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")


@dataclass
class Values:
    """Some rows of one column."""

    texts: dict[str, int] = field(default_factory=dict)
    """Distinct texts, each with the number of rows that have it."""
    numbers: list[float] = field(default_factory=list)
    are_integers: bool = False
    moments: int = 0
    """Rows that hold a date or a time as such."""
    cut: int = 0
    """Rows whose text is longer than is looked at."""

    @property
    def rows(self) -> int:
        """Rows that hold anything."""
        return sum(self.texts.values()) + len(self.numbers) + self.moments

    def add(self, value: object, count: int = 1) -> None:
        """Add one value of a column whose values are of any kind; numbers among texts say nothing and are left out."""
        if isinstance(value, bool | int | float):
            return
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if text.strip():
            self.cut += count if len(text) > MAX_TEXT else 0
            text = text[:MAX_TEXT]
            self.texts[text] = self.texts.get(text, 0) + count

    def merge(self, other: "Values") -> None:
        """Add other rows of the same column."""
        for text, count in other.texts.items():
            self.texts[text] = self.texts.get(text, 0) + count
        self.are_integers = other.are_integers and (self.are_integers or not self.numbers)
        self.numbers += other.numbers
        self.moments += other.moments
        self.cut += other.cut

    def settled(self) -> "Values":
        """Return texts that are all numbers as numbers: in a text file nothing tells them apart."""
        if not self.texts or self.numbers or not all(map(_NUMBER.fullmatch, self.texts)):
            return self
        are_integers = all(text.lstrip("-").isdigit() for text in self.texts)
        read = int if are_integers else float
        numbers = [read(text) for text, count in self.texts.items() for _ in range(count)]
        return Values(numbers=numbers, are_integers=are_integers, moments=self.moments)


def of_series(series: "pd.Series[Any]") -> Values:
    """Return the values of a column of a data frame."""
    import pandas as pd

    present = series.dropna()
    if pd.api.types.is_bool_dtype(present.dtype):
        return Values()
    if pd.api.types.is_datetime64_any_dtype(present.dtype):
        return Values(moments=len(present))
    if pd.api.types.is_numeric_dtype(present.dtype):
        return Values(numbers=present.tolist(), are_integers=pd.api.types.is_integer_dtype(present.dtype))
    return of_objects(present.tolist())


def of_objects(values: Iterable[object]) -> Values:
    """Return Python objects as values: whole numbers and decimals as numbers when there is nothing else."""
    from datetime import date

    found = Values()
    numbers: list[float] = []
    others = False
    for value in _each(values):
        if isinstance(value, bool):
            others = True
        elif isinstance(value, int | float):
            numbers.append(value)
        elif isinstance(value, date):
            found.moments += 1
        else:
            others = True
            found.add(value)
    if not others:
        found.numbers = numbers
        found.are_integers = bool(numbers) and all(isinstance(number, int) for number in numbers)
    return found


def _each(values: Iterable[object]) -> Iterable[object]:
    for value in values:
        if isinstance(value, Several):
            yield from (one for one in value if one is not None)
        elif value is not None:
            yield value


def of_arrow(array: "pa.Array | pa.ChunkedArray") -> Values:
    """Return the values of an Arrow column; those that are encoded as a dictionary stay so until they are counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return Values()
    if pa.types.is_temporal(kind):
        return Values(moments=len(array) - array.null_count)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return Values(numbers=array.drop_null().to_pylist(), are_integers=pa.types.is_integer(kind))
    if pa.types.is_decimal(kind):
        return Values(numbers=[float(value) for value in array.drop_null().to_pylist()])
    found = Values()
    if _is_text(kind):
        counted = pc.value_counts(array.drop_null())
        values = counted.field("values")
        if pa.types.is_dictionary(array.type):
            values = values.dictionary_decode()
        for value, count in zip(values, counted.field("counts").to_pylist(), strict=True):
            content = value.as_buffer()
            found.add(content.slice(0, min(content.size, 4 * MAX_TEXT + 4)).to_pybytes(), count)
        return found
    return of_objects(array.to_pylist())


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(kind) for is_kind in kinds)
