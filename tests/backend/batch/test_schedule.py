"""Which days are due: each time once, in order, also over leap days, gaps and clocks that jump."""

from datetime import UTC, date, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.batch.schedule import due_days, next_time

SCHEDULES = ["0 3 * * *", "*/7 * * * *", "30 23 * * 1-5", "0 0 29 2 *", "15 4 1,31 * *", "0 */6 * * *", "59 23 L * *"]
moments = st.datetimes(datetime(2019, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
delays = st.sampled_from([timedelta(0), timedelta(hours=5), timedelta(days=1), timedelta(days=2, hours=1)])


def naive(schedule: str, after: datetime, until: datetime, delay: timedelta) -> dict[date, datetime]:
    """Days with the last of their times, found forwards and one by one."""
    found: dict[date, datetime] = {}
    for time in CronSim(schedule, after - timedelta(minutes=2)):
        if time > until:
            break
        if time > after:
            found[(time - delay).date()] = time
    return found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SCHEDULES), moments, st.integers(0, 9 * 24 * 3600), delays, st.integers(1, 5))
def test_due_days_are_the_newest_of_all_in_order(
    schedule: str, after: datetime, seconds: int, delay: timedelta, most: int
) -> None:
    until = after + timedelta(seconds=seconds)
    expected = sorted(naive(schedule, after, until, delay).items())
    due = due_days(schedule, after=after, until=until, delay=delay, most=most)
    assert [(one.day, one.time) for one in due.days] == expected[-most:]
    assert due.more == (len(expected) > most)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SCHEDULES), moments, st.lists(st.integers(-86_400, 3 * 86_400), max_size=8))
def test_no_time_is_followed_twice_whatever_the_clock_does(schedule: str, start: datetime, jumps: list[int]) -> None:
    """Follow a schedule with a clock that jumps forwards and back; then hold it against one that never did."""
    followed, times, now = start, [], start
    for jump in jumps:
        now += timedelta(seconds=jump)
        for due in due_days(schedule, after=followed, until=now, delay=timedelta(0), most=1000).days:
            times.append(due.time)
            followed = due.time
    assert times == sorted(set(times))
    highest = max([start, *(start + timedelta(seconds=sum(jumps[: n + 1])) for n in range(len(jumps)))])
    assert {time.date() for time in times} == set(naive(schedule, start, highest, timedelta(0)))


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 3 29 2 *", datetime(2023, 3, 1, tzinfo=UTC), datetime(2024, 2, 29, 3, tzinfo=UTC)),
        ("0 3 * * *", datetime(2024, 2, 28, 3, tzinfo=UTC), datetime(2024, 2, 29, 3, tzinfo=UTC)),
        ("0 3 * * *", datetime(2026, 3, 29, 2, 59, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC)),
    ],
)
def test_the_next_time(schedule: str, after: datetime, expected: datetime) -> None:
    assert next_time(schedule, after) == expected


def test_a_time_counts_from_its_very_second() -> None:
    after, at = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 3, tzinfo=UTC)

    def days(until: datetime) -> int:
        return len(due_days("0 3 * * *", after=after, until=until, delay=timedelta(days=1), most=7).days)

    assert days(at - timedelta(microseconds=1)) == 0
    assert days(at) == 1
    assert days(at + timedelta(microseconds=1)) == 1


def test_an_endless_gap_is_cut_off() -> None:
    due = due_days(
        "* * * * *",
        after=datetime(1990, 1, 1, tzinfo=UTC),
        until=datetime(2026, 1, 1, tzinfo=UTC),
        delay=timedelta(0),
        most=366,
    )
    assert due.more
    assert len(due.days) >= 13
