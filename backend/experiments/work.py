"""Experiments as durable work: the challenger is started, gets its part, is watched until the end, and leaves.

A workflow's id is its experiment's id. Every step may be killed anywhere and called again: what it wants is in the table of
traffic, what was seen is in the experiment's own row, and what servers wrote down waits in the spool.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from backend.core.container import Services
from backend.core.workflows import Steps
from backend.core.workflows.runtime import LOOK
from backend.deployments import words
from backend.deployments.analysis import Delta, Judgement, Limits, RolloutJudge, delta_between
from backend.deployments.analysis.counters import dump_sample, load_sample
from backend.deployments.figures import figures_of
from backend.deployments.liveness import Liveness
from backend.deployments.targets.base import ReplicaState, Sample, TargetUnavailable, VersionKey
from backend.experiments import repository, results
from backend.experiments.intake import Intake
from backend.experiments.lifecycle import Lifecycle
from backend.experiments.models import Experiment, Kind, Outcome, Phase
from mlplatform.spec.model import ModelSpec

_DEAD_FOR = 2.0
"""Seconds without a ready replica after which a challenger counts as dead."""
_SPLIT_EVERY = 1.0
_TIDY_EVERY = 3600.0
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class ExperimentWork:
    """The :class:`~backend.core.workflows.Work` of the experiments domain."""

    name: ClassVar[str] = "experiment"
    most: ClassVar[int | None] = None

    def __init__(self, services: Services) -> None:
        self._services, self._lifecycle = services, Lifecycle(services)
        self.intake = Intake(services)
        self._looked = self._tidied = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of experiments that are under way."""
        return repository.to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """See an experiment through."""
        if steps.run("start", self._start, id):
            steps.run("watch", self._watch, id)
        steps.run("finish", self._settle, id)

    def give_up(self, id: str, reason: str) -> None:
        """End an experiment that can't go on."""
        self._end(id, Outcome.FAILED, reason)

    def beat(self, *, changed: bool) -> None:
        """Take over what servers wrote down, and now and then forget what is old."""
        now = time.monotonic()
        if now - self._looked >= self._services.settings.experiments.look_interval.total_seconds():
            self._looked = now
            self.intake.take_over()
        if now - self._tidied >= _TIDY_EVERY:
            self._tidied = now
            self._tidy(self._services.clock.now())

    def close(self) -> None:
        """Nothing is held."""

    def _tidy(self, now: datetime) -> None:
        before = now - self._services.settings.experiments.keep
        with self._services.database.read() as session:
            old = repository.ended_before(session, before)
        if not old:
            return
        with self._services.database.write() as session:
            for id in old:
                repository.forget(session, id)

    def _start(self, id: str) -> bool:
        """Start the challenger, try it out, and give it its part; false when the experiment ended meanwhile."""
        self.intake.publish()
        self._wait_for_former(id)
        with self._services.database.write() as session:
            if not self._lifecycle.begin(session, id):
                return False
            experiment = self._lifecycle.locked(session, id)
            spec = _spec(self._services, session, experiment)
        key, version = _key(experiment), f"v{experiment.challenger}"
        began, timeout = time.monotonic(), spec.serving.startup_timeout.total_seconds()
        while True:
            if self._has_ended(id):
                return False
            replicas = self._replicas(key)
            failed = next((one for one in replicas if one.state == "failed"), None)
            fault = self._services.engine.reconciler.artefacts.fault(key)
            if fault or failed is not None:
                why = fault or (failed.message if failed is not None else None) or "it ended without a word"
                return self._end(id, Outcome.FAILED, f"{version} can't be started: {why}")
            if sum(one.state == "ready" for one in replicas) >= spec.serving.replicas:
                break
            if time.monotonic() - began > timeout:
                return self._end(id, Outcome.FAILED, f"{version} was not ready within {words.seconds(timeout)}")
            self._services.runtime.wait(LOOK)
        warmed = self._patiently(lambda: self._services.engine.target.warm(key, spec))
        if warmed is not None and not warmed.ok:
            return self._end(id, Outcome.FAILED, f"{version} does not answer trial requests well: {warmed.message}")
        with self._services.database.write() as session:
            on = self._lifecycle.run(session, id)
        self._settle(id)
        return on

    def _wait_for_former(self, id: str) -> None:
        """Wait until what is left of a former try of this version is gone: it would pass for the new one, and then end."""
        while True:
            with self._services.database.read() as session:
                row = repository.find(session, id)
                assert row is not None
                place = (row.environment, row.model, row.challenger)
                wanted = self._services.deployments.trials.is_up(session, *place)
            if wanted or row.phase == Phase.ENDED or not self._replicas(_key(row)):
                return
            self._services.runtime.wait(LOOK)

    def _watch(self, id: str) -> None:
        """Watch until the experiment has ended, be it by itself, by its test, or by somebody."""
        with self._services.database.read() as session:
            experiment = repository.find(session, id)
            assert experiment is not None
            watched = _Watched(self._services, experiment, _spec(self._services, session, experiment))
        liveness = Liveness(experiment.challenger, _DEAD_FOR)
        look = self._services.settings.experiments.look_interval.total_seconds()
        split_at = time.monotonic()
        while not self._has_ended(id):
            if experiment.ends_at is not None and self._services.clock.now() >= experiment.ends_at:
                self._complete(id)
                return
            if reason := liveness.dead(self._replicas(_key(experiment))):
                self._end(id, Outcome.FAILED, reason)
                return
            if experiment.kind == Kind.AB and time.monotonic() - split_at > max(look, _SPLIT_EVERY):
                split_at = time.monotonic()
                self._judge_split(id)
            if reason := self._look(id, watched):
                self._end(id, Outcome.CHALLENGER_WORSE, reason)
                return
            until = time.monotonic() + look
            while (rest := until - time.monotonic()) > 0 and not self._has_ended(id):
                self._services.runtime.wait(min(rest, LOOK))

    def _look(self, id: str, watched: "_Watched") -> str | None:
        """Read the proxy's figures and keep them; return why users have to be spared the challenger."""
        try:
            judgement = watched.tick(self._services.engine.target.sample())
        except TargetUnavailable:
            return None
        if judgement is None:
            return None
        with self._services.database.write() as session:
            row = self._lifecycle.locked(session, id)
            if row.phase != Phase.RUNNING:
                return None
            row.figures["traffic"] = figures_of(judgement)
            flag_modified(row, "figures")
            row.evidence = watched.dump()
        return watched.breach(judgement)

    def _judge_split(self, id: str) -> None:
        """See whether keys are split as asked, and end the experiment if its test has waited for that."""
        if not self.intake.drained:
            return  # there may be more of one version than of the other in what is there
        with self._services.database.write() as session:
            if not self._lifecycle.end_as_decided(session, id):
                row = self._lifecycle.locked(session, id)
                if row.phase == Phase.RUNNING:
                    self._lifecycle.split(session, row)

    def _complete(self, id: str) -> None:
        """End an experiment whose time is over, with what it has come to."""
        with self._services.database.write() as session:
            row = self._lifecycle.locked(session, id)
            if row.kind == Kind.AB and self._lifecycle.end_as_decided(session, id):
                return
            said = results.sentence(row, row.figures)
            self._lifecycle.end(session, row, Outcome.COMPLETED, f"its time is over: {said}")

    def _end(self, id: str, outcome: Outcome, reason: str) -> bool:
        with self._services.database.write() as session:
            self._lifecycle.end(session, self._lifecycle.locked(session, id), outcome, reason)
        _log.warning("experiment %s: %s", id, reason)
        return False

    def _has_ended(self, id: str) -> bool:
        with self._services.database.read() as session:
            return repository.phase_of(session, id) == Phase.ENDED

    def _settle(self, id: str) -> None:
        """Return when the traffic is what the database wants."""
        with self._services.database.read() as session:
            row = repository.find(session, id)
        assert row is not None
        self._patiently(lambda: self._services.engine.reconciler.settle(row.environment, row.model))

    def _replicas(self, key: VersionKey) -> list[ReplicaState]:
        return self._patiently(lambda: self._services.engine.target.replicas(key))

    def _patiently(self, work: Callable[[], Result]) -> Result:
        """Call until the target answers: it is being restarted while it doesn't."""
        while True:
            try:
                return work()
            except TargetUnavailable as error:
                _log.warning("the serving target does not answer: %s", error.detail)
                self._services.runtime.wait(LOOK)


