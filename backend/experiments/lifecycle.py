"""Every change of an experiment's state: one function, one transaction (the caller's), its audit event and a sentence."""

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import NotFound
from backend.experiments import repository, results
from backend.experiments.models import Experiment, Kind, Outcome, Phase
from backend.identity.principal import Principal

EVENT = "ml-platform.experiments"
"""What the types of this domain's audit events begin with."""


class Lifecycle:
    """The transitions of experiments. One that finds the experiment ended already changes nothing, and says so."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def locked(self, session: Session, id: str) -> Experiment:
        """Return an experiment for changing it.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.lock(session, id)
        if found is None:
            raise NotFound(f"there is no experiment {id[:40]!r}")
        return found

    def begin(self, session: Session, id: str) -> bool:
        """Have the challenger running; false when the experiment has ended already."""
        experiment = self.locked(session, id)
        if experiment.phase == Phase.ENDED:
            return False
        if experiment.phase == Phase.STARTING:
            place = (experiment.environment, experiment.model, experiment.challenger)
            self._services.deployments.trials.begin(session, experiment.id, *place)
        return True

    def run(self, session: Session, id: str) -> bool:
        """Give the challenger its part of the traffic; false when the experiment has ended already."""
        experiment = self.locked(session, id)
        if experiment.phase == Phase.ENDED:
            return False
        if experiment.phase == Phase.RUNNING:
            return True
        now = self._services.clock.now()
        experiment.phase, experiment.started_at = Phase.RUNNING, now
        experiment.ends_at = now + timedelta(seconds=experiment.duration_seconds)
        self._services.deployments.trials.share(
            session, experiment.environment, experiment.model, experiment.percent, experiment.key_header
        )
        what = (
            f"copies of {experiment.percent} % of the requests"
            if experiment.kind == Kind.SHADOW
            else f"{experiment.percent} % of the keys in {experiment.key_header}"
        )
        experiment.reason = f"v{experiment.challenger} gets {what} beside v{experiment.champion}"
        self.record(session, "started", experiment, PLATFORM, endsAt=experiment.ends_at.isoformat())
        return True

    def end(
        self,
        session: Session,
        experiment: Experiment,
        outcome: Outcome,
        reason: str,
        *,
        actor: Principal | str = PLATFORM,
        keep: bool = False,
        **data: Any,
    ) -> bool:
        """Take the challenger's part away; with ``keep`` it stays warm. False when the experiment has ended already."""
        if experiment.phase == Phase.ENDED:
            return False
        experiment.phase, experiment.outcome, experiment.reason = Phase.ENDED, outcome, reason
        experiment.ended_at, experiment.evidence = self._services.clock.now(), None
        if experiment.kind == Kind.SHADOW:
            experiment.figures["unpaired"] += repository.forget_answers(session, experiment.id)
            flag_modified(experiment, "figures")
        self._services.deployments.trials.end(
            session, experiment.id, experiment.environment, experiment.model, keep=keep
        )
        figures = {name: value for name, value in experiment.figures.items() if name != "traffic"}
        self.record(session, "ended", experiment, actor, figures=figures, **data)
        return True

    def end_as_decided(self, session: Session, id: str) -> bool:
        """End an A/B experiment whose test has come to a decision, once it is known that its keys are split as asked."""
        experiment = self.locked(session, id)
        verdict = experiment.figures["result"]["verdict"]
        if experiment.phase != Phase.RUNNING or verdict == "undecided":
            return False
        wrong, known = self.split(session, experiment)
        if wrong or known < self._services.settings.experiments.least_units:
            return False
        said = verdict.removeprefix("challenger_")
        reason = f"v{experiment.challenger} is {said}: {results.sentence(experiment, experiment.figures)}"
        better = verdict == Outcome.CHALLENGER_BETTER
        # What is better is probably promoted soon.
        return self.end(session, experiment, Outcome(verdict), reason, keep=better)

    def split(self, session: Session, experiment: Experiment) -> tuple[bool, int]:
        """Say whether keys are not split as asked, and how many of the version with fewer that is judged by.

        What one server spooled is there before what the other did, so keys of the last moments, of which nobody can tell yet
        whether they are all, are left out.
        """
        settings = self._services.settings.experiments
        until = self._services.clock.now() - settings.spooled_after - 2 * settings.look_interval
        keys = repository.split(session, experiment.id, until)
        results.resplit(experiment, experiment.figures, keys)
        flag_modified(experiment, "figures")
        fewer = min(keys.get(experiment.champion, 0), keys.get(experiment.challenger, 0))
        return bool(experiment.figures["split"]["mismatch"]), fewer

    def record(self, session: Session, event: str, experiment: Experiment, actor: Principal | str, **data: Any) -> None:
        """Write an audit event about an experiment, and have the overview follow."""
        self._services.overview.changed(session, experiment.model)
        self._services.audit.append(
            session,
            type=f"{EVENT}.{event}",
            subject=subject_of(experiment),
            actor=actor,
            data={**about(experiment), **data},
        )


def subject_of(experiment: Experiment) -> str:
    """Return the subject of an experiment's events; it begins with the model's, so both are found together."""
    return f"model:{experiment.model}/experiments/{experiment.id}"


def about(experiment: Experiment) -> dict[str, Any]:
    """Return what every event about an experiment says."""
    return {
        "experiment": experiment.id,
        "kind": experiment.kind,
        "model": experiment.model,
        "environment": experiment.environment,
        "champion": experiment.champion,
        "challenger": experiment.challenger,
        "percent": experiment.percent,
        "phase": experiment.phase,
        "outcome": experiment.outcome,
        "reason": experiment.reason,
    }
