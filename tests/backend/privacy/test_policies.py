"""When something is over: properties that hold for all times, ages and limits."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.config import load_settings
from backend.core.config_files import ConfigError
from backend.privacy.policies import end_of, is_over, over_since, retention_of, shorter
from mlplatform.spec.model import Retention

START = datetime(1990, 1, 1, tzinfo=UTC)
times = st.timedeltas(timedelta(0), timedelta(days=186_000)).map(lambda age: START + age)
spans = st.timedeltas(timedelta(hours=1), timedelta(days=400_000))
limits = st.none() | spans


@given(at=times, keep=spans, now=times, more=spans)
def test_what_is_over_stays_over(at: datetime, keep: timedelta, now: datetime, more: timedelta) -> None:
    later = min(now + more, datetime(2600, 1, 1, tzinfo=UTC)) if more < timedelta(days=36_000) else now
    assert not is_over(at, keep, now) or is_over(at, keep, later)


@given(at=times, one=spans, other=spans, now=times)
def test_a_longer_limit_never_deletes_more(at: datetime, one: timedelta, other: timedelta, now: datetime) -> None:
    short, long = sorted((one, other))
    assert not is_over(at, long, now) or is_over(at, short, now)


@given(at=times, keep=spans, now=times, back=spans)
def test_a_clock_that_goes_back_makes_nothing_over(
    at: datetime, keep: timedelta, now: datetime, back: timedelta
) -> None:
    earlier = now - min(back, timedelta(days=30_000))
    assert is_over(at, keep, now) or not is_over(at, keep, earlier)


@given(at=times, keep=spans, now=times)
def test_nothing_goes_before_its_time(at: datetime, keep: timedelta, now: datetime) -> None:
    if is_over(at, keep, now):
        assert now - at >= keep
        assert over_since(at, keep) <= now
    else:
        assert over_since(at, keep) > now or at > now
    assert not is_over(at, None, now)


@given(limits, limits, limits)
def test_the_shortest_limit_counts_and_none_says_nothing(
    one: timedelta | None, other: timedelta | None, third: timedelta | None
) -> None:
    found = shorter(one, other, third)
    said = [span for span in (one, other, third) if span is not None]
    assert (found is None) == (not said)
    assert found is None or all(found <= span for span in said)
    assert shorter(shorter(one, other), third) == found


@given(st.dates(date(1990, 1, 1), date(2500, 1, 1)))
def test_a_day_is_over_when_it_is_complete(day: date) -> None:
    assert end_of(day) - datetime(day.year, day.month, day.day, tzinfo=UTC) == timedelta(days=1)


def test_a_spec_that_can_not_be_read_any_more_keeps_the_defaults() -> None:
    assert retention_of({"nonsense": 1}) == retention_of(None) == Retention()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("logs: 5m", "must be an hour at least"),
        ("datasets: {shop/orders: 1s}", "must be an hour at least"),
        ("schedule: often", "no cron expression"),
        ("logs: forever", "is not a duration"),
        ("log: 5d", "unknown key; accepted here: artefacts, auditSegments, batchOutputs"),
    ],
)
def test_wrong_limits_are_refused_with_their_key(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "app-config.yaml"
    file.write_text(f"mlPlatform: {{retention: {{{line}}}}}")
    with pytest.raises(ConfigError) as caught:
        load_settings([file], {})
    assert "mlPlatform.retention" in caught.value.faults[0]
    assert said in caught.value.faults[0]
