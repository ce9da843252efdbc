"""What experiments ask of the deployments domain: whether a challenger may be tried, and its part of the traffic."""

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Context, Decision
from backend.access.resources import Action
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.deployments import repository
from backend.deployments.admission import Decision as Answer
from backend.deployments.admission import Verdict, decide
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.rules import Rules, refused
from backend.identity.principal import Actor, Principal
from mlplatform.spec.model import ModelSpec, ModelType


class NothingToCompareWith(Conflict):
    """There is no live version, or none that answers requests, or it is the challenger itself."""

    slug: ClassVar[str] = "nothing-to-compare-with"
    title: ClassVar[str] = "Nothing to compare with"


class ExperimentTraffic:
    """The checks that a rollout of the challenger would have to pass, too; and the row of the table of traffic."""

    def __init__(self, services: Services) -> None:
        self._services, self._rules = services, Rules(services)

    def may_begin(
        self, session: Session, caller: Principal, environment: str, model: str, version: int | str | None
    ) -> tuple[int, int, Verdict, Decision]:
        """Return champion, challenger, how the challenger stands to the environment's policy, and why the caller may.

        Raises:
            Forbidden: the caller may not deploy this model.
            AdmissionRefused: the environment's policy is not met.
            RolloutInProgress: a deployment there is not over.
            ExperimentInProgress: there is an experiment.
            NothingToCompareWith: no other version answers requests there.
        """
        settings = self._rules.environment(environment)
        wanted = self._services.registry.get_version(session, model, version)
        self._services.registry.standing(session, model, wanted.version)
        access = self._rules.may_deploy(session, caller, model, "deploy", Context(environment=environment))
        kind = self._services.registry.get_model(session, model).type
        if kind != ModelType.REALTIME:
            raise NothingToCompareWith(
                f"{model} is a {kind} model: nobody asks it anything, so there are no requests to share",
                fix="Deploy the version: a rollout compares what both answer to the same data.",
            )
        repository.lock_place(session, environment, model)
        self._rules.is_free(session, environment, model)
        champion = self._champion(session, environment, model, wanted.version)
        self._rules.quotas.lock(session, model, environment)
        asked = Actor.of(caller)
        facts = self._rules.facts(session, model, wanted.version, environment, requested_by=asked, beside=True)
        verdict = decide(settings, facts)
        if verdict.unmet:
            raise refused(caller, model, wanted.version, environment, verdict)
        return champion, wanted.version, verdict, access

    def may_approve(
        self,
        session: Session,
        caller: Principal,
        environment: str,
        model: str,
        version: int,
        *,
        requested_by: Actor,
        answer: Answer,
    ) -> tuple[Verdict, Decision]:
        """Return how a challenger stands to the policy once somebody has answered, and why they may."""
        self._rules.quotas.lock(session, model, environment)
        facts, access = self._rules.may_answer(
            session, caller, model, version, environment, requested_by=requested_by, action=Action.APPROVE, beside=True
        )
        return decide(self._rules.environment(environment), replace(facts, decisions=(answer,))), access

    def may_step_in(self, session: Session, caller: Principal, environment: str, model: str) -> Decision:
        """Let through whoever may deploy, and those who approve."""
        return self._rules.may_step_in(session, caller, model, environment, "abort")

    def is_free(self, session: Session, environment: str, model: str, *, champion: int, challenger: int) -> None:
        """Refuse when by now something else is under way there, or another version is live.

        Raises:
            As :meth:`may_begin`.
        """
        repository.lock_place(session, environment, model)
        self._rules.is_free(session, environment, model)
        if (live := self._champion(session, environment, model, challenger)) != champion:
            raise NothingToCompareWith(
                f"v{champion} of {model} is not live in {environment} any more; v{live} is",
                fix="Stop this experiment, and start another one against it.",
            )

    def begin(self, session: Session, experiment: str, environment: str, model: str, version: int) -> None:
        """Have the challenger running; it gets no requests yet."""
        row = repository.traffic_of(session, environment, model, version)
        if row is None:
            spec = self._spec(session, model, version)
            row = Traffic(
                environment=environment,
                model=model,
                version=version,
                weight=0,
                mirror=0,
                replicas=spec.serving.replicas,
                failed_over=False,
            )
            session.add(row)
        row.state, row.warm_until, row.experiment = TrafficState.CANARY, None, experiment
        session.flush()

    def is_up(self, session: Session, environment: str, model: str, version: int) -> bool:
        """Say whether a version is wanted there, warm or with a part of the traffic."""
        return repository.traffic_of(session, environment, model, version) is not None

    def share(self, session: Session, environment: str, model: str, percent: int, key_header: str | None) -> None:
        """Give the challenger its part: of the keys with a header to assign by, of copies of requests without."""
        rows = repository.traffic(session, environment, model, lock=True)
        mine = next(row for row in rows if row.experiment is not None)
        weight = percent if key_header is not None else 0
        mine.weight, mine.mirror, mine.key_header = weight, percent - weight, key_header
        for row in rows:
            if row.state == TrafficState.LIVE:
                row.weight = 100 - weight
        session.flush()

    def end(self, session: Session, experiment: str, environment: str, model: str, *, keep: bool) -> None:
        """Take the challenger's part away; with ``keep``, or when it is what a rollback would go back to, it stays warm."""
        rows = repository.traffic(session, environment, model, lock=True)
        mine = next((row for row in rows if row.experiment == experiment), None)
        if mine is None:
            return
        for row in rows:
            if row.state == TrafficState.LIVE:
                row.weight = 100
        if keep or mine.version == repository.former_version(session, environment, model):
            mine.weight = mine.mirror = 0
            mine.state, mine.experiment, mine.key_header = TrafficState.WARM, None, None
            mine.warm_until = self._services.clock.now() + self._keep_warm(session, model, mine.version)
        else:
            session.delete(mine)
        session.flush()

    def _champion(self, session: Session, environment: str, model: str, challenger: int) -> int:
        live = repository.live(session, environment, model)
        if live is None:
            raise NothingToCompareWith(
                f"no version of {model} is live in {environment}, so there is nothing to compare v{challenger} with",
                fix=f"Deploy it: platform deploy --env {environment} --version {challenger}",
            )
        if live.version == challenger:
            raise NothingToCompareWith(
                f"v{challenger} of {model} is live in {environment} already: it would be compared with itself",
                fix="Name another version with --version.",
            )
        return live.version

    def _keep_warm(self, session: Session, model: str, version: int) -> timedelta:
        return self._spec(session, model, version).rollout.keep_warm

    def _spec(self, session: Session, model: str, version: int) -> ModelSpec:
        return ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)
