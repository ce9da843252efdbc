"""Follows the schedules of live batch versions: times become runs, each once, whatever the clock and the process do.

How far a schedule has been followed is a row that moves in the transaction that adds the runs. A clock that goes back finds
nothing due until it has caught up with that row; one that jumps ahead, or a platform that was away, finds several times due
and takes them up in order, the newest few if they are many.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.batch import repository
from backend.batch.models import BatchRun, BatchSchedule, Cause, RunState
from backend.batch.rules import EVENT, Rules
from backend.batch.schedule import DueDays, due_days
from backend.core.container import Services
from backend.core.ids import new_id
from mlplatform.spec.batch import Batch

_INSTANT = timedelta(seconds=1)
"""Less than lies between two times of any schedule."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Followed:
    """A live version with a schedule."""

    environment: str
    model: str
    version: int
    batch: Batch


class Scheduler:
    """Called again and again by the process that leads."""

    def __init__(self, services: Services, rules: Rules) -> None:
        self._services, self._rules = services, rules
        self._batches: dict[tuple[str, int], Batch | None] = {}

    def tick(self) -> None:
        """Add the runs that are due; a model that makes trouble does not keep the others waiting."""
        now = self._services.clock.now()
        with self._services.database.read() as session:
            followed = self._followed(session)
            known = repository.schedules(session)
        for one in followed:
            since = known.pop((one.environment, one.model), None)
            if since is not None and not self._due(one, since, now).days:
                continue
            try:
                with self._services.database.write() as session:
                    self._follow(session, one, now)
            except Exception:
                _log.exception("the schedule of %s in %s can't be followed", one.model, one.environment)
        if known:
            # Nothing is live there any more, or not by schedule: what is missed until it is again is not caught up.
            with self._services.database.write() as session:
                for environment, model in known:
                    row = repository.lock_schedule(session, environment, model)
                    if row is not None:
                        session.delete(row)

    def _followed(self, session: Session) -> list[Followed]:
        found = []
        for environment, model, version in self._services.deployments.live_everywhere(session):
            key = (model, version)
            if key not in self._batches:
                self._batches[key] = self._rules.spec(session, model, version).batch
            batch = self._batches[key]
            if batch is not None and batch.schedule is not None:
                found.append(Followed(environment, model, version, batch))
        return found

    def _due(self, one: Followed, since: datetime, now: datetime) -> DueDays:
        assert one.batch.schedule is not None
        most = self._services.settings.batch.catch_up
        return due_days(one.batch.schedule, after=since, until=now, delay=one.batch.delay, most=most)

    def _follow(self, session: Session, one: Followed, now: datetime) -> None:
        row = repository.lock_schedule(session, one.environment, one.model)
        if row is None:
            session.add(BatchSchedule(environment=one.environment, model=one.model, followed_until=now))
            return
        due = self._due(one, row.followed_until, now)
        if due.more and due.days:
            self._leave_out(session, one, row.followed_until, due.days[0].time)
            row.followed_until = max(row.followed_until, due.days[0].time - _INSTANT)
        for day in due.days:
            if repository.active(session, one.environment, one.model, day=day.day):
                return  # in order: when that run is over, the schedule goes on from here
            run = BatchRun(
                id=new_id(),
                environment=one.environment,
                model=one.model,
                version=one.version,
                day=day.day,
                cause=Cause.SCHEDULE,
                scheduled_for=day.time,
                state=RunState.PENDING,
                requested_by=PLATFORM,
                requested_at=now,
            )
            session.add(run)
            session.flush()
            row.followed_until = day.time
            said = f"{day.day} of {one.model} is due since {day.time:%Y-%m-%d %H:%M} UTC"
            self._rules.record(session, "run.requested", run, PLATFORM, reason=said)

    def _leave_out(self, session: Session, one: Followed, since: datetime, first: datetime) -> None:
        most = self._services.settings.batch.catch_up
        reason = (
            f"times of the schedule between {since:%Y-%m-%d %H:%M} and {first:%Y-%m-%d %H:%M} UTC were missed and are left "
            f"out: at most {most} days are caught up (mlPlatform.batch.catchUp); a backfill scores the others"
        )
        _log.warning("%s in %s: %s", one.model, one.environment, reason)
        self._services.audit.append(
            session,
            type=f"{EVENT}.schedule.missed",
            subject=f"model:{one.model}/batch",
            actor=PLATFORM,
            data={"environment": one.environment, "model": one.model, "version": one.version, "reason": reason},
        )
