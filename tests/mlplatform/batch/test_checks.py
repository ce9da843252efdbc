"""A value is taken or rejected in a Parquet column exactly as it is in a request."""

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.batch.checks import check, dtype_of, missing_columns, type_fault
from mlplatform.serving.columns import CheckedColumn, Rejected
from mlplatform.spec.model import Column, ColumnType

NUMBERS = (ColumnType.INTEGER, ColumnType.LONG, ColumnType.FLOAT, ColumnType.DOUBLE)
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3), st.sampled_from([2**31, -(2**31) - 1]))
FLOATS = st.one_of(st.floats(), st.integers(-3, 3).map(float), st.sampled_from([3.5e38, 2.0**63, -(2.0**63), 0.5]))
TEXTS = st.one_of(st.sampled_from(["red", "white", ""]), st.text(max_size=3))
SOURCES: dict[str, tuple[Any, Any]] = {
    "int64": (pl.Int64(), INTEGERS),
    "uint64": (pl.UInt64(), st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 3))),
    "int8": (pl.Int8(), st.integers(-128, 127)),
    "float64": (pl.Float64(), FLOATS),
    "float32": (pl.Float32(), st.floats(width=32)),
    "boolean": (pl.Boolean(), st.booleans()),
    "string": (pl.String(), TEXTS),
    "binary": (pl.Binary(), st.binary(max_size=3)),
    "base64": (pl.String(), st.sampled_from(["aGk=", "aGk", "??", ""])),
    "datetime": (pl.Datetime("us"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),  # noqa: DTZ001
    "iso": (pl.String(), st.sampled_from(["2013-01-05", "2013-01-05T10:00:00+02:00", "5 Jan", "", "2013-13-01"])),
}
FITTING = {
    **dict.fromkeys(NUMBERS, ("int64", "uint64", "int8", "float64", "float32")),
    ColumnType.BOOLEAN: ("boolean", "int8"),
    ColumnType.STRING: ("string",),
    ColumnType.BINARY: ("binary", "base64"),
    ColumnType.DATETIME: ("datetime", "iso"),
}


@st.composite
def declared(draw: st.DrawFn) -> Column:
    kind = draw(st.sampled_from(list(ColumnType)))
    options: dict[str, Any] = {}
    if kind in NUMBERS and draw(st.booleans()):
        low = draw(st.one_of(st.integers(-2, 2).map(float), st.sampled_from([-0.5, 0.5, -1e30])))
        options = {"minimum": low, "maximum": low + draw(st.sampled_from([0.0, 0.5, 3.0, 1e31]))}
    if draw(st.booleans()):
        enums: dict[ColumnType, list[Any]] = {
            ColumnType.BOOLEAN: [True, 0],
            ColumnType.STRING: ["red", "white", 7],
            ColumnType.DATETIME: ["2013-01-05"],
            ColumnType.BINARY: ["aGk="],
        }
        options["enum"] = enums.get(kind, [0, 1.0, 2.5, -1, "red"])
    return Column(name="x", type=kind, required=draw(st.booleans()), **options)


def coerced(column: CheckedColumn, value: Any) -> tuple[Any, str | None]:
    """What a model server makes of a value, or which rule it breaks there."""
    try:
        return column.coerce(value), None
    except Rejected as rejected:
        return None, str(rejected)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_parquet_columns_are_checked_as_requests_are(data: st.DataObject) -> None:
    column = CheckedColumn.of(data.draw(declared()))
    dtype, values = SOURCES[data.draw(st.sampled_from(FITTING[column.type]))]
    given_values = data.draw(st.lists(st.one_of(st.none(), values), max_size=8))
    series = pl.Series("x", given_values, dtype)
    assert type_fault(column, series.dtype) is None
    checked = check(column, series)
    assert checked.values.dtype == dtype_of(column.type)
    wrong = [[fault.rule for fault in checked.faults if fault.mask[row]] for row in range(len(series))]
    for row, value in enumerate(series.to_list()):
        if value is None and not column.required:
            # Left out of a request, it would have been accepted.
            assert wrong[row] == []
            continue
        expected, rule = coerced(column, value)
        assert wrong[row] == ([rule] if rule else []), (value, column)
        if rule:
            continue
        got = checked.values[row]
        if column.type is ColumnType.FLOAT:
            assert got == pl.Series([float(expected)], dtype=pl.Float64).cast(pl.Float32)[0]
        elif column.type is ColumnType.DOUBLE:
            assert got == float(expected)
        else:
            assert got == expected


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (ColumnType.DOUBLE, pl.String()),
        (ColumnType.LONG, pl.Boolean()),
        (ColumnType.STRING, pl.Int64()),
        (ColumnType.BOOLEAN, pl.Float64()),
        (ColumnType.DATETIME, pl.Int64()),
        (ColumnType.BINARY, pl.List(pl.Int8())),
    ],
)
def test_a_column_of_another_kind_is_told_once_and_not_for_each_row(kind: ColumnType, dtype: pl.DataType) -> None:
    column = CheckedColumn.of(Column(name="x", type=kind))
    assert type_fault(column, dtype) == f"column x is {dtype} in the input, model.yaml declares it as {kind.value}"


def test_what_only_parquet_has_is_taken_where_its_meaning_is_plain() -> None:
    decimal = check(
        CheckedColumn.of(Column(name="x", type=ColumnType.DOUBLE)), pl.Series(["1.50"]).cast(pl.Decimal(10, 2))
    )
    assert decimal.values.to_list() == [1.5]
    words = check(
        CheckedColumn.of(Column(name="x", type=ColumnType.STRING)), pl.Series(["a", None], dtype=pl.Categorical())
    )
    assert (words.values.dtype, len(words.faults)) == (pl.String, 1)
    zoned = pl.Series([datetime(2013, 1, 5, 12)]).dt.replace_time_zone("Europe/Berlin")  # noqa: DTZ001
    moment = check(CheckedColumn.of(Column(name="x", type=ColumnType.DATETIME)), zoned)
    assert moment.values.to_list() == [datetime(2013, 1, 5, 11)]  # noqa: DTZ001
    nothing = check(CheckedColumn.of(Column(name="x", type=ColumnType.LONG)), pl.Series("x", [None, None]))
    assert [fault.rule for fault in nothing.faults] == ["is missing (null)"]


def test_a_missing_column_is_told_with_what_was_probably_meant() -> None:
    columns = [CheckedColumn.of(Column(name="distance", type=ColumnType.DOUBLE))]
    optional = [CheckedColumn.of(Column(name="gate", type=ColumnType.STRING, required=False))]
    assert missing_columns([*columns, *optional], ["id"], ["id", "distance"]) is None
    assert (
        missing_columns(columns, ["id"], ["id", "distanse"])
        == "the input has no column distance; did you mean distanse?"
    )
    assert "and 1 more; it has a, b" in (missing_columns(columns, ["id"], ["a", "b"]) or "")