class _Watched:
    """What the proxy counts for both versions, held to the limits that a rollout of the challenger would be held to."""

    def __init__(self, services: Services, experiment: Experiment, spec: ModelSpec) -> None:
        self._experiment, self._spec = experiment, spec
        look = services.settings.experiments.look_interval.total_seconds()
        self._judge = RolloutJudge(
            Limits.of(spec.rollout.analysis),
            steps=1,
            ticks_per_step=max(1, round(experiment.duration_seconds / look)),
        )
        environment, model = experiment.environment, experiment.model
        self._keys = {
            "canary": _key(experiment),
            "primary": VersionKey(environment, model, experiment.champion),
        }
        self._last: dict[str, Sample] | None = None
        if (kept := experiment.evidence) is not None:
            self._judge.restore(kept["judge"])
            self._last = {
                name: load_sample(key, kept["last"][name]) for name, key in self._keys.items() if name in kept["last"]
            }

    def tick(self, figures: dict[VersionKey, Sample]) -> Judgement | None:
        """Take in what was counted since the last tick; ``None`` when that is nothing."""
        present = {name: figures[key] for name, key in self._keys.items() if key in figures}
        if self._last is None:
            # What was counted before belongs to no experiment.
            self._last = present
            return None
        deltas = {
            name: delta_between(self._last.get(name), present[name]) if name in present else Delta()
            for name in self._keys
        }
        self._last |= present
        if not any(one.requests or one.latency.total for one in deltas.values()):
            return None
        return self._judge.observe(deltas["canary"], deltas["primary"])

    def breach(self, judgement: Judgement) -> str | None:
        """Return why the challenger breaks the limits; nobody is hurt by that in a shadow run."""
        check = judgement.breached
        if check is None or self._experiment.kind == Kind.SHADOW:
            return None
        said = words.finding(check, judgement, self._spec.rollout.analysis.latency.percentile)
        return f"v{self._experiment.challenger} is taken from users: {said}"

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "judge": self._judge.dump(),
            "last": {name: dump_sample(sample) for name, sample in (self._last or {}).items()},
        }


def _key(experiment: Experiment) -> VersionKey:
    return VersionKey(experiment.environment, experiment.model, experiment.challenger)


def _spec(services: Services, session: Session, experiment: Experiment) -> ModelSpec:
    version = services.registry.get_version(session, experiment.model, experiment.challenger)
    return ModelSpec.model_validate(version.spec)
