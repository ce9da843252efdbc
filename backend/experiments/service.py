"""What people ask of the experiments domain: decided here, from the database alone; the durable work makes it so."""

import secrets
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from backend.access.engine import Context
from backend.access.resources import Action
from backend.core.container import Services
from backend.core.errors import Conflict, Forbidden, InvalidInput, NotFound, PlatformError
from backend.core.ids import new_id
from backend.deployments.admission import Decision as Answer
from backend.deployments.rules import ExperimentInProgress, listed
from backend.experiments import repository, results
from backend.experiments.lifecycle import EVENT, Lifecycle, about, subject_of
from backend.experiments.models import Choice, Experiment, Kind, Outcome, Phase, Source
from backend.experiments.schemas import ExperimentIn, OutcomeIn
from backend.identity.principal import Actor, Principal
from mlplatform.spec.quantities import format_duration


class SplitIsWrong(Conflict):
    """Keys were not split as asked, so the figures say nothing about the versions."""

    slug: ClassVar[str] = "split-is-wrong"
    title: ClassVar[str] = "Split is wrong"


class Reported:
    """What became of reported outcomes."""

    def __init__(self) -> None:
        self.taken = self.further = self.repeated = self.late = 0
        self.unknown: list[str] = []
        self.conflicting: list[str] = []


