"""Retention: what is over is deleted by a durable run, which says before and certifies after what it did."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.audit.service import PLATFORM
from backend.batch.schedule import next_time
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.core.workflows import Steps
from backend.identity.principal import Principal
from backend.privacy import repository
from backend.privacy.certificates import certify
from backend.privacy.holdings.base import Holding, KeptForNow, digest_of
from backend.privacy.holdings.incidents import Incidents
from backend.privacy.holdings.logs import Logs
from backend.privacy.holdings.partitions import Partitions
from backend.privacy.holdings.registry import Artefacts, Runs, Versions
from backend.privacy.holdings.samples import SampleHolding
from backend.privacy.holdings.segments import Segments
from backend.privacy.holdings.uploads import Uploads
from backend.privacy.holds import EVENT, let_through, said
from backend.privacy.models import ItemState, JobState, Kind, RetentionItem, RetentionRun
from mlplatform.redaction import redact

_LOOK_SECONDS = 1.0
_LEEWAY = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class RetentionRunning(Conflict):
    """One run at a time."""

    slug: ClassVar[str] = "retention-running"
    title: ClassVar[str] = "Retention running"


class ClockWentBack(Conflict):
    """The clock shows an earlier time than a run had before, so no age can be trusted."""

    slug: ClassVar[str] = "clock-went-back"
    title: ClassVar[str] = "Clock went back"


class Retention:
    """The :class:`~backend.core.workflows.Work` of retention runs, and what asks for one."""

    name: ClassVar[str] = "retention run"
    most: ClassVar[int | None] = 1

    def __init__(self, services: Services) -> None:
        self._services = services
        self.holdings: list[Holding] = [
            Partitions(services, Kind.DATASET),
            Partitions(services, Kind.BATCH_OUTPUT),
            Logs(services),
            SampleHolding(services),
            Runs(services),
            Versions(services),
            Artefacts(services),
            Uploads(services),
            Segments(services),
            Incidents(services),
        ]
        """More may be added before the runtime starts, such as a token vault's."""
        self._looked = float("-inf")
        services.runtime.add(self)

    def request(self, session: Session, caller: Principal, *, dry_run: bool) -> RetentionRun:
        """Ask for a run.

        Raises:
            Forbidden: the policies say no.
            RetentionRunning: one is under way.
            ClockWentBack: the clock can't be trusted.
        """
        decision = self.may(session, caller)
        return self._add(session, caller.ref, dry_run=dry_run, scheduled=False, actor=caller, access=decision.as_json())

    def may(self, session: Session, caller: Principal) -> Decision:
        """Let through whom the policies permit to have deleted what is over; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        return let_through(self._services, session, caller, Action.RUN_RETENTION, "delete what is over", "retention")

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the runs that are not over."""
        return repository.open_runs(session)

    def run(self, steps: Steps, id: str) -> None:
        """List, delete, certify."""
        steps.run("plan", self._plan, id)
        steps.run("delete", self._delete, id)
        steps.run("certify", self._certify, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a run that can't go on; its certificate says what was and was not deleted."""
        with self._services.database.write() as session:
            run = repository.get(session, RetentionRun, id, "retention run")
            if run.state not in repository.OPEN:
                return
            while (item := repository.next_item(session, id)) is not None:
                item.state, item.reason = ItemState.FAILED, "the run was given up before its turn"
                session.flush()
            self._end(session, run, JobState.FAILED, reason)

    def beat(self, *, changed: bool) -> None:
        """Take samples over, and follow the schedule."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            self._services.privacy.samples.take_over()
            self._follow_schedule()
        except OperationalError:
            raise
        except Exception:  # rollouts, which the same thread looks after, must go on
            _log.exception("looking after what is kept failed; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""

    def _follow_schedule(self) -> None:
        schedule, now = self._services.settings.retention.schedule, self._services.clock.now()
        if schedule is None:
            return
        with self._services.database.read() as session:
            # Where there never was a run, the first one comes when the first version has seen the schedule's time.
            last = repository.last_requested(session, scheduled=True) or self._services.registry.first_at(session)
            idle = not repository.open_runs(session)
        due = next_time(schedule, last) if last is not None else None
        if not idle or due is None or due > now:
            return
        with self._services.database.write() as session:
            self._add(session, PLATFORM, dry_run=False, scheduled=True, actor=PLATFORM)

    def _add(
        self, session: Session, by: str, *, dry_run: bool, scheduled: bool, actor: Principal | str, **said: Any
    ) -> RetentionRun:
        now = self._services.clock.now()
        if running := repository.open_runs(session):
            raise RetentionRunning("a retention run is under way", fix="Wait for it to end.", run=running[0])
        last = repository.last_requested(session)
        if last is not None and now < last - _LEEWAY:
            raise ClockWentBack(
                f"it is {now:%Y-%m-%d %H:%M} by this clock, and there was a run at {last:%Y-%m-%d %H:%M}",
                fix="Set the clock right; nothing is deleted until it is.",
            )
        run = RetentionRun(
            id=new_id(),
            state=JobState.PENDING,
            dry_run=dry_run,
            scheduled=scheduled,
            requested_by=by,
            requested_at=now,
        )
        session.add(run)
        self._record(session, run, "requested", actor, dryRun=dry_run, scheduled=scheduled, **said)
        session.flush()
        return run

    def _plan(self, id: str) -> None:
        """Write down all that is over; what a hold covers is kept, and said to be."""
        with self._services.database.read() as session:
            run = repository.get(session, RetentionRun, id, "retention run")
            if run.state != JobState.PENDING:
                return
            found = self._found(session, id, run.requested_at)
        with self._services.database.write() as session:
            run = repository.get(session, RetentionRun, id, "retention run", lock=True)
            if run.state != JobState.PENDING:
                return
            session.add_all(found)
            run.state, run.planned_at = JobState.RUNNING, self._services.clock.now()
            self._record(session, run, "planned", PLATFORM, items=len(found), digest=_digest(found))

    def _found(self, session: Session, id: str, now: datetime) -> list[RetentionItem]:
        found: list[RetentionItem] = []
        for holding in self.holdings:
            for over in holding.over(session, now):
                holds = self._services.privacy.holds.covering(session, over.refs)
                found.append(
                    RetentionItem(
                        run_id=id,
                        index=len(found),
                        kind=over.kind,
                        name=over.name,
                        refs=list(over.refs),
                        at=over.at,
                        over_since=over.since,
                        bytes=over.bytes,
                        digest=over.digest,
                        state=ItemState.KEPT if holds else ItemState.PLANNED,
                        reason=said(holds) if holds else None,
                    )
                )
        return found

    def _delete(self, id: str) -> None:
        holdings = {holding.kind: holding for holding in self.holdings}
        while True:
            self._services.runtime.wait(0)  # leaves when the runtime stops
            with self._services.database.write() as session:
                run = repository.get(session, RetentionRun, id, "retention run")
                item = repository.next_item(session, id)
                if item is None or run.dry_run or run.state not in repository.OPEN:
                    return
                # A hold that was placed since the run was planned counts.
                if holds := self._services.privacy.holds.covering(session, item.refs):
                    item.state, item.reason = ItemState.KEPT, said(holds)
                    continue
                item.state = ItemState.DELETING
            state, reason = self._deleted(holdings.get(Kind(item.kind)), item)
            with self._services.database.write() as session:
                row = session.get_one(RetentionItem, (id, item.index))
                row.state, row.reason = state, reason
                if state == ItemState.DELETED:
                    self._record(session, run, "deleted", PLATFORM, kind=item.kind, name=item.name, digest=item.digest)

    def _deleted(self, holding: Holding | None, item: RetentionItem) -> tuple[ItemState, str | None]:
        if holding is None:
            return ItemState.FAILED, f"nothing here looks after {item.kind}"
        try:
            holding.delete(item, self._services.clock.now())
        except KeptForNow as kept:
            return ItemState.KEPT, str(kept)
        except OperationalError:
            raise
        except Exception as error:  # one thing that can't be deleted must not keep all others
            _log.exception("%s %s can't be deleted", item.kind, item.name)
            return ItemState.FAILED, redact(f"{type(error).__name__}: {error}")[:500]
        return ItemState.DELETED, None

    def _certify(self, id: str) -> None:
        with self._services.database.write() as session:
            run = repository.get(session, RetentionRun, id, "retention run", lock=True)
            if run.state in repository.OPEN:
                self._end(session, run, JobState.DONE, None)

    def _end(self, session: Session, run: RetentionRun, state: JobState, message: str | None) -> None:
        run.state, run.message, run.finished_at = state, message, self._services.clock.now()
        items = repository.items(session, run.id, after=-1, limit=1_000_000)
        counts = repository.count_items(session, [run.id])[run.id]
        if not run.dry_run:
            certify(
                self._services,
                session,
                f"retention-run:{run.id}",
                _digest(items),
                {
                    "counts": _summed(counts),
                    "byKind": counts,
                    "bytesDeleted": sum(item.bytes for item in items if item.state == ItemState.DELETED),
                    "requestedBy": run.requested_by,
                    "outcome": str(state),
                    "message": message,
                    "notDeleted": _reasons(items),
                },
            )
        self._record(session, run, "finished", PLATFORM, outcome=str(state), dryRun=run.dry_run, counts=counts)
        session.flush()

    def _record(self, session: Session, run: RetentionRun, event: str, actor: Principal | str, **data: Any) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.retention.{event}",
            subject=f"retention-run:{run.id}",
            actor=actor,
            data={"run": run.id, **data},
        )


def _digest(items: Sequence[RetentionItem]) -> str:
    return digest_of(f"{item.kind} {item.name} {item.digest or '-'} {item.state}" for item in items)


def _summed(counts: dict[str, dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for states in counts.values():
        for state, count in states.items():
            total[state] = total.get(state, 0) + count
    return total


def _reasons(items: Sequence[RetentionItem]) -> list[dict[str, str | None]]:
    return [
        {"kind": item.kind, "name": item.name, "state": item.state, "reason": item.reason}
        for item in items
        if item.state in (ItemState.KEPT, ItemState.FAILED)
    ]
