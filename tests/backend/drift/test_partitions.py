"""Rows of partitions: which of them are read, with which input, and by which key the truth finds them."""

import os
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from backend.core.errors import PlatformError
from backend.drift import names
from backend.drift.partitions import Reader, Wanted, read
from mlplatform.spec.load import load_spec
from tests.mlplatform.batch.conftest import DAY, Model, scripted

pytestmark = pytest.mark.slow

__all__ = ["scripted"]
DOUBLE = "def predict(self, context, model_input, params=None):\n    return model_input['x'] * 2"
OTHER_DAY = date(2013, 1, 6)
MOMENT = datetime(2013, 1, 5, 7)  # noqa: DTZ001 - Parquet's moments need not have a zone


@pytest.fixture
def orders(scripted: Callable[..., Model]) -> Model:
    """A model that doubles, whose rows have two keys."""
    return scripted(DOUBLE, keys=["shop", "at"], chunkRows=100, maxRejected=0.5)


def frame(first: int, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "shop": [f"s{number % 3}" for number in range(first, first + count)],
            "at": [MOMENT + timedelta(minutes=number) for number in range(first, first + count)],
            "x": [float(number) if number % 10 else float("nan") for number in range(first, first + count)],
            "mail": ["ada@example.com"] * count,
        }
    )


def reader(model: Model, version: int = 1) -> Reader:
    return Reader(model.lake, "lab", version, load_spec(model.spec_file))


def wanted(model: Model, **changes: Any) -> Wanted:
    document = load_spec(model.spec_file).model_dump(mode="json", by_alias=True)
    document["schema"]["inputs"].append({"name": "mail", "type": "string", "required": False})
    known: dict[str, Any] = {"days": [DAY], "truths": {}, "most": 1000, "seed": "1", "version": 1, **changes}
    return Wanted(lake=str(model.root), environment="lab", spec=document, **known)


def test_rows_are_drawn_with_their_input_and_the_truth_finds_them(orders: Model) -> None:
    orders.write(frame(0, 150), name="a.parquet")
    orders.write(frame(150, 150).with_columns(pl.col("shop").cast(pl.Categorical)), name="b.parquet")
    orders.write(frame(0, 100), day=OTHER_DAY)
    for day in (DAY, OTHER_DAY):
        orders.score(day)
    key = {"shop": "s1", "at": "2013-01-05T07:01:00Z"}
    id = names.row_id("lab", "scripted", DAY, list(key.values()))
    found = read(wanted(orders, days=[DAY, OTHER_DAY], truths={DAY: {id: [2.5], "of nothing": [1]}}))
    assert (found.count, len(found.rows), found.left_out) == (360, 360, [])  # a tenth was rejected
    assert all(row["output", "y"] == 2 * row["input", "x"] for row in found.rows)
    assert {row["input", "mail"] for row in found.rows} == {"[REDACTED:EMAIL]"}
    (labelled,) = found.labelled
    assert (labelled["error", "error"], labelled["input", "x"], found.labelled_count) == (True, 1.0, 1)
    some = read(wanted(orders, days=[DAY, OTHER_DAY], most=50))
    assert (some.count, len(some.rows)) == (360, 50)
    assert {tuple(row.values()) for row in some.rows} <= {tuple(row.values()) for row in found.rows}
    assert read(wanted(orders, days=[DAY, OTHER_DAY], most=50)).rows == some.rows
    assert read(wanted(orders, days=[DAY, OTHER_DAY], most=50, seed="2")).rows != some.rows


def test_what_is_not_as_the_version_scored_it_is_left_out(orders: Model) -> None:
    orders.write(frame(0, 100))
    orders.score()
    assert read(wanted(orders, days=[OTHER_DAY])).left_out == [OTHER_DAY]
    assert read(wanted(orders, version=2)).left_out == [DAY]
    # A partition that is replaced while it is read.
    here = reader(orders)
    assert here._scored(DAY) is not None
    orders.score(version=2, force=True)
    assert here.drawn([DAY], 1000, random.Random(1))[0] == []
    assert here.left_out == {DAY}
    orders.write(frame(0, 101))
    assert read(wanted(orders, version=2)).left_out == [DAY]


def test_a_key_that_stands_twice_is_one_row(orders: Model) -> None:
    orders.write(pl.concat([frame(1, 50), frame(1, 50)]))
    orders.score()
    frames, count = reader(orders).drawn([DAY], 1000, random.Random(1))
    assert (count, sum(one.height for one in frames)) == (90, 45)


def test_a_lake_that_can_not_be_read_is_told_without_what_it_holds(orders: Model) -> None:
    file = orders.write(frame(0, 100))
    orders.score()
    status = file.stat()
    file.write_bytes(b"PAR1 ada@example.com".ljust(status.st_size, b"?"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(PlatformError, match="reading what was scored failed with status 1") as caught:
        read(wanted(orders))
    assert "ada@" not in caught.value.detail


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (17, "17"),
        (17, 17.0),
        (Decimal("17.00"), "17"),
        (1.5, "1.5"),
        (True, "true"),
        (date(2013, 1, 5), "2013-01-05"),
        (MOMENT, "2013-01-05T07:00:00Z"),
        (MOMENT, "2013-01-05 09:00:00+02:00"),
        ("2013-01-05T07:00:00", "2013-01-05 07:00"),
        ("2013-01-05T99:00:00", "2013-01-05T99:00:00"),
        ("UA", "UA"),
        (b"\x00\xff", "00ff"),
    ],
)
def test_a_key_is_the_same_in_parquet_and_in_a_label(stored: Any, said: Any) -> None:
    assert names.row_id("lab", "orders", DAY, [stored]) == names.row_id("lab", "orders", DAY, [said])


def test_keys_that_differ_have_other_ids() -> None:
    odd: list[list[Any]] = [
        ["1", "2"],
        ["12", ""],
        ["", "12"],
        [1.25, 2],
        [float("nan"), 1],
        [float("inf"), 1],
        [1e300, 1],
        ["[1", "2]"],
    ]
    ids = [names.row_id("lab", "orders", DAY, key) for key in odd]
    assert len({*ids, names.row_id("lab", "orders", OTHER_DAY, ["1", "2"])}) == 9
