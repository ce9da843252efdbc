"""A step in which the new version gets traffic and is judged by what it does with it."""

import logging
import time
from typing import Any, Literal

from backend.core.workflows.runtime import LOOK
from backend.deployments import words
from backend.deployments.analysis import Delta, Judgement, Limits, RolloutJudge, delta_between
from backend.deployments.analysis.counters import dump_sample, load_sample
from backend.deployments.lag import LagWatch
from backend.deployments.liveness import Liveness
from backend.deployments.models import Deployment, DeploymentStep, Outcome, StepKind
from backend.deployments.targets.base import Sample, VersionKey
from backend.deployments.world import World, key_of
from mlplatform.spec.model import ModelSpec

Ended = Literal["passed", "ended"]
_DEAD_FOR = 1.0
"""Seconds without a ready replica after which a canary counts as dead."""

_log = logging.getLogger(__name__)


class Analysed:
    """A step in which the version gets traffic, mirrored or real, and is judged tick by tick."""

    def __init__(self, world: World, deployment: Deployment, step: DeploymentStep, spec: ModelSpec) -> None:
        self._world, self._deployment, self._step, self._spec = world, deployment, step, spec
        self._canary = key_of(deployment)
        former = deployment.previous_version
        self._primary = None if former is None else VersionKey(deployment.environment, deployment.model, former)
        self._mirrored = step.kind == StepKind.SHADOW
        least = spec.rollout.shadow.duration if self._mirrored else spec.rollout.interval
        self._least = least.total_seconds()
        self._judge = RolloutJudge(
            Limits.of(spec.rollout.analysis),
            steps=sum(one.kind in (StepKind.SHADOW, StepKind.CANARY) for one in deployment.steps),
            ticks_per_step=max(1, round(spec.rollout.interval.total_seconds() / world.poll)),
        )
        self._lag = LagWatch(
            spec.rollout.analysis, patience=spec.rollout.interval.total_seconds(), clock=time.monotonic
        )
        self._last: dict[VersionKey, Sample | None] = {}
        self._liveness = Liveness(deployment.version, _DEAD_FOR)
        self._undecided = ""
        self._watching_since = time.monotonic()

    def run(self) -> Ended:
        """Judge until the step is passed or the rollout is decided."""
        self._restore()
        while True:
            decided, promoted_by = self._world.decided(self._deployment.id)
            if decided:
                return "ended"
            if reason := self._liveness.dead(self._world.replicas(self._deployment)):
                return self._roll_back(Outcome.ROLLED_BACK, reason, self._judge.judgement())
            judgement = self._tick()
            if promoted_by is not None:
                reason = f"{promoted_by} promoted it without further analysis"
                return self._passed(reason, judgement or self._judge.judgement())
            if judgement is not None and (ended := self._decide(judgement)):
                return ended
            until = time.monotonic() + self._world.poll
            while (rest := until - time.monotonic()) > 0:
                self._world.waiting.wait(min(rest, LOOK))
                if any(self._world.decided(self._deployment.id)):
                    break

    def _tick(self) -> Judgement | None:
        """Read the figures and keep what they say; ``None`` when there are none to be had."""
        figures = self._world.sample()
        if figures is None:
            return None
        deltas = [self._delta(key, figures) for key in (self._canary, self._primary)]
        self._lag.observe(figures, self._canary, self._primary)
        judgement = self._lag.added_to(self._judge.observe(*deltas))
        if any(delta.requests or delta.latency.total for delta in deltas):
            self._keep(judgement)
        return judgement

    def _delta(self, key: VersionKey | None, figures: dict[VersionKey, Sample]) -> Delta:
        if key is None or key not in figures:
            return Delta()
        delta = delta_between(self._last.get(key), figures[key])
        self._last[key] = figures[key]
        return delta

    def _decide(self, judgement: Judgement) -> Ended | None:
        percentile = self._spec.rollout.analysis.latency.percentile
        if check := judgement.breached:
            reason = words.finding(check, judgement, percentile)
            return self._roll_back(Outcome.ROLLED_BACK, reason, judgement)
        started = self._step.started_at
        assert started is not None
        over = (self._world.services.clock.now() - started).total_seconds() - self._least
        if over < 0:
            return None
        enough = judgement.enough or self._mirrored
        if enough and judgement.suspected is None:
            return self._passed(words.passed(self._step.weight, judgement.canary), judgement)
        if not enough and time.monotonic() - self._watching_since < self._least:
            return None  # the step's time ran while nobody watched; that is no lack of traffic
        hold_timeout = self._spec.rollout.analysis.hold_timeout.total_seconds()
        if judgement.suspected is not None and enough:
            reason = "not decided yet: " + words.finding(judgement.suspected, judgement, percentile)
        else:
            least = self._spec.rollout.analysis.min_requests
            seen = f"{judgement.canary.requests} of {least} requests"
            reason = f"too little traffic to judge: {seen} at {self._step.weight} %"
        self._say_undecided(reason, held=not enough)
        if over > hold_timeout:
            reason = f"{reason}, after {words.seconds(hold_timeout)}; traffic goes back"
            return self._roll_back(Outcome.HELD, reason, judgement)
        return None

    def _say_undecided(self, reason: str, *, held: bool) -> None:
        state = "held" if held else "extended"
        if self._undecided == state:
            return
        self._undecided = state
        say = self._world.lifecycle.hold if held else self._world.lifecycle.extend
        with self._world.services.database.write() as session:
            say(session, self._deployment.id, self._step.index, reason)

    def _restore(self) -> None:
        """Go on with the evidence of the step before, or of this step before a crash."""
        evidence = self._deployment.evidence
        if evidence is None:
            figures = self._world.patiently(self._world.target.sample)
            # What was counted before the version's first step belongs to no step of this rollout.
            self._last = {key: figures.get(key) for key in (self._canary, self._primary) if key is not None}
            self._judge.begin_step()
        else:
            self._judge.restore(evidence["judge"])
            for name, key in (("canary", self._canary), ("primary", self._primary)):
                if key is not None and evidence["last"][name] is not None:
                    self._last[key] = load_sample(key, evidence["last"][name])
            if evidence["step"] != self._step.index:
                self._judge.begin_step()
        if evidence is None or evidence["step"] != self._step.index:
            self._keep(self._judge.judgement())

    def _keep(self, judgement: Judgement) -> None:
        with self._world.services.database.write() as session:
            self._world.lifecycle.progress(session, self._deployment.id, self._step.index, judgement, self._evidence())

    def _evidence(self) -> dict[str, Any]:
        last = {
            name: dump_sample(sample) if key is not None and (sample := self._last.get(key)) else None
            for name, key in (("canary", self._canary), ("primary", self._primary))
        }
        return {"step": self._step.index, "judge": self._judge.dump(), "last": last}

    def _passed(self, reason: str, judgement: Judgement) -> Ended:
        with self._world.services.database.write() as session:
            on = self._world.lifecycle.passed(session, self._deployment.id, self._step.index, reason, judgement)
        return "passed" if on else "ended"

    def _roll_back(self, outcome: Outcome, reason: str, judgement: Judgement) -> Ended:
        with self._world.services.database.write() as session:
            self._world.lifecycle.roll_back(session, self._deployment.id, outcome, reason, judgement=judgement)
        _log.warning("v%s of %s: %s", self._deployment.version, self._deployment.model, reason)
        return "ended"
