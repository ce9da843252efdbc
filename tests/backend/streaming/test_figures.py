"""What streaming versions are judged by: the workers' own metrics, and how far they are behind."""

from dataclasses import dataclass

import pytest

from backend.deployments.analysis import CheckResult, Judgement, StepFigures
from backend.deployments.lag import LagWatch
from backend.deployments.targets.base import Sample, VersionKey
from backend.deployments.targets.streaming.figures import BOUNDS, WorkerFigures
from backend.deployments.targets.streaming.workers import Worker
from mlplatform.serving.metrics import Metrics
from mlplatform.spec.model import Analysis
from mlplatform.streaming import metrics as outcomes
from mlplatform.streaming.metrics import StreamMetrics

OLD, NEW = VersionKey("lab", "orders", 1), VersionKey("lab", "orders", 2)


@dataclass(frozen=True)
class Told(Worker):
    """A worker whose metrics are at hand."""

    text: str | None = None

    def metrics(self) -> str | None:
        return self.text


def told(key: VersionKey, replica: int, counts: dict[str, int], *, seconds: float = 0.01, lag: float = 0.0) -> Told:
    metrics = Metrics(key.model, str(key.version), key.environment)
    stream = StreamMetrics(metrics)
    for outcome, count in counts.items():
        stream.count(outcome, count)
        for _ in range(count):
            stream.took(seconds)
    stream.lag(3, lag)
    return Told(key, replica, 1, metrics.text().decode())


def test_replicas_add_up_and_what_is_not_answered_counts_against_the_version() -> None:
    figures = WorkerFigures()
    first = told(NEW, 0, {outcomes.ANSWERED: 5, outcomes.INVALID: 1, outcomes.PASSED_OVER: 100}, lag=2.5)
    second = told(
        NEW, 1, {outcomes.ANSWERED: 4, outcomes.REDELIVERED: 2, outcomes.DEAD_LETTER: 1, outcomes.SHADOWED: 3}
    )
    sample = figures.read([first, second])[NEW]
    assert (sample.requests, sample.errors, sample.lag) == (16, 4, 2.5)
    assert [bound for bound, _ in sample.latency] == list(BOUNDS)
    counts = dict(sample.latency)
    assert counts[BOUNDS[-1]] == 116
    assert all(count == 0 for bound, count in sample.latency if bound < 10)


def test_a_worker_that_was_started_anew_does_not_take_figures_back() -> None:
    figures = WorkerFigures()
    figures.read([told(NEW, 0, {outcomes.ANSWERED: 50})])
    sample = figures.read([told(NEW, 0, {outcomes.ANSWERED: 2, outcomes.INVALID: 1})])[NEW]
    assert (sample.requests, sample.errors) == (53, 1)
    assert figures.read([Told(NEW, 0, 1, None)]) == {}


NOTHING = Judgement(StepFigures(0, 0, None, 99), StepFigures(0, 0, None, 99), (), False)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def behind(watch: LagWatch, mine: float | None, theirs: float | None) -> CheckResult | None:
    figures = {key: Sample(key, 0, 0, (), lag) for key, lag in ((NEW, mine), (OLD, theirs)) if lag is not None}
    watch.observe(figures, NEW, OLD)
    return next(iter(watch.added_to(NOTHING).checks), None)


@pytest.mark.parametrize(
    ("theirs", "limit"), [(None, 60.0), (0.0, 60.0), (100.0, 150.0)], ids=["alone", "well", "also behind"]
)
def test_a_version_is_bad_when_it_was_behind_for_a_whole_step(theirs: float | None, limit: float) -> None:
    clock = Clock()
    watch = LagWatch(Analysis(), patience=30, clock=clock)
    assert behind(watch, None, theirs) is None
    verdicts = []
    for now, lag in ((0, 1.0), (10, limit + 1), (20, limit), (30, limit + 1), (59, limit + 5), (60, limit + 9)):
        clock.now = now
        check = behind(watch, lag, theirs)
        assert check is not None
        assert (check.name, check.observed, check.limit) == ("lag", lag, limit)
        verdicts.append(check.verdict)
    assert verdicts == ["passing", "suspected", "passing", "suspected", "suspected", "breached"]
