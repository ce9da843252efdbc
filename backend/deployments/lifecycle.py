"""Every change of a rollout's state: one function, one transaction (the caller's), its audit event and a sentence.

The engine and the people who step in call the same functions. A function that finds the rollout decided already by
somebody else changes nothing and says so, so a person's word and the engine's can't overwrite each other.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.deployments import repository, samples, words
from backend.deployments.analysis import Judgement
from backend.deployments.figures import Figures, figures_of, note
from backend.deployments.models import (
    ENDED,
    Deployment,
    DeploymentStep,
    Kind,
    Outcome,
    Phase,
    StepKind,
    StepState,
    Traffic,
    TrafficState,
)
from backend.deployments.steps import promoted, steps_of
from backend.identity.principal import Principal
from mlplatform.spec.model import ModelSpec, ModelType

EVENT = "ml-platform.deployments"
"""What the types of this domain's audit events begin with."""
CHAMPION, CHALLENGER = "champion", "challenger"
_PHASES = {
    StepKind.START: Phase.STARTING,
    StepKind.WARM: Phase.WARMING,
    StepKind.COMPARE: Phase.COMPARING,
    StepKind.SHADOW: Phase.SHADOWING,
    StepKind.CANARY: Phase.PROGRESSING,
    StepKind.PROMOTE: Phase.PROMOTING,
}


