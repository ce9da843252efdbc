"""Who may do what to a deployment, and the facts that admission is decided by."""

from typing import Any

from sqlalchemy.orm import Session

from backend.core.config import EnvironmentSettings
from backend.core.container import Services
from backend.core.errors import Conflict, Forbidden, NotFound
from backend.deployments import lifecycle, repository
from backend.deployments.admission import Actor, Budget, Data, Facts, RequireApproval, Waived
from backend.deployments.lifecycle import EVENT, about, subject_of
from backend.deployments.models import ENDED, Deployment, Phase, Traffic
from backend.identity.principal import Principal, may_act_for
from mlplatform.spec.model import ModelSpec


class RolloutInProgress(Conflict):
    """There is a deployment of that model in that environment that is not over."""

    slug = "rollout-in-progress"
    title = "Rollout in progress"


class Rules:
    """The checks that requests and interventions share."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def environment(self, name: str) -> EnvironmentSettings:
        """Return an environment's settings.

        Raises:
            NotFound: it is not configured.
        """
        settings = self._services.settings.environments.get(name)
        if settings is None:
            known = ", ".join(self._services.settings.environments)
            raise NotFound(f"there is no environment {name[:63]!r}", fix=f"Configured are: {known}.")
        return settings

    def get(self, session: Session, deployment_id: str) -> Deployment:
        """Return a deployment.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, deployment_id)
        if found is None:
            raise NotFound(f"there is no deployment {deployment_id[:40]!r}")
        return found

    def reloaded(self, session: Session, deployment_id: str) -> Deployment:
        """Return a deployment as it is after what this transaction did to it."""
        session.flush()
        session.expire_all()
        return self.get(session, deployment_id)

    def facts(self, session: Session, model: str, version: int, environment: str, *, requested_by: Actor) -> Facts:
        """Return what admission of a version to an environment is decided by."""
        row = self._services.registry.get_version(session, model, version)
        inherited = self._services.datasets.inherited(session, ModelSpec.model_validate(row.spec))
        return Facts(
            subject=self._services.registry.subject(row),
            attestations=self._services.attestations.for_digest(session, row.digest),
            owner=self._services.registry.get_model(session, model).owner,
            requested_by=requested_by,
            author=Actor(row.created_by, row.lineage.get("onBehalfOf")),
            waivers=[
                Waived(one.id, one.gate, frozenset(one.checks), str(one.decided_by), one.expires_at, one.reason)
                for one in self._services.waivers.active(session, model, environment)
            ],
            budgets=[
                Budget(one.slo, one.remaining or 0.0)
                for one in self._services.slos.exhausted(session, environment, model)
            ],
            was_live=repository.last_promoted(session, environment, model, version=version) is not None,
            data=[
                Data(one.name, one.declared, one.known, one.basis, one.effective == one.declared) for one in inherited
            ],
        )

    def may_deploy(self, session: Session, caller: Principal, model: str, verb: str) -> None:
        """Let through the model's repository, its owner group and platform administrators."""
        row = self._services.registry.get_model(session, model)
        permissions = self._services.settings.permissions
        if not may_act_for(caller, owner=row.owner, repository=row.repository, permissions=permissions):
            raise Forbidden(
                f"{caller.ref} may not {verb} {model}",
                fix=f"Members of {row.owner} and the repository {row.repository} may.",
            ).audited(type=f"{EVENT}.deployment.refused", subject=f"model:{model}", actor=caller.ref, verb=verb)

    def may_step_in(self, session: Session, caller: Principal, model: str, environment: str, verb: str) -> None:
        """Let through whoever may deploy, and those who approve."""
        if not caller.in_any(self.environment(environment).approval.groups):
            self.may_deploy(session, caller, model, verb)

    def may_decide(self, session: Session, caller: Principal, deployment: Deployment, event: str) -> Facts:
        """Let through those who may approve this deployment; return the facts."""
        approval = self.environment(deployment.environment).approval
        asked = Actor(deployment.requested_by, deployment.on_behalf_of)
        place = (deployment.model, deployment.version, deployment.environment)
        facts = self.facts(session, *place, requested_by=asked)
        if reason := RequireApproval(approval).refuses(caller, facts):
            raise Forbidden(reason).audited(
                type=f"{EVENT}.{event}", subject=subject_of(deployment), actor=caller.ref, **about(deployment)
            )
        return facts

    def is_free(self, session: Session, environment: str, model: str) -> None:
        """Refuse a second deployment at a time."""
        running = repository.in_progress(session, environment, model)
        if running is not None:
            raise self.in_progress(running)

    def is_awaited(self, deployment: Deployment) -> None:
        """Refuse to decide what waits for nobody."""
        if deployment.phase != Phase.AWAITING_APPROVAL:
            raise Conflict(f"the deployment does not wait for approval; it is {state_of(deployment)}")

    def can_be_promoted(self, deployment: Deployment) -> None:
        """Refuse to cut short an analysis that has not begun or is over."""
        if deployment.phase in (*ENDED, Phase.AWAITING_APPROVAL, Phase.PROMOTING):
            raise Conflict(f"the deployment is no running rollout; it is {state_of(deployment)}")

    def can_be_aborted(self, deployment: Deployment) -> None:
        """Refuse to end what is decided."""
        if deployment.is_decided:
            raise Conflict(
                f"the deployment can't be aborted any more: it is {state_of(deployment)}",
                fix="A version that is live is taken back with a rollback.",
            )

    def to_abort_first(self, session: Session, environment: str, model: str) -> Deployment | None:
        """Return the running rollout that a rollback there means to abort, if there is one; refuse while one settles."""
        running = repository.in_progress(session, environment, model)
        if running is None or running.phase == Phase.AWAITING_APPROVAL:
            return None
        if running.outcome is not None:
            raise RolloutInProgress(f"deployment {running.id} is {state_of(running)}; try again in a moment")
        return running

    def way_back(self, session: Session, environment: str, model: str) -> tuple[Traffic, int]:
        """Return what is live, and the version that was before it.

        Raises:
            Conflict: there is none.
        """
        live = repository.live(session, environment, model)
        former = None if live is None else repository.former_version(session, environment, model)
        if live is None or former is None:
            raise Conflict(f"there is no former version of {model} in {environment} to go back to")
        return live, former

    def in_progress(self, running: Deployment) -> RolloutInProgress:
        """Return the error that says what is in the way."""
        place = f"{running.model} in {running.environment}"
        waiting = running.phase == Phase.AWAITING_APPROVAL
        return RolloutInProgress(
            f"v{running.version} of {place} is {running.phase}; one deployment at a time",
            fix="Have it approved, or abort it." if waiting else "Wait for it, or abort it.",
            deployment=running.id,
        )

    def record(
        self,
        session: Session,
        event: str,
        deployment: Deployment,
        actor: Principal | str,
        *,
        reason: str,
        **data: Any,
    ) -> None:
        """Write an audit event about a deployment."""
        lifecycle.record(self._services, session, event, deployment, actor, reason=reason, **data)


def state_of(deployment: Deployment) -> str:
    """Return phase and outcome in words."""
    return deployment.phase if deployment.outcome is None else f"{deployment.phase} ({deployment.outcome})"
