"""The four tests of a rollout, tick by tick, and what they add up to.

Each test is one e-process over the whole rollout, and a version is called bad when one of them reaches
``tests / falseAlarmRate`` (Bonferroni over the tests, Ville's inequality over time and steps).

``success_rate``
    The share of failed requests is above ``1 - successRate.minimum``.
``success_rate_vs_primary``
    It is above the primary's in the same ticks **and** above the primary's share so far plus ``maxDrop``. Both have
    evidence of their own and the smaller of the two counts, which is an e-process for the union of the two nulls:
    a version that is worse by less than ``maxDrop`` is left alone however long one looks.
``latency``
    The share of requests slower than ``latency.maximum`` is above ``1 - percentile``.
``latency_vs_primary``
    The share of requests slower than ``maxRatio`` times the primary's percentile (taken from earlier ticks only) is above
    ``1 - percentile`` **and** above the primary's share in the same ticks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from backend.deployments.analysis.counters import Delta, Histogram, edge_at_or_above
from backend.deployments.analysis.eprocess import ComparisonProcess, ShareProcess, StartSchedule
from mlplatform.spec.model import Analysis

Verdict = Literal["passing", "suspected", "breached", "no_data"]

SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY = "success_rate", "success_rate_vs_primary"
LATENCY, LATENCY_VS_PRIMARY = "latency", "latency_vs_primary"
LAG = "lag"
"""Seconds that the oldest message of a streaming version has been waiting; see :mod:`backend.deployments.lag`."""
TESTS = (SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY, LATENCY, LATENCY_VS_PRIMARY)

SUSPICION = 10.0
"""A step is not passed while a test shows this much evidence: it goes on until the matter is decided."""
LEAST_BAD = 2
"""One bad request alone never condemns a version, whatever the limits."""
LATENCY_NOISE_MS = 10.0
"""Nobody notices a few milliseconds: nearer to the primary's percentile than this is never called slower."""
_BASELINE_REQUESTS = 100


@dataclass(frozen=True)
class Limits:
    """What a version is held to."""

    minimum_success: float
    max_drop: float
    percentile: float
    maximum_ms: float
    max_ratio: float
    min_requests: int
    false_alarm_rate: float

    @staticmethod
    def of(analysis: Analysis) -> "Limits":
        """Read them from ``model.yaml``."""
        return Limits(
            minimum_success=analysis.success_rate.minimum,
            max_drop=analysis.success_rate.max_drop,
            percentile=analysis.latency.percentile,
            maximum_ms=analysis.latency.maximum.total_seconds() * 1000,
            max_ratio=analysis.latency.max_ratio,
            min_requests=analysis.min_requests,
            false_alarm_rate=analysis.false_alarm_rate,
        )

    @property
    def threshold(self) -> float:
        """The e-value at which a test calls the version bad."""
        return len(TESTS) / self.false_alarm_rate


@dataclass(frozen=True)
class StepFigures:
    """What a version has done in a step so far."""

    requests: int
    errors: int
    latency_ms: float | None
    percentile: float
    """Which percentile the latency is."""

    @property
    def success_rate(self) -> float | None:
        """Share of requests answered without a server error."""
        return None if not self.requests else 1 - self.errors / self.requests


@dataclass(frozen=True)
class CheckResult:
    """One test as it stands: shares for success rates, milliseconds for latencies, seconds for lag."""

    name: str
    observed: float | None
    limit: float | None
    evidence: float
    threshold: float
    verdict: Verdict
    bad: int = 0
    total: int = 0


@dataclass(frozen=True)
class Judgement:
    """All tests after a tick."""

    canary: StepFigures
    primary: StepFigures
    checks: tuple[CheckResult, ...]
    enough: bool

    @property
    def breached(self) -> CheckResult | None:
        """The test that calls the version bad, the strongest if there are several."""
        return self._strongest("breached")

    @property
    def suspected(self) -> CheckResult | None:
        """The test that can't be decided yet, the strongest if there are several."""
        return self._strongest("suspected")

    def _strongest(self, verdict: Verdict) -> CheckResult | None:
        found = [check for check in self.checks if check.verdict == verdict]
        return max(found, key=lambda check: check.evidence) if found else None


Kind = TypeVar("Kind", ShareProcess, ComparisonProcess)