class Lifecycle:
    """The transitions of deployments and of the traffic that they want."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def spec_of(self, session: Session, model: str, version: int) -> ModelSpec:
        """Return the ``model.yaml`` that a version was registered with."""
        return ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)

    def plan(self, session: Session, deployment_id: str) -> list[tuple[int, str]]:
        """Take a deployment up: write its steps down and return them; none when it is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.is_decided:
            return []
        if not deployment.steps:
            primary = repository.live(session, deployment.environment, deployment.model)
            deployment.previous_version = primary.version if primary else None
            spec = self.spec_of(session, deployment.model, deployment.version)
            kinds = steps_of(deployment, spec, has_primary=primary is not None)
            for index, (kind, weight) in enumerate(kinds):
                step = DeploymentStep(
                    deployment_id=deployment.id, index=index, kind=kind, weight=weight, state=StepState.PENDING
                )
                session.add(step)
            session.flush()
            deployment = repository.lock(session, deployment_id)
            self._record(
                session,
                "rollout.started",
                deployment,
                f"v{deployment.version} is being rolled out"
                + (f" beside v{primary.version}" if primary else "; nothing is live here yet"),
                steps=[{"kind": kind, "weight": weight} for kind, weight in kinds],
            )
        return [(step.index, step.kind) for step in deployment.steps]

    def begin(self, session: Session, deployment_id: str, index: int) -> DeploymentStep | None:
        """Begin a step, or go on with it after a crash; ``None`` when the rollout is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return None
        step = repository.step(deployment, index)
        if step.state in (StepState.PASSED, StepState.BREACHED):
            return step
        if step.state == StepState.PENDING:
            step.state = StepState.RUNNING
            step.started_at = self._services.clock.now()
        if deployment.phase != Phase.HELD or step.state != StepState.HELD:
            deployment.phase = _PHASES[StepKind(step.kind)]
            self._services.overview.changed(session, deployment.model)
        self._arrange(session, deployment, step)
        return step

    def passed(
        self,
        session: Session,
        deployment_id: str,
        index: int,
        reason: str,
        judgement: Judgement | Figures | None = None,
    ) -> bool:
        """End a step well; false when the rollout is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return False
        step = repository.step(deployment, index)
        if step.state == StepState.PASSED:
            return True
        note(step, judgement)
        step.state, step.reason, step.finished_at = StepState.PASSED, reason, self._services.clock.now()
        if deployment.phase == Phase.HELD:
            deployment.phase = _PHASES[StepKind(step.kind)]
        deployment.reason = None
        self._record(
            session, "rollout.step_passed", deployment, reason, step=index, kind=step.kind, **figures_of(judgement)
        )
        return True

    def progress(
        self, session: Session, deployment_id: str, index: int, judgement: Judgement, evidence: dict[str, Any]
    ) -> bool:
        """Keep a tick's figures; false when the rollout is decided already. Not a transition, so no event."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return False
        note(repository.step(deployment, index), judgement)
        samples.keep(session, deployment_id, index, judgement, self._services.clock.now())
        deployment.evidence = evidence
        return True

    def hold(self, session: Session, deployment_id: str, index: int, reason: str) -> bool:
        """Say that a step can't be judged yet; false when the rollout is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return False
        step = repository.step(deployment, index)
        if step.state != StepState.HELD:
            step.state, step.reason = StepState.HELD, reason
            deployment.phase, deployment.reason = Phase.HELD, reason
            self._record(session, "rollout.held", deployment, reason, step=index)
        return True

    def extend(self, session: Session, deployment_id: str, index: int, reason: str) -> bool:
        """Say that a step goes on until the matter is decided; false when the rollout is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return False
        step = repository.step(deployment, index)
        step.state, step.reason = StepState.RUNNING, reason
        deployment.phase, deployment.reason = _PHASES[StepKind(step.kind)], reason
        self._record(session, "rollout.extended", deployment, reason, step=index)
        return True

    def promote(self, session: Session, deployment_id: str, index: int) -> bool:
        """Give the version all traffic and the champion's name; false when the rollout is decided already."""
        deployment = repository.lock(session, deployment_id)
        if deployment.phase in ENDED:
            return False
        if deployment.outcome == Outcome.PROMOTED:
            return True
        now = self._services.clock.now()
        rows = repository.traffic(session, deployment.environment, deployment.model, lock=True)
        former = next((row for row in rows if row.state == TrafficState.LIVE), None)
        spec = self.spec_of(session, deployment.model, deployment.version)
        keep_warm = spec.rollout.keep_warm
        for row in rows:
            mine = row.version == deployment.version
            row.weight, row.mirror, row.failed_over = (100 if mine else 0), 0, False
            if mine:
                row.state, row.warm_until = TrafficState.LIVE, None
        going_back = deployment.kind == Kind.ROLLBACK
        if former is not None and former.version != deployment.version:
            if going_back:
                session.delete(former)
            else:
                former.state, former.warm_until = TrafficState.WARM, now + keep_warm
        session.flush()
        deployment.phase, deployment.outcome = Phase.PROMOTING, Outcome.PROMOTED
        deployment.reason = deployment.reason if going_back else promoted(deployment, former, spec)
        step = repository.step(deployment, index) if deployment.steps else None
        if step is not None:
            step.state, step.started_at = StepState.PASSED, step.started_at or now
            step.finished_at, step.reason = now, deployment.reason
        self._move_aliases(session, deployment, champion=deployment.version)
        if going_back and former is not None:
            said = f"v{former.version} was rolled back to v{deployment.version}: {deployment.reason}"
            kind, actor = "rollout.rolled_back", deployment.requested_by
            if spec.type is ModelType.BATCH:
                self._services.batch.withdraw(
                    session,
                    environment=deployment.environment,
                    model=deployment.model,
                    version=former.version,
                    instead=deployment.version,
                    reason=said,
                )
        else:
            said, kind, actor = deployment.reason or "", "rollout.promoted", PLATFORM
        self._record(session, kind, deployment, said, actor=actor)
        self._shifted(session, deployment, said, actor=actor)
        return True

    def roll_back(
        self,
        session: Session,
        deployment_id: str,
        outcome: Outcome,
        reason: str,
        *,
        actor: str = PLATFORM,
        judgement: Judgement | Figures | None = None,
        access: Decision | None = None,
    ) -> bool:
        """Take the version's traffic away and decide the rollout so; false when it is decided already.

        ``access`` is the decision that let somebody do it.
        """
        deployment = repository.lock(session, deployment_id)
        if deployment.is_decided:
            return False
        now = self._services.clock.now()
        for step in deployment.steps:
            if step.state in (StepState.RUNNING, StepState.HELD):
                note(step, judgement)
                step.state = StepState.HELD if outcome is Outcome.HELD else StepState.BREACHED
                step.finished_at, step.reason = now, reason
        rows = repository.traffic(session, deployment.environment, deployment.model, lock=True)
        mine = next((row for row in rows if row.version == deployment.version), None)
        primary = next((row for row in rows if row.state == TrafficState.LIVE), None)
        had_traffic = mine is not None and (mine.weight > 0 or mine.mirror > 0)
        if mine is not None and mine.state == TrafficState.CANARY:
            # It stays up until the deployment is completed: should the primary be dead, something has to answer.
            mine.weight = mine.mirror = 0
        if primary is not None:
            primary.weight = 100
        session.flush()
        deployment.phase, deployment.outcome, deployment.reason = Phase.ROLLING_BACK, outcome, reason
        if deployment.steps:
            self._move_aliases(session, deployment, champion=None)
        events = {
            Outcome.HELD: "rollout.rolled_back",
            Outcome.ROLLED_BACK: "rollout.rolled_back",
            Outcome.FAILED: "rollout.failed",
            Outcome.ABORTED: "deployment.aborted",
        }
        more = {} if access is None else {"access": access.as_json()}
        self._record(session, events[outcome], deployment, reason, actor=actor, **more, **figures_of(judgement))
        if had_traffic:
            self._shifted(session, deployment, reason, actor=actor)
        return True

    def complete(self, session: Session, deployment_id: str, *, keep: bool = False) -> None:
        """Close a decided deployment, when the traffic is as it wants it.

        A version that was not promoted is stopped, or with ``keep`` stays up for a while to stand in for a dead primary.
        """
        deployment = repository.lock(session, deployment_id)
        if deployment.phase == Phase.COMPLETED:
            return
        now = self._services.clock.now()
        row = repository.traffic_of(session, deployment.environment, deployment.model, deployment.version)
        if row is not None and row.state == TrafficState.CANARY:
            if keep:
                keep_warm = self.spec_of(session, deployment.model, deployment.version).rollout.keep_warm
                row.state, row.warm_until = TrafficState.WARM, now + keep_warm
            else:
                session.delete(row)
        deployment.phase, deployment.finished_at = Phase.COMPLETED, now
        deployment.evidence = None
        self._record(session, "rollout.finished", deployment, deployment.reason or "")

    def _arrange(self, session: Session, deployment: Deployment, step: DeploymentStep) -> None:
        """Make the desired traffic what the step asks for."""
        rows = repository.traffic(session, deployment.environment, deployment.model, lock=True)
        row = next((one for one in rows if one.version == deployment.version), None)
        if row is None:
            spec = self.spec_of(session, deployment.model, deployment.version)
            row = Traffic(
                environment=deployment.environment,
                model=deployment.model,
                version=deployment.version,
                weight=0,
                mirror=0,
                state=TrafficState.CANARY,
                replicas=spec.serving.replicas,
                failed_over=False,
            )
            session.add(row)
        elif row.state == TrafficState.WARM:
            row.state, row.warm_until = TrafficState.CANARY, None
        if step.kind == StepKind.START and deployment.kind == Kind.ROLLOUT:
            self._move_aliases(session, deployment, challenger=deployment.version, champion=None)
        weight = (step.weight or 0) if step.kind == StepKind.CANARY else 0
        mirror = (step.weight or 0) if step.kind == StepKind.SHADOW else 0
        session.flush()
        if (row.weight, row.mirror) == (weight, mirror):
            return
        row.weight, row.mirror = weight, mirror
        if primary := repository.live(session, deployment.environment, deployment.model):
            primary.weight = 100 - weight
        session.flush()
        what = f"{weight} % to v{row.version}" if weight else f"{mirror} % mirrored to v{row.version}"
        self._shifted(session, deployment, what)

    def _move_aliases(
        self, session: Session, deployment: Deployment, *, champion: int | None, challenger: int | None = None
    ) -> None:
        """Move ``champion`` and ``challenger``; they follow one environment, see :func:`alias_environment`."""
        if deployment.environment != alias_environment(list(self._services.settings.environments)):
            return
        registry = self._services.registry
        if champion is not None:
            registry.set_alias(session, deployment.model, CHAMPION, champion, PLATFORM)
        if challenger is not None:
            registry.set_alias(session, deployment.model, CHALLENGER, challenger, PLATFORM)
        else:
            registry.clear_alias(session, deployment.model, CHALLENGER, PLATFORM)

    def _shifted(self, session: Session, deployment: Deployment, reason: str, *, actor: str = PLATFORM) -> None:
        rows = repository.traffic(session, deployment.environment, deployment.model)
        shares = [
            {"version": row.version, "weight": row.weight, "mirror": row.mirror, "state": row.state} for row in rows
        ]
        sentence = f"traffic: {words.weights(rows)} ({reason})"
        self._record(session, "traffic.shifted", deployment, sentence, actor=actor, traffic=shares)

    def _record(
        self, session: Session, event: str, deployment: Deployment, reason: str, *, actor: str = PLATFORM, **data: Any
    ) -> None:
        record(self._services, session, event, deployment, actor, reason=reason, **data)


