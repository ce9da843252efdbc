"""Positions: least and greatest of several, and their written form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.streaming.position import (
    BEGINNING,
    Position,
    earliest,
    join_halves,
    latest,
    read_place,
    split_halves,
    write_place,
)

places = st.integers(min_value=0, max_value=2**100)
positions = st.builds(Position, st.dictionaries(st.sampled_from(["0", "1", "2", ""]), places, max_size=4))


@given(st.lists(positions, min_size=1, max_size=4), st.sampled_from(["0", "1", "2", ""]), places)
def test_what_is_behind_the_earliest_is_behind_one_and_what_is_behind_the_latest_behind_all(
    several: list[Position], part: str, place: int
) -> None:
    behind = [one.reached_by(part, place) for one in several]
    assert earliest(several).reached_by(part, place) == any(behind)
    assert latest(several).reached_by(part, place) == all(behind)


@given(positions)
def test_what_is_written_is_read_back(position: Position) -> None:
    assert Position.from_json(position.to_json()) == position


@given(st.integers(0, 2**45), st.integers(0, 2**64 - 1))
def test_halves_of_a_redis_id_keep_their_order(high: int, low: int) -> None:
    assert split_halves(join_halves(high, low)) == (high, low)
    assert join_halves(high + 1, 0) > join_halves(high, low)
    assert read_place(write_place(join_halves(high, low))) == join_halves(high, low)


def test_a_part_that_is_not_named_begins_at_its_beginning() -> None:
    """Kafka topics get new partitions: nothing in them may be passed over."""
    assert Position({"0": 7}).reached_by("1", 0)
    assert earliest([Position({"0": 7, "1": 3}), Position({"0": 9})]) == Position({"0": 7})
    assert latest([Position({"0": 7, "1": 3}), BEGINNING]) == Position({"0": 7, "1": 3})


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1-x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_place(text)
