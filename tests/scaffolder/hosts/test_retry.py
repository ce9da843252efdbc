"""The retry budget, whatever a host does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.errors import HostUnavailable
from scaffolder.hosts.retry import Passing, RetryBudget, Retrying

failures = st.lists(
    st.builds(
        Passing,
        st.just("busy"),
        retry_after=st.none() | st.floats(0, 500),
        unknown=st.booleans(),
    ),
    max_size=12,
)
budgets = st.builds(
    RetryBudget,
    seconds=st.floats(0, 300),
    attempts=st.integers(1, 10),
    first_pause=st.floats(0.01, 5),
    longest_pause=st.floats(1, 60),
)


@given(failures, budgets, st.floats(0, 1))
def test_it_ends_within_its_budget(failing: list[Passing], budget: RetryBudget, luck: float) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        assert seconds >= 0
        clock[0] += seconds

    left = list(failing)
    tried = []

    def request() -> str:
        tried.append(clock[0])
        if left:
            raise left.pop(0)
        return "done"

    retrying = Retrying("hub", budget, sleep, lambda: clock[0], lambda: luck)
    try:
        assert retrying.run(request) == "done"
        assert len(tried) == len(failing) + 1
    except HostUnavailable:
        assert len(tried) <= len(failing)
    assert len(tried) <= budget.attempts
    assert clock[0] <= budget.seconds


@given(st.integers(1, 6), st.integers(0, 6))
def test_after_a_lost_answer_it_looks_before_it_asks_again(lost_at: int, appears_after: int) -> None:
    """However long what was made takes to appear, it is made once."""
    made: list[int] = []
    looks: list[int] = []

    def request() -> str:
        made.append(1)
        if len(made) == lost_at:
            raise Passing("connection lost", unknown=True)
        if len(made) < lost_at:
            raise Passing("busy")
        return "again"

    def look() -> str | None:
        looks.append(1)
        return "found" if len(looks) > appears_after else None

    retrying = Retrying("hub", RetryBudget(1e9, 20), lambda _: None)
    result = retrying.run(request, look=look)
    assert len(made) == (lost_at if appears_after == 0 else lost_at + 1)
    assert result == ("found" if appears_after == 0 else "again")


def test_what_is_not_passing_is_not_tried_again() -> None:
    with pytest.raises(ValueError, match="no"):
        Retrying("hub", sleep=pytest.fail).run(lambda: int("no"))
