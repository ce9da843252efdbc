"""People stepping in: abort, promote, roll back. Each writes rows; the engine, which reads them at once, makes them so."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.ids import new_id
from backend.deployments import repository
from backend.deployments.lifecycle import Lifecycle
from backend.deployments.models import Deployment, Kind, Outcome, Phase, TrafficState
from backend.deployments.rules import Rules
from backend.deployments.targets.base import TargetUnavailable, VersionKey
from backend.identity.principal import Principal


class Interventions:
    """What people may do to deployments that are under way or over."""

    def __init__(self, services: Services) -> None:
        self._services, self._rules, self._lifecycle = services, Rules(services), Lifecycle(services)

    def abort(self, session: Session, caller: Principal, deployment_id: str, reason: str) -> Deployment:
        """End a deployment that is not over; its traffic goes back.

        Raises:
            Conflict: it is decided already.
        """
        deployment = self._rules.get(session, deployment_id)
        access = self._rules.may_step_in(session, caller, deployment.model, deployment.environment, "abort")
        said = f"aborted by {caller.ref}: {reason}"
        deployment = repository.lock(session, deployment_id)
        self._rules.can_be_aborted(deployment)
        if deployment.phase == Phase.AWAITING_APPROVAL:
            deployment.phase, deployment.outcome, deployment.reason = Phase.COMPLETED, Outcome.ABORTED, said
            deployment.finished_at = self._services.clock.now()
            self._rules.record(session, "deployment.aborted", deployment, caller, reason=said, access=access.as_json())
        else:
            self._lifecycle.roll_back(session, deployment_id, Outcome.ABORTED, said, actor=caller.ref, access=access)
        return self._rules.reloaded(session, deployment_id)

    def promote(self, session: Session, caller: Principal, deployment_id: str, reason: str) -> Deployment:
        """Have a running rollout skip the rest of its analysis.

        Raises:
            Conflict: it is not running.
        """
        deployment = self._rules.get(session, deployment_id)
        _, access = self._rules.may_decide(session, caller, deployment, "promotion.refused", Action.PROMOTE)
        deployment = repository.lock(session, deployment_id)
        self._rules.can_be_promoted(deployment)
        deployment.promote_requested_by, deployment.promote_reason = caller.ref, reason
        said = f"{caller.ref} promotes it without further analysis: {reason}"
        self._rules.record(
            session, "deployment.promotion_requested", deployment, caller, reason=said, access=access.as_json()
        )
        return self._rules.reloaded(session, deployment_id)

    def rollback(self, session: Session, caller: Principal, environment: str, model: str, reason: str) -> Deployment:
        """Go back to the former version, at once when it is still warm; a running rollout is aborted instead.

        Raises:
            Conflict: there is nothing to go back to.
        """
        self._rules.environment(environment)
        self._services.registry.get_model(session, model)
        access = self._rules.may_step_in(session, caller, model, environment, "roll back")
        if (running := self._rules.to_abort_first(session, environment, model)) is not None:
            self.abort(session, caller, running.id, reason)
            live = repository.live(session, environment, model)
            before = live and repository.last_promoted(session, environment, model, version=live.version)
            return before or self._rules.reloaded(session, running.id)
        if (waiting := repository.in_progress(session, environment, model)) is not None:
            self.abort(session, caller, waiting.id, f"a rollback comes first: {reason}")
        return self._go_back(session, caller, environment, model, reason, access)

    def take_back(self, session: Session, environment: str, model: str, version: int, reason: str) -> Deployment | None:
        """Go back from a live version because of what it did, as long as the former one is warm; for the platform itself.

        Nothing happens, and ``None`` is returned, when it is not live any more, when a deployment is under way there (which has
        its own analysis, or was asked for by somebody who knows), or when there is nothing warm to go back to.
        """
        if repository.in_progress(session, environment, model) is not None:
            return None
        rows = repository.traffic(session, environment, model, lock=True)
        live = next((row for row in rows if row.state == TrafficState.LIVE), None)
        former = repository.former_version(session, environment, model)
        warm = any(row.version == former and row.state == TrafficState.WARM for row in rows)
        if live is None or live.version != version or not warm:
            return None
        return self._go_back(session, PLATFORM, environment, model, reason)

    def _go_back(
        self,
        session: Session,
        actor: Principal | str,
        environment: str,
        model: str,
        reason: str,
        access: Decision | None = None,
    ) -> Deployment:
        # Before anything is gone back to: the champion that an experiment compares with is about to go.
        self._services.experiments.taken_back(session, environment, model, actor, reason)
        # Versions that were kept warm long enough are stopped meanwhile; from here on none of these is.
        repository.traffic(session, environment, model, lock=True)
        present, former = self._rules.way_back(session, environment, model)
        version = self._services.registry.get_version(session, model, former)
        who = actor if isinstance(actor, str) else actor.ref
        deployment = Deployment(
            id=new_id(),
            kind=Kind.ROLLBACK,
            model=model,
            version=former,
            environment=environment,
            digest=version.digest,
            phase=Phase.PENDING,
            reason=reason,
            previous_version=present.version,
            requested_by=who,
            on_behalf_of=None if isinstance(actor, str) else actor.on_behalf_of,
            requested_at=self._services.clock.now(),
            requirements=[],
        )
        add(session, self._rules, deployment)
        said = f"{who} rolls v{present.version} back to v{former}: {reason}"
        permitted = {} if access is None else {"access": access.as_json()}
        self._rules.record(session, "deployment.requested", deployment, actor, reason=said, **permitted)
        if self._is_up(session, environment, model, former):
            self._lifecycle.promote(session, deployment.id, 0)
        return self._rules.reloaded(session, deployment.id)

    def settled(self, environment: str, model: str) -> bool:
        """Say whether the proxy has confirmed what is wanted there, and no decided deployment is still open."""
        with self._services.database.read() as session:
            rows = repository.traffic(session, environment, model)
            running = repository.in_progress(session, environment, model)
        confirmed = all(row.served == row.weight or row.failed_over or not row.weight for row in rows)
        return confirmed and (running is None or running.outcome is None)

    def _is_up(self, session: Session, environment: str, model: str, version: int) -> bool:
        """Say whether a version can take traffic this moment."""
        if repository.traffic_of(session, environment, model, version) is None:
            return False
        try:
            replicas = self._services.engine.target.replicas(VersionKey(environment, model, version))
        except TargetUnavailable:
            return False
        return any(one.state == "ready" for one in replicas)


def add(session: Session, rules: Rules, deployment: Deployment) -> None:
    """Add a deployment; of two that come at the same time one is told about the other."""
    try:
        with session.begin_nested():
            session.add(deployment)
            session.flush()
    except IntegrityError:
        running = repository.in_progress(session, deployment.environment, deployment.model)
        if running is None:
            raise
        raise rules.in_progress(running) from None
