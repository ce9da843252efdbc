"""Who may do what to a deployment, and the facts that admission is decided by."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Context, Decision
from backend.access.resources import Action
from backend.core.config import EnvironmentSettings
from backend.core.container import Services
from backend.core.errors import Conflict, Forbidden, NotFound
from backend.deployments import lifecycle, repository
from backend.deployments.admission import QUOTA, Budget, Data, Facts, Finding, RequireApproval, Verdict, Waived
from backend.deployments.lifecycle import EVENT, about, subject_of
from backend.deployments.models import ENDED, Deployment, Phase, Traffic
from backend.deployments.quotas import Quotas
from backend.identity.principal import Actor, Principal
from mlplatform.spec.model import ModelSpec

_ACTIONS = {"deploy": Action.DEPLOY, "abort": Action.ABORT, "roll back": Action.ROLLBACK}


class AdmissionRefused(Forbidden):
    """The version does not meet the environment's policy; ``requirements`` lists how it stands to each demand."""

    slug: ClassVar[str] = "admission-refused"
    title: ClassVar[str] = "Admission refused"


class RolloutInProgress(Conflict):
    """There is a deployment of that model in that environment that is not over."""

    slug = "rollout-in-progress"
    title = "Rollout in progress"


class ExperimentInProgress(Conflict):
    """There is an experiment with that model in that environment."""

    slug = "experiment-in-progress"
    title = "Experiment in progress"


class Rules:
    """The checks that requests and interventions share."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.quotas = Quotas(services)

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

    def facts(
        self,
        session: Session,
        model: str,
        version: int,
        environment: str,
        *,
        requested_by: Actor,
        beside: bool = False,
    ) -> Facts:
        """Return what admission of a version to an environment is decided by; ``beside`` the live one for an experiment."""
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
            quotas=self.quotas.of(session, model, version, environment, beside=beside),
            was_live=repository.last_promoted(session, environment, model, version=version) is not None,
            data=[
                Data(one.name, one.declared, one.known, one.basis, one.effective == one.declared) for one in inherited
            ],
            commit_author=row.lineage.get("commitAuthor"),
        )

    def may_deploy(
        self, session: Session, caller: Principal, model: str, verb: str, context: Context | None = None
    ) -> Decision:
        """Let through whom the policies permit to deploy, abort or roll back; return their decision.

        By the shipped policies these are the model's repository, its owner group and platform administrators.
        """
        resource = self._services.access.model(session, model)
        return self._services.access.require(
            session,
            caller,
            _ACTIONS[verb],
            resource,
            context,
            detail=f"{caller.ref} may not {verb} {model}",
            fix=f"Members of {resource.owner} and the repository {resource.repository} may.",
            event=f"{EVENT}.deployment.refused",
            verb=verb,
        )

    def may_step_in(self, session: Session, caller: Principal, model: str, environment: str, verb: str) -> Decision:
        """Let through whoever may deploy, and those who approve; return the policies' decision."""
        approvers = tuple(self.environment(environment).approval.groups)
        return self.may_deploy(session, caller, model, verb, Context(environment=environment, approvers=approvers))

    def may_break_glass(
        self, session: Session, caller: Principal, model: str, version: int, environment: str, reason: str
    ) -> Decision:
        """Let through those who may deploy against the environment's policy; return the policies' decision."""
        groups = " or ".join(self._services.settings.permissions.break_glass)
        return self._services.access.require(
            session,
            caller,
            Action.BREAK_GLASS,
            self._services.access.model(session, model),
            Context(environment=environment),
            detail=f"{caller.ref} may not break the glass; members of {groups} may",
            fix="Leave breakGlass out, and see to the requirements.",
            event=f"{EVENT}.deployment.refused",
            subject=f"model:{model}/versions/{version}",
            environment=environment,
            breakGlass=reason,
        )

    def may_decide(
        self, session: Session, caller: Principal, deployment: Deployment, event: str, action: Action
    ) -> tuple[Facts, Decision]:
        """Let through those who may approve or promote this deployment; return the facts and the policies' decision."""
        asked = Actor(deployment.requested_by, deployment.on_behalf_of)
        place = (deployment.model, deployment.version, deployment.environment)
        try:
            return self.may_answer(session, caller, *place, requested_by=asked, action=action)
        except Forbidden as refused:
            raise refused.audited(
                type=f"{EVENT}.{event}",
                subject=subject_of(deployment),
                actor=caller.ref,
                **about(deployment),
                **refused.extra,
            ) from None

    def may_answer(
        self,
        session: Session,
        caller: Principal,
        model: str,
        version: int,
        environment: str,
        *,
        requested_by: Actor,
        action: Action,
        beside: bool = False,
    ) -> tuple[Facts, Decision]:
        """Let through those who may say yes to what was asked for; return the facts and the policies' decision."""
        approval = self.environment(environment).approval
        facts = self.facts(session, model, version, environment, requested_by=requested_by, beside=beside)
        groups = RequireApproval(approval).groups(facts)
        context = Context(
            environment=environment,
            approvers=tuple(groups),
            not_author=approval.not_author,
            requester=facts.requested_by,
            author=facts.author,
            commit_author=facts.commit_author,
        )
        decision = self._services.access.require(
            session,
            caller,
            action,
            self._services.access.model(session, model),
            context,
            detail=f"only members of {' or '.join(groups)} may decide; {caller.ref} is none",
        )
        return facts, decision

    def is_free(self, session: Session, environment: str, model: str) -> None:
        """Refuse a second deployment at a time, and one beside an experiment."""
        running = repository.in_progress(session, environment, model)
        if running is not None:
            raise self.in_progress(running)
        trial = repository.experiment(session, environment, model)
        if trial is not None:
            raise ExperimentInProgress(
                f"experiment {trial.experiment} tries v{trial.version} of {model} in {environment}; one thing at a time",
                fix=f"Wait for its end, or stop it: platform experiment stop {trial.experiment}",
                experiment=trial.experiment,
            )

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


def refused(caller: Principal, model: str, version: int, environment: str, verdict: Verdict) -> AdmissionRefused:
    """Return the error that says what of an environment's policy a version does not meet."""
    fix = "See to what is missing or failed, register again, and deploy the new version."
    if {one.requirement for one in verdict.unmet} == {QUOTA}:
        fix = "Ask for less in serving of model.yaml, take down what is not needed, or have the quota raised."
    return AdmissionRefused(
        f"v{version} of {model} may not go to {environment}: {listed(verdict.unmet)}",
        fix=fix,
        requirements=verdict.as_json(),
    ).audited(
        type=f"{EVENT}.deployment.refused",
        subject=f"model:{model}/versions/{version}",
        actor=caller.ref,
        environment=environment,
        requirements=verdict.as_json(),
    )


def listed(findings: Sequence[Finding]) -> str:
    """Return how requirements stand, in words."""
    return "; ".join(f"{one.requirement} {one.state} ({one.message})" for one in findings)


def state_of(deployment: Deployment) -> str:
    """Return phase and outcome in words."""
    return deployment.phase if deployment.outcome is None else f"{deployment.phase} ({deployment.outcome})"
