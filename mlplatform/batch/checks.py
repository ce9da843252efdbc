"""Columns of a Parquet chunk held against ``model.yaml``: the rules of :class:`mlplatform.serving.columns.CheckedColumn`, for
whole columns at a time.

The same value is taken or rejected here as it is in a request to a model server, and in the same words; a property test
holds the two together. What Parquet has and JSON has not (decimals, dates, dictionaries) is taken where its meaning is plain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from mlplatform.serving.columns import CheckedColumn, Rejected
from mlplatform.spec.model import ColumnType

MISSING = "is missing (null)"
_DTYPES: dict[ColumnType, pl.DataType] = {
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.INTEGER: pl.Int32(),
    ColumnType.LONG: pl.Int64(),
    ColumnType.FLOAT: pl.Float32(),
    ColumnType.DOUBLE: pl.Float64(),
    ColumnType.STRING: pl.String(),
    ColumnType.BINARY: pl.Binary(),
    ColumnType.DATETIME: pl.Datetime("us"),
}
_INT64 = (-(2**63), 2**63 - 1)
_WIDEST = 2**100


@dataclass(frozen=True)
class Fault:
    """Rows of a column that break one rule; ``mask`` is true at them."""

    column: str
    rule: str
    mask: pl.Series


@dataclass(frozen=True)
class CheckedValues:
    """A column as the model takes it, and what is wrong with it. At faulty rows the values mean nothing."""

    values: pl.Series
    faults: tuple[Fault, ...] = ()


def dtype_of(kind: ColumnType) -> pl.DataType:
    """Return the Polars type that columns of a type are held and written in."""
    return _DTYPES[kind]


def type_fault(column: CheckedColumn, dtype: pl.DataType) -> str | None:
    """Return why no value of a Parquet column can be what ``model.yaml`` declares, or ``None`` if some can."""
    match column.type:
        case ColumnType.BOOLEAN:
            fits = dtype == pl.Boolean or dtype.is_integer()
        case ColumnType.STRING:
            fits = dtype in (pl.String, pl.Categorical, pl.Enum)
        case ColumnType.BINARY:
            fits = dtype in (pl.Binary, pl.String)
        case ColumnType.DATETIME:
            fits = dtype in (pl.Datetime, pl.Date, pl.String)
        case _:
            fits = dtype.is_numeric()
    if fits or dtype == pl.Null:
        return None
    return f"column {column.name} is {dtype} in the input, model.yaml declares it as {column.type.value}"


def missing_columns(wanted: Sequence[CheckedColumn], keys: Sequence[str], present: Sequence[str]) -> str | None:
    """Return which columns a file lacks that a run can't do without, or ``None``."""
    needed = [*keys, *(column.name for column in wanted if column.required)]
    lacking = [name for name in dict.fromkeys(needed) if name not in present]
    if not lacking:
        return None
    close = get_close_matches(lacking[0], present, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; it has {', '.join(present[:20])}"
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return f"the input has no column {lacking[0]}{more}{hint}"


def check(column: CheckedColumn, series: pl.Series) -> CheckedValues:
    """Hold the values of a column against its declaration."""
    if series.dtype == pl.Null:
        series = series.cast(dtype_of(column.type))
    faults: list[Fault] = []
    if column.required and series.null_count():
        faults.append(Fault(column.name, MISSING, series.is_null()))
    if _goes_by_value(column, series):
        return _checked_one_by_one(column, series, faults)
    if column.numeric:
        values, found = _numbers(column, series)
    elif column.type is ColumnType.BOOLEAN:
        values, found = _booleans(column, series)
    elif column.type is ColumnType.DATETIME:
        values, found = _moments(series), []
    else:
        values, found = series, []
    if column.enum is not None:
        found = [*found, *_outside_enum(column, values, found)]
    # Rounded to its own type only now: the rules are about the value that was given.
    kept = values if column.type is ColumnType.DATETIME else values.cast(dtype_of(column.type), strict=False)
    return CheckedValues(kept, (*faults, *found))


def _goes_by_value(column: CheckedColumn, series: pl.Series) -> bool:
    """Say whether values must be looked at one by one: rare types, whose rules are those of Python's own parsers."""
    if column.type in (ColumnType.BINARY, ColumnType.DATETIME):
        return column.enum is not None or series.dtype == pl.String
    return False


def _checked_one_by_one(column: CheckedColumn, series: pl.Series, faults: list[Fault]) -> CheckedValues:
    values: list[Any] = []
    wrong: dict[str, list[bool]] = {}
    listed = series.to_list()
    for place, value in enumerate(listed):
        coerced = None
        if value is not None:
            try:
                coerced = column.coerce(value)
            except Rejected as rejected:
                wrong.setdefault(str(rejected), [False] * len(listed))[place] = True
        values.append(coerced)
    found = [Fault(column.name, rule, pl.Series(mask)) for rule, mask in wrong.items()]
    return CheckedValues(pl.Series(series.name, values, dtype_of(column.type)), (*faults, *found))


def _numbers(column: CheckedColumn, series: pl.Series) -> tuple[pl.Series, list[Fault]]:
    if series.dtype.is_integer():
        return series, _within(column, series, math.ceil(column.low), math.floor(column.high))
    values = series.cast(pl.Float64)
    sound = values.is_finite()
    if column.integral:
        sound &= values == values.floor()
    faults = []
    if not sound.all():
        rule = "is not an integer" if column.integral else "is not a finite number"
        faults = [Fault(column.name, rule, (~sound).fill_null(value=False))]
    return values, [*faults, *_within(column, values, column.low, column.high, faults)]


def _within(
    column: CheckedColumn, values: pl.Series, low: float, high: float, before: Sequence[Fault] = ()
) -> list[Fault]:
    """Return the rows outside of the limits; those that break an earlier rule are not named twice."""
    if not len(values) or values.null_count() == len(values):
        return []
    least, most = values.min(), values.max()
    assert least is not None
    assert most is not None
    if not before and low <= least and most <= high:  # type: ignore[operator]  # numbers are compared exactly here
        return []
    if values.dtype.is_integer():
        values, low, high = values.cast(pl.Int128), max(low, -_WIDEST), min(high, _WIDEST)
    # As 64-bit floats the largest integers round up, out of their own type.
    above = values >= high if column.integral and values.dtype.is_float() and high == _INT64[1] else values > high
    outside = ((values < low) | above).fill_null(value=False)
    for fault in before:
        outside &= ~fault.mask
    return [Fault(column.name, _limits(column), outside)] if outside.any() else []


def _limits(column: CheckedColumn) -> str:
    if column.bounded:
        return f"is outside of {column.low:g} to {column.high:g}"
    return f"does not fit into the type {column.type.value}"


def _booleans(column: CheckedColumn, series: pl.Series) -> tuple[pl.Series, list[Fault]]:
    if series.dtype == pl.Boolean:
        return series, []
    other = ((series != 0) & (series != 1)).fill_null(value=False)
    faults = [Fault(column.name, "is not a boolean", other)] if other.any() else []
    return series == 1, faults


def _moments(series: pl.Series) -> pl.Series:
    if isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return series.cast(pl.Datetime("us")) if series.dtype == pl.Date else series


def _outside_enum(column: CheckedColumn, values: pl.Series, before: Sequence[Fault]) -> list[Fault]:
    assert column.enum is not None
    if column.type is ColumnType.STRING:
        values = values.cast(pl.String)
        allowed: list[Any] = [value for value in column.enum if isinstance(value, str)]
    else:
        allowed = [value for value in column.enum if not isinstance(value, str)]
    if column.integral:
        # A value such as 1.0 names the integer 1, and 1.5 none; beyond 64 bits there is none either.
        allowed = [int(value) for value in allowed if float(value).is_integer() and _INT64[0] <= value <= _INT64[1]]
        values = values.cast(pl.Int64, strict=False)
    elif column.numeric:
        allowed = [float(value) for value in allowed]
        values = values.cast(pl.Float64)
    elif column.type is ColumnType.BOOLEAN:
        allowed = [bool(value) for value in allowed if value in (0, 1)]
    if not allowed:
        outside = values.is_not_null()
    else:
        outside = (~values.is_in(pl.Series(allowed, dtype=values.dtype).implode())).fill_null(value=False)
    for fault in before:
        outside &= ~fault.mask
    if not outside.any():
        return []
    return [Fault(column.name, f"is not one of {', '.join(sorted(map(str, column.enum)))}", outside)]