class ExperimentService:
    """See the module's docstring."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lifecycle = Lifecycle(services)

    def get(self, session: Session, id: str) -> Experiment:
        """Return an experiment.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, id)
        if found is None:
            raise NotFound(f"there is no experiment {id[:40]!r}")
        return found

    def request(self, session: Session, caller: Principal, wish: ExperimentIn) -> Experiment:
        """Begin an experiment, or have it wait for an approver, as a rollout of the challenger would.

        A shadow run shows nobody an answer of the challenger, so it waits for nobody.

        Raises:
            As :meth:`backend.deployments.experiment_traffic.ExperimentTraffic.may_begin`.
            ExperimentInProgress: another one there has not ended.
            InvalidInput: it is to take longer than the platform allows.
        """
        longest = self._services.settings.experiments.longest
        if wish.duration > longest:
            raise InvalidInput(
                f"duration: is {format_duration(wish.duration)}, and the platform allows {format_duration(longest)}",
                fix="Ask for less, or have mlPlatform.experiments.longest raised.",
            )
        try:
            champion, challenger, verdict, access = self._services.deployments.trials.may_begin(
                session, caller, wish.environment, wish.model, wish.version
            )
        except (Conflict, Forbidden) as refused:
            raise self._audited(refused, caller, wish) from None
        waits = verdict.waiting and wish.kind is Kind.AB
        metric = wish.metric
        lower = metric is not None and (metric.better == "lower" or metric.source is not Source.OUTCOMES)
        row = Experiment(
            id=new_id(),
            kind=wish.kind,
            model=wish.model,
            environment=wish.environment,
            champion=champion,
            challenger=challenger,
            percent=wish.percent,
            duration_seconds=int(wish.duration.total_seconds()),
            tolerance=wish.tolerance if wish.kind is Kind.SHADOW else None,
            key_header=wish.key_header,
            metric=metric.name if metric else None,
            source=metric.source if metric else None,
            better=("lower" if lower else "higher") if metric else None,
            effect=metric.effect if metric else None,
            false_alarm_rate=metric.false_alarm_rate if metric else None,
            phase=Phase.AWAITING_APPROVAL if waits else Phase.STARTING,
            reason=wish.reason,
            requirements=verdict.as_json(),
            requested_by=caller.ref,
            on_behalf_of=caller.on_behalf_of,
            requested_at=self._services.clock.now(),
            salt=secrets.token_bytes(32) if wish.kind is Kind.AB else None,
            figures=results.empty(wish.kind),
        )
        self._add(session, row)
        requirements = verdict.as_json()
        self._lifecycle.record(
            session, "requested", row, caller, requirements=requirements, access=access.as_json(), waits=waits
        )
        return row

    def approve(self, session: Session, caller: Principal, id: str, *, approved: bool, comment: str) -> Experiment:
        """Say yes or no to an experiment that waits for it; its requirements are looked at again.

        Raises:
            Forbidden: the caller may not decide.
            Conflict: it does not wait for anybody (any more), or something else is under way there.
        """
        row = self._lifecycle.locked(session, id)
        answer = Answer(caller.ref, approved, comment)
        place = (row.environment, row.model, row.challenger)
        asked = Actor(row.requested_by, row.on_behalf_of)
        trials = self._services.deployments.trials
        try:
            verdict, access = trials.may_approve(session, caller, *place, requested_by=asked, answer=answer)
        except Forbidden as refused:
            raise self._refused(refused, "approval.refused", caller, row) from None
        self.is_awaited(row)
        row.requirements = verdict.as_json()
        said = f"{caller.ref} {'approved' if approved else 'rejected'} it" + (f": {comment}" if comment else "")
        if not approved or verdict.unmet:
            reason = said if not approved else f"approved, but by now: {listed(verdict.unmet)}"
            self._lifecycle.end(session, row, Outcome.REJECTED, reason, actor=caller, access=access.as_json())
            return row
        trials.is_free(session, row.environment, row.model, champion=row.champion, challenger=row.challenger)
        row.phase, row.approved_by, row.reason = Phase.STARTING, caller.ref, said
        self._lifecycle.record(session, "approved", row, caller, comment=comment, access=access.as_json())
        return row

    def stop(self, session: Session, caller: Principal, id: str, reason: str) -> Experiment:
        """End an experiment; everybody meets the champion again.

        Raises:
            Conflict: it has ended already.
        """
        row = self._lifecycle.locked(session, id)
        access = self._may_step_in(session, caller, row)
        self.is_under_way(row)
        said = f"stopped by {caller.ref}: {reason}"
        self._lifecycle.end(session, row, Outcome.STOPPED, said, actor=caller, access=access)
        return row

    def decide(self, session: Session, caller: Principal, id: str, choice: Choice, reason: str) -> Experiment:
        """Put on record what follows from an experiment, and end it if it has not ended.

        A promotion asks for an ordinary deployment of the challenger: admission, approval and rollout are the same as always.

        Raises:
            Conflict: it is decided already, or has not begun.
            SplitIsWrong: it can't be promoted by these figures.
            As :meth:`backend.deployments.service.DeploymentService.request`.
        """
        row = self._lifecycle.locked(session, id)
        access = self._may_decide(session, caller, row)
        self.is_undecided(row)
        if choice is Choice.PROMOTE:
            self._split_is_right(session, row)
        row.decision, row.decision_reason, row.decided_by = choice, reason, caller.ref
        row.decided_at, row.salt = self._services.clock.now(), None
        promoted = choice is Choice.PROMOTE
        said = f"{caller.ref} decided to {choice} {'the challenger' if promoted else 'the champion'}: {reason}"
        self._lifecycle.end(session, row, Outcome.STOPPED, said, actor=caller, keep=promoted)
        if promoted:
            deployment = self._services.deployments.request(
                session, caller, model=row.model, version=row.challenger, environment=row.environment
            )
            row.deployment = deployment.id
        self._lifecycle.record(
            session,
            "decided",
            row,
            caller,
            decision=choice,
            decisionReason=reason,
            summary=results.sentence(row, row.figures),
            result=row.figures.get("result"),
            deployment=row.deployment,
            access=access,
        )
        return row

    def report(
        self, session: Session, caller: Principal, id: str, outcomes: Sequence[OutcomeIn]
    ) -> tuple[Experiment, Reported]:
        """Take outcomes of predictions; one that was reported before changes nothing.

        Of each key the first outcome is tested: what one person does again and again is no further evidence about others.

        Raises:
            Conflict: this experiment has no use for reported outcomes.
        """
        row = self._lifecycle.locked(session, id)
        try:
            self._services.access.require(
                session, caller, Action.REPORT_OUTCOMES, self._services.access.model(session, row.model)
            )
        except Forbidden as refused:
            raise self._refused(refused, "outcomes.refused", caller, row) from None
        if row.source != Source.OUTCOMES:
            what = "a shadow run" if row.kind == Kind.SHADOW else f"an experiment that tests {row.source}"
            raise Conflict(f"{what} has no use for reported outcomes")
        if row.started_at is None:
            raise Conflict("the experiment has not begun, so there are no predictions yet")
        told = self._take(session, row, outcomes)
        counts = row.figures["outcomes"]
        for name in ("taken", "further", "repeated", "late"):
            counts[name] += getattr(told, name)
        counts["unknown"] += len(told.unknown)
        counts["conflicting"] += len(told.conflicting)
        results.rejudge(row, row.figures, self._services.settings.experiments.least_units)
        flag_modified(row, "figures")
        sums = {name: counts[name] for name in ("taken", "repeated", "conflicting", "unknown", "late")}
        self._lifecycle.record(session, "outcomes", row, caller, reported=len(outcomes), sums=sums)
        self._lifecycle.end_as_decided(session, row.id)
        return row, told

    def taken_back(self, session: Session, environment: str, model: str, actor: Principal | str, reason: str) -> None:
        """End what is under way there, because the champion is rolled back."""
        row = repository.in_progress(session, environment, model)
        if row is None:
            return
        row = self._lifecycle.locked(session, row.id)
        who = actor if isinstance(actor, str) else actor.ref
        said = f"v{row.champion} is rolled back by {who}: {reason}"
        self._lifecycle.end(session, row, Outcome.ROLLED_BACK, said, actor=actor)

    def is_awaited(self, row: Experiment) -> None:
        """Refuse to decide what waits for nobody."""
        if row.phase != Phase.AWAITING_APPROVAL:
            raise Conflict(f"the experiment does not wait for approval; it is {state_of(row)}")

    def is_under_way(self, row: Experiment) -> None:
        """Refuse to stop what has ended."""
        if row.phase == Phase.ENDED:
            raise Conflict(f"the experiment has ended already; it is {state_of(row)}")

    def is_undecided(self, row: Experiment) -> None:
        """Refuse to decide twice, or before anything was seen."""
        if row.decision is not None:
            raise Conflict(f"{row.decided_by} has decided already to {row.decision}: {row.decision_reason}")
        if row.started_at is None:
            raise Conflict(f"there is nothing to decide by: the experiment is {state_of(row)}", fix="Stop it, or wait.")

    def may_approve(self, session: Session, caller: Principal, row: Experiment) -> None:
        """Let through those who may say yes to it."""
        asked = Actor(row.requested_by, row.on_behalf_of)
        place = (row.environment, row.model, row.challenger)
        answer = Answer(caller.ref, True, "")
        self._services.deployments.trials.may_approve(session, caller, *place, requested_by=asked, answer=answer)

    def may_step_in(self, session: Session, caller: Principal, row: Experiment) -> None:
        """Let through those who may stop it."""
        self._services.deployments.trials.may_step_in(session, caller, row.environment, row.model)

    def may_decide(self, session: Session, caller: Principal, row: Experiment) -> dict[str, object]:
        """Let through whoever may deploy the model."""
        decision = self._services.access.require(
            session,
            caller,
            Action.DEPLOY,
            self._services.access.model(session, row.model),
            Context(environment=row.environment),
            detail=f"{caller.ref} may not decide about {row.model}",
        )
        return decision.as_json()

    def _may_decide(self, session: Session, caller: Principal, row: Experiment) -> dict[str, object]:
        try:
            return self.may_decide(session, caller, row)
        except Forbidden as refused:
            raise self._refused(refused, "decision.refused", caller, row) from None

    def _may_step_in(self, session: Session, caller: Principal, row: Experiment) -> dict[str, object]:
        decision = self._services.deployments.trials.may_step_in(session, caller, row.environment, row.model)
        return decision.as_json()

    def _split_is_right(self, session: Session, row: Experiment) -> None:
        if row.kind == Kind.AB and self._lifecycle.split(session, row)[0]:
            keys = row.figures["keys"]
            raise SplitIsWrong(
                f"{keys['challenger']} of {keys['champion'] + keys['challenger']} keys met v{row.challenger} where "
                f"{row.percent} % should have: what made the split wrong may have made the outcomes so, too",
                fix="Find out what loses requests, and run another one; or decide to keep, and deploy by a rollout.",
            )

    def _take(self, session: Session, row: Experiment, outcomes: Sequence[OutcomeIn]) -> Reported:
        told = Reported()
        if row.decision is not None:
            told.late = len(outcomes)
            return told
        found = repository.predictions(session, [one.prediction_id for one in outcomes])
        units = repository.units(session, row.id, [one.unit for one in found.values()])
        now = self._services.clock.now()
        for one in outcomes:
            prediction = found.get(one.prediction_id)
            if prediction is None or prediction.experiment_id != row.id:
                told.unknown.append(one.prediction_id)
            elif prediction.value is not None and prediction.value != one.value:
                told.conflicting.append(one.prediction_id)
            elif prediction.value is not None:
                told.repeated += 1
            else:
                prediction.value, prediction.reported_at = one.value, now
                told.taken += 1
                unit = units[prediction.unit]
                if unit.has_outcome or unit.crossed:
                    told.further += 1
                    continue
                unit.has_outcome = True
                results.add_value(row, row.figures, unit.version, one.value)
        return told

    def _add(self, session: Session, row: Experiment) -> None:
        """Add an experiment; of two that come at the same time one is told about the other."""
        try:
            with session.begin_nested():
                session.add(row)
                session.flush()
        except IntegrityError:
            other = repository.in_progress(session, row.environment, row.model)
            if other is None:
                raise
            raise ExperimentInProgress(
                f"experiment {other.id} tries v{other.challenger} of {row.model} in {row.environment}; it is {other.phase}",
                fix=f"Wait for its end, or stop it: platform experiment stop {other.id}",
                experiment=other.id,
            ) from None

    def _audited(self, refused: PlatformError, caller: Principal, wish: ExperimentIn) -> PlatformError:
        data = {"environment": wish.environment, "kind": wish.kind, "version": wish.version, **refused.extra}
        return refused.audited(type=f"{EVENT}.refused", subject=f"model:{wish.model}", actor=caller.ref, **data)

    def _refused(self, refused: Forbidden, event: str, caller: Principal, row: Experiment) -> Forbidden:
        data = {**about(row), **refused.extra}
        data.pop("reason")
        return refused.audited(type=f"{EVENT}.{event}", subject=subject_of(row), actor=caller.ref, **data)


def state_of(row: Experiment) -> str:
    """Return phase and outcome in words."""
    return row.phase if row.outcome is None else f"{row.phase} ({row.outcome})"
