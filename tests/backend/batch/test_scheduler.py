"""Schedules become runs: each time once, in order, also when the platform was away or its clock jumps."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.app import build_services
from backend.batch import repository
from backend.batch.models import BatchRun, RunState
from backend.core.config import Settings
from tests.conftest import SetClock

from .conftest import MODEL, Shop, batch_settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def followed(settings: Settings, python_model: Callable[[str], Path], set_clock: SetClock) -> Iterator["Followed"]:
    made = Followed(settings, python_model, set_clock)
    made.add_version(1, batch={"schedule": "0 3 * * *"})
    made.make_live(1)
    yield made
    made.services.database.close()


class Followed(Shop):
    """A platform whose scheduler is called by hand, with a clock that stands still; no run is ever begun."""

    def __init__(self, settings: Settings, model: Callable[[str], Path], clock: SetClock) -> None:
        self.settings, self.clock = settings, clock
        super().__init__(build_services(settings, clock), model)

    def tick(self) -> list[str]:
        """Let the scheduler look; return the days that it added, as MM-DD."""
        known = {run.id for run in self.all()}
        self.services.batch_work._scheduler.tick()
        return [f"{run.day:%m-%d}" for run in self.all() if run.id not in known]

    def all(self) -> list[BatchRun]:
        with self.services.database.read() as session:
            page = repository.page(
                session, environment=None, model=None, day=None, state=None, cause=None, backfill_id=None, after=None,
                limit=500,
            )  # fmt: skip
        return list(reversed(page))

    def end_all(self) -> None:
        with self.services.database.write() as session:
            for run in self.all():
                session.get_one(BatchRun, run.id).state = RunState.SUCCEEDED

    def restart(self) -> None:
        self.services.database.close()
        self.services = build_services(self.settings, self.clock)


def test_a_due_day_gets_one_run(followed: Followed) -> None:
    assert followed.tick() == []
    followed.clock.move(hours=14, minutes=59)
    assert followed.tick() == []
    followed.clock.move(minutes=1)
    assert followed.tick() == ["03-01"]
    assert followed.tick() == []
    (run,) = followed.all()
    assert (run.cause, run.version, run.requested_by) == ("schedule", 1, "service:ml-platform")
    assert run.scheduled_for == datetime(2026, 3, 2, 3, tzinfo=UTC)
    (event,) = followed.events("run.requested")
    assert event["data"]["reason"] == f"2026-03-01 of {MODEL} is due since 2026-03-02 03:00 UTC"


def test_what_was_missed_is_caught_up_in_order_after_a_restart(followed: Followed) -> None:
    followed.tick()
    followed.clock.move(days=3)
    followed.restart()
    assert followed.tick() == ["03-01", "03-02", "03-03"]
    assert followed.tick() == []


def test_of_many_missed_days_the_newest_are_caught_up(followed: Followed) -> None:
    followed.tick()
    followed.clock.move(days=30)
    assert followed.tick() == ["03-24", "03-25", "03-26", "03-27", "03-28", "03-29", "03-30"]
    (event,) = followed.events("schedule.missed")
    assert "at most 7 days are caught up (mlPlatform.batch.catchUp)" in event["data"]["reason"]
    assert followed.tick() == []
    assert len(followed.events("schedule.missed")) == 1


def test_a_clock_that_goes_back_repeats_nothing(followed: Followed) -> None:
    followed.tick()
    followed.clock.move(days=1)
    assert followed.tick() == ["03-01"]
    followed.end_all()
    for hours in (-30, 10, 19, 1):
        followed.clock.move(hours=hours)
        assert followed.tick() == []
    followed.clock.move(hours=24)
    assert followed.tick() == ["03-02"]


def test_a_day_that_is_being_scored_holds_the_schedule_until_it_is_over(followed: Followed) -> None:
    followed.add_version(2, batch={"schedule": "*/10 * * * *", "delay": "0s"})
    followed.make_live(2)
    followed.tick()
    followed.clock.move(minutes=10)
    assert followed.tick() == ["03-01"]
    followed.clock.move(minutes=30)
    assert followed.tick() == []
    followed.end_all()
    # Three times were missed, all about the same day.
    assert followed.tick() == ["03-01"]
    assert followed.all()[-1].scheduled_for == datetime(2026, 3, 1, 12, 40, tzinfo=UTC)


def test_the_schedule_of_the_live_version_counts_and_none_without_one(followed: Followed) -> None:
    followed.tick()
    followed.add_version(2, batch={"schedule": None})
    followed.make_live(2)
    followed.clock.move(days=2)
    assert followed.tick() == []
    followed.make_live(1)
    assert followed.tick() == [], "what was missed while nothing was scheduled is not caught up"
    followed.clock.move(days=1)
    assert followed.tick() == ["03-03"]


def test_a_leap_day_is_a_day(followed: Followed) -> None:
    followed.clock.moment = datetime(2024, 2, 28, 12, tzinfo=UTC)
    followed.tick()
    followed.clock.move(days=3)
    assert followed.tick() == ["02-28", "02-29", "03-01"]


def test_two_leaders_in_the_same_moment_add_a_run_once(followed: Followed) -> None:
    """Only one leads; should two think so, the row that says how far the schedule was followed tells them apart."""
    followed.tick()
    other = build_services(followed.settings, followed.clock)
    followed.clock.move(days=1)
    due = followed.services.batch_work._scheduler._followed
    with followed.services.database.read() as session:
        (one,) = due(session)
    for services in (followed.services, other):
        with services.database.write() as session:
            services.batch_work._scheduler._follow(session, one, followed.clock.now())
    assert len(followed.all()) == 1
    other.database.close()


def test_a_model_that_makes_trouble_does_not_stop_the_beat(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(followed.services.batch_work._scheduler, "_followed", lambda _session: 1 / 0)
    followed.services.batch_work.beat(changed=True)
    assert "following the schedules failed" in caplog.text


def test_limits_are_settings(tmp_path: Path) -> None:
    settings = batch_settings(tmp_path, None, batch={"catchUp": 2, "parallelRuns": 5})
    assert (settings.batch.catch_up, settings.batch.parallel_runs) == (2, 5)
    assert settings.lake_of("lab") == str(tmp_path / "lake" / "lab")
