"""Is the new version of a streaming model falling behind? Beside the tests of :mod:`backend.deployments.analysis`.

Lag is no share of anything: one reading says nothing, since every consumer is behind for a moment after it has taken over. So a
version is called bad when it has been behind at each reading for as long as a step takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from backend.deployments.analysis import CheckResult, Judgement
from backend.deployments.analysis.judge import LAG, Verdict
from backend.deployments.targets.base import Sample, VersionKey
from mlplatform.spec.model import Analysis


class LagWatch:
    """Follows the lag of a version beside that of the primary."""

    def __init__(self, analysis: Analysis, *, patience: float, clock: Callable[[], float]) -> None:
        self._maximum = analysis.lag.maximum.total_seconds()
        self._ratio = analysis.latency.max_ratio
        self._patience, self._clock = patience, clock
        self._behind_since: float | None = None
        self._check: CheckResult | None = None

    def observe(self, figures: Mapping[VersionKey, Sample], canary: VersionKey, primary: VersionKey | None) -> None:
        """Take in one reading."""
        mine = figures[canary].lag if canary in figures else None
        if mine is None:
            return
        theirs = figures[primary].lag if primary is not None and primary in figures else None
        limit = max(self._maximum, (theirs or 0.0) * self._ratio)
        if mine <= limit:
            self._behind_since = None
            self._check = _check(mine, limit, 0.0, self._patience)
            return
        now = self._clock()
        self._behind_since = now if self._behind_since is None else self._behind_since
        self._check = _check(mine, limit, now - self._behind_since, self._patience)

    def added_to(self, judgement: Judgement) -> Judgement:
        """Return the judgement with what is known about the lag."""
        return judgement if self._check is None else replace(judgement, checks=(*judgement.checks, self._check))


def _check(observed: float, limit: float, behind: float, patience: float) -> CheckResult:
    verdict: Verdict = "passing" if observed <= limit else "breached" if behind >= patience else "suspected"
    # The evidence is for how many seconds it has been behind, the threshold for how many it may be.
    return CheckResult(LAG, observed, limit, behind, patience, verdict)
