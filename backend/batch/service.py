"""Runs of days: asked for, looked at, cancelled; and what rollouts need to know of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.batch import repository
from backend.batch.backfills import Backfills
from backend.batch.models import ACTIVE, BackfillState, BatchRun, Cause, RunState
from backend.batch.rules import Rules, RunInProgress
from backend.batch.schedule import next_time
from backend.core.container import Services
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal


@dataclass(frozen=True)
class Standing:
    """A batch model in an environment as it is now."""

    environment: str
    model: str
    version: int | None
    schedule: str | None
    next_run: datetime | None
    last_success: BatchRun | None
    last_run: BatchRun | None
    active: Sequence[BatchRun]


class BatchService:
    """Runs. Backfills are in :attr:`backfills`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.rules = Rules(services)
        self.backfills = Backfills(services, self.rules)

    def get(self, session: Session, run_id: str) -> BatchRun:
        """Return a run.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, run_id)
        if found is None:
            raise NotFound(f"there is no batch run {run_id[:40]!r}")
        return found

    def request(
        self,
        session: Session,
        caller: Principal,
        *,
        environment: str,
        model: str,
        day: date,
        version: int | None,
        force: bool,
        reason: str | None,
    ) -> BatchRun:
        """Ask for a day to be scored.

        Raises:
            RunInProgress: it is being scored already.
        """
        self.rules.environment(environment)
        self.rules.batch_model(session, model)
        decision = self.rules.may_run(session, caller, model, "start a run")
        number = self.rules.version(session, environment, model, version)
        self.rules.batch(session, model, number)
        run = BatchRun(
            id=new_id(),
            environment=environment,
            model=model,
            version=number,
            day=day,
            cause=Cause.MANUAL,
            force=force,
            state=RunState.PENDING,
            requested_by=caller.ref,
            reason=reason,
            requested_at=self._services.clock.now(),
        )
        self.add(session, run)
        said = f"{caller.ref} wants {day} of {model} scored by v{number}" + (f": {reason}" if reason else "")
        self.rules.record(session, "run.requested", run, caller, reason=said, access=decision.as_json())
        return run

    def add(self, session: Session, run: BatchRun) -> None:
        """Add a run; of two for the same day one is told about the other.

        Raises:
            RunInProgress: there is one that is not over.
        """
        try:
            with session.begin_nested():
                session.add(run)
                session.flush()
        except IntegrityError:
            there = repository.active(session, run.environment, run.model, day=run.day)
            if not there:
                raise
            raise RunInProgress(
                f"{run.day} of {run.model} in {run.environment} is being scored by v{there[0].version} already",
                fix="A day has one run at a time: wait for it, or cancel it.",
                run=there[0].id,
            ) from None

    def cancel(self, session: Session, caller: Principal, run_id: str, reason: str) -> BatchRun:
        """End a run that is not over; its process is ended at once.

        Raises:
            Conflict: it is over.
        """
        decision = self.rules.may_run(session, caller, self.get(session, run_id).model, "cancel a run")
        run = repository.lock(session, run_id)
        if run.state not in ACTIVE:
            raise Conflict(f"the run is over: it has {run.state}")
        if run.cause == Cause.TRIAL:
            raise Conflict(
                "the run is part of a rollout", fix="Abort the rollout: `platform abort`.", deployment=run.deployment_id
            )
        said = f"cancelled by {caller.ref}: {reason}"
        self._cancel(session, run, said, caller, access=decision.as_json())
        return run

    def _cancel(self, session: Session, run: BatchRun, said: str, actor: Principal | str, **more: Any) -> None:
        run.state, run.message, run.finished_at = RunState.CANCELLED, said, self._services.clock.now()
        self.rules.record(session, "run.cancelled", run, actor, reason=said, **more)
        session.flush()

    def standing(self, session: Session, environment: str, model: str) -> Standing:
        """Return a model in an environment as it is now."""
        self.rules.environment(environment)
        self.rules.batch_model(session, model)
        live = self._services.deployments.live_version(session, environment, model)
        schedule = self.rules.batch(session, model, live).schedule if live is not None else None
        return Standing(
            environment=environment,
            model=model,
            version=live,
            schedule=schedule,
            next_run=next_time(schedule, self._services.clock.now()) if schedule else None,
            last_success=repository.last(session, environment, model, good=True),
            last_run=repository.last(session, environment, model),
            active=repository.active(session, environment, model),
        )

    def last_successes(self, session: Session) -> list[tuple[tuple[str, str], datetime]]:
        """Return when each model in each environment was last scored well, by environment and model."""
        return [((environment, model), at) for environment, model, at in repository.last_successes(session)]

    def ended(self, session: Session, environment: str, model: str, since: datetime) -> list[tuple[datetime, bool]]:
        """Return when runs ended since a time, trials and cancelled ones aside, and whether well."""
        return repository.ended(session, environment, model, since)

    def days_scored_by(self, session: Session, environment: str, model: str, version: int) -> list[date]:
        """Return the days whose answers in the lake are a version's, as far as the platform had it score them."""
        batch = self.rules.batch(session, model, version)
        lake = self.rules.lake(environment)
        touched = repository.days_touched_by(session, environment, model, version)
        found = []
        for day in touched:
            manifest = lake.manifest(batch.output, batch.partition, day)
            if manifest is not None and (manifest.identity.model, manifest.identity.version) == (model, version):
                found.append(day)
        return found

    def scored(self, session: Session, environment: str, model: str, days: Collection[date]) -> set[date]:
        """Return which of these days were scored well, by whichever version."""
        return repository.scored(session, environment, model, days)

    def replaced(
        self, session: Session, environment: str, model: str, version: int, since: datetime, until: datetime
    ) -> list[date]:
        """Return the days whose partitions a version has replaced in a time; trials and runs that changed nothing aside."""
        return list(repository.replaced(session, environment, model, version, since, until))

    def versions_at_work(self, session: Session) -> set[tuple[str, int]]:
        """Return the models and versions that score a day, or are to."""
        return repository.versions_at_work(session)

    # What the deployments domain asks for, in its own transactions.

    def trial(
        self, session: Session, *, deployment_id: str, environment: str, model: str, version: int, day: date
    ) -> str:
        """Have a version score a day for a rollout, publishing nothing; asked again it is the same run. Return its id."""
        for run in repository.trials(session, deployment_id):
            if (run.version, run.day) == (version, day):
                return run.id
        run = BatchRun(
            id=new_id(),
            environment=environment,
            model=model,
            version=version,
            day=day,
            cause=Cause.TRIAL,
            deployment_id=deployment_id,
            state=RunState.PENDING,
            requested_by=PLATFORM,
            requested_at=self._services.clock.now(),
        )
        session.add(run)
        session.flush()
        return run.id

    def trials(self, session: Session, deployment_id: str) -> Sequence[BatchRun]:
        """Return a rollout's trials, oldest first."""
        return repository.trials(session, deployment_id)

    def finished_since(self, session: Session, since: datetime, limit: int) -> Sequence[BatchRun]:
        """Return the runs that were begun and have ended, well or not, at a time or after it."""
        return repository.finished_since(session, since, limit)

    def end_trials(self, session: Session, open_deployments: set[str]) -> None:
        """End trials of rollouts that are over."""
        for run in repository.active_trials(session):
            if run.deployment_id not in open_deployments:
                self._cancel(session, repository.lock(session, run.id), "the rollout is over", PLATFORM)

    def withdraw(
        self, session: Session, *, environment: str, model: str, version: int, instead: int, reason: str
    ) -> None:
        """Have a version that was rolled back score nothing more; scheduled days are scored by the one before it."""
        for backfill in repository.running_backfills(session, environment, model, version):
            locked = repository.lock_backfill(session, backfill.id)
            locked.state, locked.finished_at = BackfillState.CANCELLED, self._services.clock.now()
            locked.message = reason
            self.rules.record(session, "backfill.cancelled", locked, PLATFORM, reason=reason)
        for found in repository.active(session, environment, model, version=version):
            run = repository.lock(session, found.id)
            if run.state not in ACTIVE:
                continue
            self._cancel(session, run, reason, PLATFORM)
            if run.cause == Cause.SCHEDULE:
                again: dict[str, Any] = {"environment": environment, "model": model, "day": run.day}
                said = f"{run.day} is scored by v{instead} instead: {reason}"
                replacement = BatchRun(
                    id=new_id(),
                    **again,
                    version=instead,
                    cause=Cause.SCHEDULE,
                    state=RunState.PENDING,
                    requested_by=PLATFORM,
                    reason=said,
                    requested_at=self._services.clock.now(),
                )
                self.add(session, replacement)
                self.rules.record(session, "run.requested", replacement, PLATFORM, reason=said)