@dataclass
class _Test(Generic[Kind]):
    """An e-process, its count of ticks with data (for starting points), and what it saw since it last stood at nothing."""

    evidence: Kind
    ticks: int = 0
    ticks_of_step: int = 0
    bad: int = 0
    total: int = 0

    def next_tick(self, schedule: StartSchedule, bad: int, total: int) -> float:
        """Note a tick and return the capital for a bet that starts with it."""
        if self.evidence.value <= 1:
            self.bad = self.total = 0
        self.bad += bad
        self.total += total
        self.ticks += 1
        self.ticks_of_step += 1
        return schedule.mass(self.ticks, self.ticks_of_step)

    def dump(self) -> dict[str, Any]:
        return {**self.evidence.dump(), "ticks": [self.ticks, self.ticks_of_step], "seen": [self.bad, self.total]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.evidence.restore(dict(state))
        self.ticks, self.ticks_of_step = state["ticks"]
        self.bad, self.total = state["seen"]


class RolloutJudge:
    """Judges one rollout; told of each step's begin and of each tick.

    ``dump`` gives everything as JSON values; a judge that restored them goes on as if nothing had happened.
    """

    def __init__(self, limits: Limits, *, steps: int, ticks_per_step: int) -> None:
        self.limits = limits
        self._schedule = StartSchedule(steps, ticks_per_step)
        self._shares = {name: _Test(ShareProcess()) for name in TESTS}
        self._comparisons = {name: _Test(ComparisonProcess()) for name in (SUCCESS_RATE_VS_PRIMARY, LATENCY_VS_PRIMARY)}
        self._primary_so_far = Delta()
        self._canary, self._primary = Delta(), Delta()

    def begin_step(self) -> None:
        """Start a step: figures from zero, evidence carried on."""
        self._canary, self._primary = Delta(), Delta()
        for share in self._shares.values():
            share.ticks_of_step = 0
        for comparison in self._comparisons.values():
            comparison.ticks_of_step = 0

    def observe(self, canary: Delta, primary: Delta) -> Judgement:
        """Take in one tick of both versions."""
        limits = self.limits
        allowed_slow = 1 - limits.percentile / 100
        if canary.requests:
            self._share(SUCCESS_RATE, canary.errors, canary.requests, 1 - limits.minimum_success)
            if primary.requests:
                so_far = self._primary_so_far
                usual = so_far.errors / so_far.requests if so_far.requests else 0.0
                name = SUCCESS_RATE_VS_PRIMARY
                self._share(name, canary.errors, canary.requests, usual + limits.max_drop)
                self._compare(name, canary.errors, canary.requests, primary.errors, primary.requests)
        answered = canary.latency.total
        edge = edge_at_or_above(canary.edges, limits.maximum_ms)
        if answered and edge is not None:
            self._share(LATENCY, canary.latency.above(edge), answered, allowed_slow)
        relative = self._relative_edge(canary)
        if answered and primary.latency.total and relative is not None:
            slow = canary.latency.above(relative)
            self._share(LATENCY_VS_PRIMARY, slow, answered, allowed_slow)
            self._compare(LATENCY_VS_PRIMARY, slow, answered, primary.latency.above(relative), primary.latency.total)
        self._primary_so_far = self._primary_so_far.plus(primary)
        self._canary, self._primary = self._canary.plus(canary), self._primary.plus(primary)
        return self.judgement()

    def judgement(self) -> Judgement:
        """Return how things stand."""
        canary, primary = self._figures(self._canary), self._figures(self._primary)
        return Judgement(
            canary, primary, tuple(self._checks(canary, primary)), canary.requests >= self.limits.min_requests
        )

    def dump(self) -> dict[str, Any]:
        """Return the whole state as JSON values."""
        return {
            "shares": {name: test.dump() for name, test in self._shares.items()},
            "comparisons": {name: test.dump() for name, test in self._comparisons.items()},
            "primarySoFar": _dump_delta(self._primary_so_far),
            "canary": _dump_delta(self._canary),
            "primary": _dump_delta(self._primary),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`dump` returned."""
        for name, test in self._shares.items():
            test.restore(state["shares"][name])
        for name, comparison in self._comparisons.items():
            comparison.restore(state["comparisons"][name])
        self._primary_so_far = _load_delta(state["primarySoFar"])
        self._canary, self._primary = _load_delta(state["canary"]), _load_delta(state["primary"])

    def _share(self, name: str, bad: int, total: int, limit: float) -> None:
        test = self._shares[name]
        start_mass = test.next_tick(self._schedule, bad, total)
        test.evidence.observe(bad, total, limit=limit, start_mass=start_mass)

    def _compare(self, name: str, bad_canary: int, canary: int, bad_primary: int, primary: int) -> None:
        test = self._comparisons[name]
        start_mass = test.next_tick(self._schedule, bad_canary, canary)
        test.evidence.observe(bad_canary, canary, bad_primary, primary, start_mass=start_mass)

    def _relative_limit(self) -> float | None:
        """The response time that counts as much slower than the primary, known before this tick."""
        latency = self._primary_so_far.latency
        if latency.total < _BASELINE_REQUESTS:
            return None
        usual = latency.percentile(self.limits.percentile)
        return None if usual is None else max(usual * self.limits.max_ratio, usual + LATENCY_NOISE_MS)

    def _relative_edge(self, canary: Delta) -> float | None:
        limit = self._relative_limit()
        return None if limit is None else edge_at_or_above(canary.edges, limit)

    def _figures(self, delta: Delta) -> StepFigures:
        return StepFigures(
            delta.requests, delta.errors, delta.latency.percentile(self.limits.percentile), self.limits.percentile
        )

    def _checks(self, canary: StepFigures, primary: StepFigures) -> list[CheckResult]:
        limits = self.limits
        success, relative = canary.success_rate, primary.success_rate
        lowest = None if relative is None else max(0.0, relative - limits.max_drop)
        observed: dict[str, tuple[float | None, float | None]] = {
            SUCCESS_RATE: (success, limits.minimum_success),
            SUCCESS_RATE_VS_PRIMARY: (success, lowest),
            LATENCY: (canary.latency_ms, limits.maximum_ms),
            LATENCY_VS_PRIMARY: (canary.latency_ms, self._relative_limit()),
        }
        return [self._check(name, *observed[name]) for name in TESTS]

    def _check(self, name: str, observed: float | None, limit: float | None) -> CheckResult:
        test, comparison = self._shares[name], self._comparisons.get(name)
        evidence = test.evidence.value
        if comparison is not None:
            evidence = min(evidence, comparison.evidence.value)
        threshold = self.limits.threshold
        verdict: Verdict = "passing" if test.ticks_of_step else "no_data"
        if test.bad >= LEAST_BAD and evidence >= SUSPICION:
            verdict = "breached" if evidence >= threshold else "suspected"
        return CheckResult(name, observed, limit, evidence, threshold, verdict, test.bad, test.total)


def _dump_delta(delta: Delta) -> dict[str, Any]:
    return {"requests": delta.requests, "errors": delta.errors, "latency": delta.latency.dump()}


def _load_delta(state: Mapping[str, Any]) -> Delta:
    return Delta(int(state["requests"]), int(state["errors"]), Histogram.load(state["latency"]))
