"""Backfills: which days of a range need scoring, and having them scored a few at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.batch import repository
from backend.batch.models import ACTIVE, GOOD, Backfill, BackfillState, BatchRun, Cause, RunState
from backend.batch.rules import Rules, span
from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from backend.core.ids import new_id
from backend.identity.principal import Principal
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake
from mlplatform.batch.run import same_files
from mlplatform.spec.batch import Batch

LONGEST_DAYS = 3_660
"""Longest range of a backfill."""
_LOOKS = 16
"""Days that are looked at in the lake at the same time: on an object store each takes two round trips."""

DayState = Literal["missing", "other_version", "changed", "unchanged", "no_input", "not_asked_for"]
TO_SCORE = frozenset({"missing", "other_version", "changed"})


@dataclass(frozen=True)
class PlannedDay:
    """A day of a range: what there is in the lake, and so whether it is to be scored."""

    day: date
    state: DayState
    version: int | None
    """Which version has scored it."""

    @property
    def scored(self) -> bool:
        """Whether the backfill would score it."""
        return self.state in TO_SCORE


@dataclass(frozen=True)
class Plan:
    """What a backfill would do."""

    environment: str
    model: str
    version: int
    first: date
    last: date
    scored_by: int | None
    days: tuple[PlannedDay, ...]

    @property
    def to_score(self) -> list[date]:
        """The days that need scoring, rising."""
        return [one.day for one in self.days if one.scored]

    @property
    def skipped(self) -> dict[str, int]:
        """How many days are left alone, by why."""
        found: dict[str, int] = {}
        for one in self.days:
            if not one.scored:
                found[one.state] = found.get(one.state, 0) + 1
        return found


class Backfills:
    """See the module's docstring."""

    def __init__(self, services: Services, rules: Rules) -> None:
        self._services, self._rules = services, rules

    def get(self, session: Session, backfill_id: str) -> Backfill:
        """Return a backfill.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find_backfill(session, backfill_id)
        if found is None:
            raise NotFound(f"there is no backfill {backfill_id[:40]!r}")
        return found

    def plan(
        self,
        session: Session,
        *,
        environment: str,
        model: str,
        version: int | None,
        first: date,
        last: date,
        scored_by: int | None,
    ) -> Plan:
        """Look into the lake and return what a backfill would do.

        Raises:
            InvalidInput: the range is none, or longer than ten years.
            Unavailable: the lake does not answer.
        """
        if last < first:
            raise InvalidInput(f"/to: {last} is before /from {first}")
        if (last - first).days >= LONGEST_DAYS:
            raise InvalidInput(f"/to: {first} to {last} is more than {LONGEST_DAYS} days; ask for several backfills")
        self._rules.environment(environment)
        self._rules.batch_model(session, model)
        number = self._rules.version(session, environment, model, version)
        batch = self._rules.batch(session, model, number)
        digest = self._services.registry.get_version(session, model, number).digest
        lake = self._rules.lake(environment)
        wanted = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        try:
            present = set(lake.days(batch.input, batch.partition))
            with ThreadPoolExecutor(_LOOKS) as looks:
                days = list(
                    looks.map(
                        lambda day: planned(
                            lake, batch, day, model, number, digest, there=day in present, scored_by=scored_by
                        ),
                        wanted,
                    )
                )
        except (OSError, BatchFailed) as fault:
            raise Unavailable(f"the lake of {environment} does not answer: {fault}") from fault
        return Plan(environment, model, number, first, last, scored_by, tuple(days))

    def request(self, session: Session, caller: Principal, plan: Plan, *, parallelism: int, reason: str) -> Backfill:
        """Have the days of a plan scored."""
        access = self._rules.may_run(session, caller, plan.model, "start a backfill").as_json()
        days = plan.to_score
        now = self._services.clock.now()
        backfill = Backfill(
            id=new_id(),
            environment=plan.environment,
            model=plan.model,
            version=plan.version,
            first=plan.first,
            last=plan.last,
            scored_by=plan.scored_by,
            parallelism=parallelism,
            state=BackfillState.RUNNING if days else BackfillState.SUCCEEDED,
            days=[day.isoformat() for day in days],
            skipped=plan.skipped,
            position=0,
            message=None if days else "no day of the range needs scoring",
            reason=reason,
            requested_by=caller.ref,
            requested_at=now,
            finished_at=None if days else now,
        )
        session.add(backfill)
        session.flush()
        said = (
            f"{caller.ref} wants {len(days)} days of {span(plan.first, plan.last)} scored by v{plan.version}: {reason}"
        )
        self._rules.record(
            session,
            "backfill.requested",
            backfill,
            caller,
            reason=said,
            days=len(days),
            skipped=plan.skipped,
            access=access,
        )
        return backfill

    def cancel(self, session: Session, caller: Principal, backfill_id: str, reason: str) -> Backfill:
        """End a backfill; days that are being scored are ended at once, those that were scored stay.

        Raises:
            Conflict: it is over.
        """
        decision = self._rules.may_run(session, caller, self.get(session, backfill_id).model, "cancel a backfill")
        access = decision.as_json()
        backfill = repository.lock_backfill(session, backfill_id)
        if backfill.state != BackfillState.RUNNING:
            raise Conflict(f"the backfill is over: it has {backfill.state}")
        now, said = self._services.clock.now(), f"cancelled by {caller.ref}: {reason}"
        backfill.state, backfill.message, backfill.finished_at = BackfillState.CANCELLED, said, now
        for found in repository.active(session, backfill.environment, backfill.model, backfill_id=backfill.id):
            run = repository.lock(session, found.id)
            if run.state in ACTIVE:
                run.state, run.message, run.finished_at = RunState.CANCELLED, said, now
                self._rules.record(session, "run.cancelled", run, caller, reason=said, access=access)
        self._rules.record(session, "backfill.cancelled", backfill, caller, reason=said, access=access)
        session.flush()
        return backfill

    def counts(self, session: Session, backfills: Sequence[Backfill]) -> dict[str, dict[str, int]]:
        """Return how many runs of each backfill are in each state."""
        return repository.counts(session, [one.id for one in backfills])

    def feed(self, session: Session, backfill_id: str) -> None:
        """Give the next days of a backfill their runs, or end it when all are over. Called again and again."""
        backfill = repository.lock_backfill(session, backfill_id)
        if backfill.state != BackfillState.RUNNING:
            return
        place = (backfill.environment, backfill.model)
        active = len(repository.active(session, *place, backfill_id=backfill.id))
        while backfill.position < len(backfill.days) and active < backfill.parallelism:
            day = date.fromisoformat(backfill.days[backfill.position])
            if repository.active(session, *place, day=day):
                break  # somebody else has it scored; its turn comes after that
            session.add(
                BatchRun(
                    id=new_id(),
                    environment=backfill.environment,
                    model=backfill.model,
                    version=backfill.version,
                    day=day,
                    cause=Cause.BACKFILL,
                    backfill_id=backfill.id,
                    state=RunState.PENDING,
                    requested_by=backfill.requested_by,
                    requested_at=self._services.clock.now(),
                )
            )
            backfill.position += 1
            active += 1
            session.flush()
        if backfill.position == len(backfill.days) and not active:
            self._finish(session, backfill)

    def _finish(self, session: Session, backfill: Backfill) -> None:
        counts = repository.counts(session, [backfill.id])[backfill.id]
        well = sum(counts.get(state, 0) for state in GOOD)
        bad = len(backfill.days) - well
        backfill.state = BackfillState.FAILED if bad else BackfillState.SUCCEEDED
        backfill.message = f"{well} of {len(backfill.days)} days scored" + (f", {bad} not" if bad else "")
        backfill.finished_at = self._services.clock.now()
        self._rules.record(session, "backfill.finished", backfill, PLATFORM, reason=backfill.message, counts=counts)


def planned(
    lake: Lake,
    batch: Batch,
    day: date,
    model: str,
    version: int,
    digest: str,
    *,
    there: bool,
    scored_by: int | None,
) -> PlannedDay:
    """Return what is to be done about a day, from what the lake has of it. ``there`` says whether it has input."""
    manifest = lake.manifest(batch.output, batch.partition, day)
    ours = manifest is not None and manifest.identity.model == model
    by = manifest.identity.version if manifest is not None and ours else None
    if scored_by is not None and by != scored_by:
        return PlannedDay(day, "not_asked_for", by)
    files = lake.files(batch.input, batch.partition, day) if there else []
    if not files:
        return PlannedDay(day, "no_input", by)
    if manifest is None:
        return PlannedDay(day, "missing", None)
    if not ours or by != version or manifest.identity.model_digest != digest:
        return PlannedDay(day, "other_version", by)
    return PlannedDay(day, "unchanged" if same_files(manifest, files) else "changed", by)