def record(
    services: Services,
    session: Session,
    event: str,
    deployment: Deployment,
    actor: Principal | str,
    *,
    reason: str,
    **data: Any,
) -> None:
    """Write an audit event about a deployment, and have the overview follow."""
    services.overview.changed(session, deployment.model)
    services.audit.append(
        session,
        type=f"{EVENT}.{event}",
        subject=subject_of(deployment),
        actor=actor,
        data={**about(deployment), "reason": reason, **data},
    )


def subject_of(deployment: Deployment) -> str:
    """Return the subject of a deployment's events; it begins with the model's, so both are found together."""
    return f"model:{deployment.model}/deployments/{deployment.id}"


def about(deployment: Deployment) -> dict[str, Any]:
    """Return what every event about a deployment says."""
    return {
        "deployment": deployment.id,
        "model": deployment.model,
        "version": deployment.version,
        "environment": deployment.environment,
        "digest": deployment.digest,
        "previousVersion": deployment.previous_version,
        "phase": deployment.phase,
        "outcome": deployment.outcome,
    }


def alias_environment(environments: Sequence[str]) -> str:
    """Return the environment that ``champion`` and ``challenger`` follow: production, else the last one configured.

    The registry has one champion per model, and training compares with the one that users meet.
    """
    return "production" if "production" in environments else environments[-1]
