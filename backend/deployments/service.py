"""What people and CI ask of the deployments domain: decided here, from the database alone.

Nothing in here waits for a model server or the proxy: rows are written, and the engine makes them so.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from backend.access.engine import Context
from backend.access.resources import Action
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.deployments import repository, views
from backend.deployments.actions import Actions
from backend.deployments.admission import APPROVAL, ERROR_BUDGET, QUOTA, Decision, Verdict, decide
from backend.deployments.experiment_traffic import ExperimentTraffic
from backend.deployments.interventions import Interventions, add
from backend.deployments.lifecycle import EVENT, Lifecycle
from backend.deployments.models import Approval, Deployment, Kind, Outcome, Phase, Traffic, TrafficState
from backend.deployments.rules import Rules, listed, refused
from backend.deployments.streams import StreamRefused, check_stream
from backend.deployments.targets.base import VersionKey
from backend.deployments.views import Duties, Past, Place
from backend.identity.principal import Actor, Principal
from mlplatform.spec.model import ModelType

_log = logging.getLogger(__name__)


class BudgetUsedUp(Conflict):
    """The model or its team may cost nothing more this month, so nothing new is rolled out; a rollback always is."""

    slug = "budget-used-up"
    title = "Budget used up"


class DeploymentService:
    """Requests and approvals. People who step in later are in :attr:`interventions`, what they may do in :attr:`actions`.

    What experiments ask for is in :attr:`trials`.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rules = Rules(services)
        self.interventions = Interventions(services)
        self.actions = Actions(services)
        self.trials = ExperimentTraffic(services)
        self.quotas = self._rules.quotas

    def get(self, session: Session, deployment_id: str) -> Deployment:
        """Return a deployment.

        Raises:
            NotFound: there is none with that id.
        """
        return self._rules.get(session, deployment_id)

    def places(self, session: Session, models: Sequence[str]) -> dict[str, list[Place]]:
        """Return where models were deployed to, by model."""
        return views.places(session, models)

    def standing(self, session: Session, environment: str, model: str, version: int) -> Verdict:
        """Judge a version by what an environment demands now; what a person decides, and room for it, are left aside."""
        settings = self._rules.environment(environment)
        facts = self._rules.facts(session, model, version, environment, requested_by=Actor(PLATFORM))
        verdict = decide(settings, facts)
        decided = (APPROVAL, ERROR_BUDGET, QUOTA)
        return Verdict(tuple(one for one in verdict.findings if one.requirement not in decided))

    def past(self, session: Session, since: datetime) -> list[Past]:
        """Return the rollouts that were over since a time."""
        return views.past(repository.finished(session, since))

    def taken_back(self, session: Session, since: datetime) -> list[tuple[str, str, int, datetime]]:
        """Return model, environment and version of what was taken back since a time after it was promoted, and when."""
        rows = repository.rollbacks(session, since)
        return [(row.model, row.environment, row.previous_version, row.requested_at) for row in rows]

    def past_of(self, session: Session, model: str, version: int) -> list[Past]:
        """Return the rollouts of a version that are over."""
        return views.past(repository.finished_of(session, model, version))

    def duties(self, session: Session, since: datetime, until: datetime) -> list[Duties]:
        """Return who had which part in the rollouts that were asked for or approved in a period."""
        return views.duties(repository.rollouts_between(session, since, until))

    def request(
        self,
        session: Session,
        caller: Principal,
        *,
        model: str,
        version: int | str | None,
        environment: str,
        break_glass: str | None = None,
    ) -> Deployment:
        """Ask for a version to become live; it is admitted, refused, or waits for an approver.

        Raises:
            AdmissionRefused: the environment's policy is not met.
            RolloutInProgress: another deployment there is not over.
            BudgetUsedUp: the model's or its team's budget is used up, and is enforced.
            StreamRefused: a streaming version can't have a share of the stream there.
        """
        settings = self._rules.environment(environment)
        wanted = self._services.registry.get_version(session, model, version)
        self._services.registry.standing(session, model, wanted.version)
        access = self._rules.may_deploy(session, caller, model, "deploy", Context(environment=environment))
        if break_glass is not None:
            access = self._rules.may_break_glass(session, caller, model, wanted.version, environment, break_glass)
        self._is_free(session, environment, model, wanted.version)
        if break_glass is None:
            self._has_budget(session, caller, environment, model, wanted.version)
        self._fits_the_stream(session, caller, environment, model, wanted.version)
        self.quotas.lock(session, model, environment)
        facts = self._rules.facts(session, model, wanted.version, environment, requested_by=Actor.of(caller))
        verdict = decide(settings, facts)
        if verdict.unmet and break_glass is None:
            raise refused(caller, model, wanted.version, environment, verdict)
        waiting = verdict.waiting and break_glass is None
        deployment = Deployment(
            id=new_id(),
            kind=Kind.ROLLOUT,
            model=model,
            version=wanted.version,
            environment=environment,
            digest=wanted.digest,
            phase=Phase.AWAITING_APPROVAL if waiting else Phase.PENDING,
            requested_by=caller.ref,
            on_behalf_of=caller.on_behalf_of,
            requested_at=self._services.clock.now(),
            requirements=verdict.as_json(),
            break_glass_reason=break_glass,
        )
        add(session, self._rules, deployment)
        said = "waits for approval" if waiting else "is admitted"
        self._rules.record(
            session,
            "deployment.requested",
            deployment,
            caller,
            reason=f"{caller.ref} wants v{wanted.version} in {environment}: it {said}",
            requirements=verdict.as_json(),
            access=access.as_json(),
        )
        if break_glass is not None:
            self._shout(session, caller, deployment, verdict, break_glass)
        return self._rules.get(session, deployment.id)

    def approve(
        self, session: Session, caller: Principal, deployment_id: str, *, approved: bool, comment: str
    ) -> Deployment:
        """Say yes or no to a deployment that waits for it.

        Raises:
            Forbidden: the caller may not decide.
            Conflict: it does not wait for anybody (any more).
        """
        self._rules.get(session, deployment_id)
        deployment = repository.lock(session, deployment_id)
        settings = self._rules.environment(deployment.environment)
        self.quotas.lock(session, deployment.model, deployment.environment)
        facts, access = self._rules.may_decide(session, caller, deployment, "approval.refused", Action.APPROVE)
        self._rules.is_awaited(deployment)
        session.add(
            Approval(
                id=new_id(),
                deployment_id=deployment.id,
                by=caller.ref,
                decision="approve" if approved else "reject",
                comment=comment,
                at=self._services.clock.now(),
            )
        )
        decision = Decision(caller.ref, approved, comment)
        # What was signed, revoked or bound since the request counts as it is now.
        verdict = decide(settings, replace(facts, decisions=(decision,)))
        deployment.requirements = verdict.as_json()
        said = f"{caller.ref} {'approved' if approved else 'rejected'} it" + (f": {comment}" if comment else "")
        event = "deployment.approved" if approved else "deployment.rejected"
        failed = [one for one in verdict.unmet if one.requirement not in (APPROVAL, ERROR_BUDGET)]
        if not approved:
            self._end(deployment, Outcome.REJECTED, said)
        elif failed:
            self._end(deployment, Outcome.REFUSED, f"approved, but by now: {listed(failed)}")
        else:
            deployment.phase = Phase.PENDING
        self._rules.record(session, event, deployment, caller, reason=said, comment=comment, access=access.as_json())
        if approved and failed:
            self._rules.record(
                session,
                "deployment.refused",
                deployment,
                caller,
                reason=deployment.reason or "",
                requirements=verdict.as_json(),
            )
        return self._rules.reloaded(session, deployment_id)

    def place(self, session: Session, environment: str, model: str) -> dict[str, Any]:
        """Return a model in an environment as it is now."""
        self._rules.environment(environment)
        row = self._services.registry.get_model(session, model)
        rows = repository.traffic(session, environment, model)
        running = repository.in_progress(session, environment, model)
        return {
            "model": model,
            "type": row.type,
            "environment": environment,
            "url": f"{self._services.settings.ingress_url}/{environment}/{model}"
            if row.type == ModelType.REALTIME
            else None,
            "champion": _version(rows, TrafficState.LIVE),
            "challenger": _version(rows, TrafficState.CANARY),
            "traffic": rows,
            "rollout": running,
        }

    def live_version(self, session: Session, environment: str, model: str) -> int | None:
        """Return the version of a model that is live in an environment."""
        row = repository.live(session, environment, model)
        return None if row is None else row.version

    def live_everywhere(self, session: Session) -> list[tuple[str, str, int]]:
        """Return what is live: environment, model and version."""
        return repository.live_everywhere(session)

    def serving(self, session: Session) -> set[VersionKey]:
        """Return the versions that users' requests go to."""
        return {VersionKey(*one) for one in repository.serving(session)}

    def warm_since(self, session: Session, environment: str, model: str, version: int) -> datetime | None:
        """Return when a live version was promoted, as long as the one before it is kept warm; else ``None``."""
        rows = repository.traffic(session, environment, model)
        if _version(rows, TrafficState.LIVE) != version or _version(rows, TrafficState.WARM) is None:
            return None
        promoted = repository.last_promoted(session, environment, model, version=version)
        return None if promoted is None else promoted.finished_at or promoted.requested_at

    def live_since(self, session: Session, environment: str, model: str, version: int) -> datetime | None:
        """Return when a version was promoted in an environment, for the last time."""
        promoted = repository.last_promoted(session, environment, model, version=version)
        return None if promoted is None else promoted.finished_at or promoted.requested_at

    def was_live(self, session: Session, environment: str, model: str, version: int) -> bool:
        """Say whether a version was live in an environment at some time."""
        return repository.last_promoted(session, environment, model, version=version) is not None

    def in_progress(self, session: Session, environment: str, model: str) -> str | None:
        """Return the id of the deployment there that is not over."""
        running = repository.in_progress(session, environment, model)
        return None if running is None else running.id

    def undecided(self, session: Session) -> set[str]:
        """Return the ids of all deployments that may still come to anything."""
        return repository.undecided(session)

    def needed_versions(self, session: Session) -> set[tuple[str, int]]:
        """Return the models and versions that are up, have an alias, are being deployed, or would be gone back to."""
        needed = self._services.registry.aliased(session) | repository.under_way(session)
        for row in repository.traffic(session):
            needed.add((row.model, row.version))
            former = repository.former_version(session, row.environment, row.model)
            if former is not None:
                needed.add((row.model, former))
        return needed

    def _is_free(self, session: Session, environment: str, model: str, version: int) -> None:
        repository.lock_place(session, environment, model)
        self._rules.is_free(session, environment, model)
        live = repository.live(session, environment, model)
        if live is not None and live.version == version:
            raise Conflict(f"v{version} of {model} is live in {environment} already")

    def _has_budget(self, session: Session, caller: Principal, environment: str, model: str, version: int) -> None:
        if (reason := self._services.cost.budgets.refuses(session, model)) is not None:
            raise BudgetUsedUp(
                reason, fix="Raise it, wait for the next month, or have somebody who may break the glass deploy it."
            ).audited(
                type=f"{EVENT}.deployment.refused",
                subject=f"model:{model}/versions/{version}",
                actor=caller.ref,
                environment=environment,
            )

    def _fits_the_stream(self, session: Session, caller: Principal, environment: str, model: str, version: int) -> None:
        live = repository.live(session, environment, model)
        lifecycle = Lifecycle(self._services)
        spec = lifecycle.spec_of(session, model, version)
        former = None if live is None else lifecycle.spec_of(session, model, live.version)
        try:
            check_stream(self._services.settings, environment, spec, former)
        except StreamRefused as fault:
            raise fault.audited(
                type=f"{EVENT}.deployment.refused",
                subject=f"model:{model}/versions/{version}",
                actor=caller.ref,
                environment=environment,
            ) from None

    def _end(self, deployment: Deployment, outcome: Outcome, reason: str) -> None:
        deployment.phase, deployment.outcome, deployment.reason = Phase.COMPLETED, outcome, reason
        deployment.finished_at = self._services.clock.now()

    def _shout(
        self, session: Session, caller: Principal, deployment: Deployment, verdict: Verdict, reason: str
    ) -> None:
        overridden = [one.as_json() for one in verdict.findings if one.state != "met"]
        names = ", ".join(str(one["requirement"]) for one in overridden) or "nothing"
        self._rules.record(
            session,
            "deployment.broke_glass",
            deployment,
            caller,
            reason=f"{caller.ref} broke the glass, overriding {names}: {reason}",
            severity="critical",
            breakGlass=reason,
            overridden=overridden,
        )
        self._services.metrics.break_glass.labels(deployment.environment).inc()
        _log.critical(
            "break-glass deployment of %s v%s to %s",
            deployment.model,
            deployment.version,
            deployment.environment,
            extra={"deployment": deployment.id, "actor": caller.ref, "reason": reason, "overridden": names},
        )


def _version(rows: list[Traffic], state: TrafficState) -> int | None:
    return next((row.version for row in rows if row.state == state), None)
