"""Turns the metrics of workers into one sample per version: what became of messages, how long that took, what is left."""

import math
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from backend.deployments.targets.base import Sample, VersionKey
from backend.deployments.targets.local.samples import Series
from backend.deployments.targets.streaming.workers import Worker
from mlplatform.streaming.metrics import (
    ANSWERED,
    DEAD_LETTER,
    INVALID,
    REDELIVERED,
    SHADOW_FAILED,
    SHADOWED,
    bounds,
)

FAILED = frozenset({INVALID, DEAD_LETTER, REDELIVERED, SHADOW_FAILED})
"""A message that the version does not accept counts against it, too: it was published to be answered."""
COUNTED = FAILED | {ANSWERED, SHADOWED}
BOUNDS = (*(bound * 1000 for bound in bounds()), math.inf)


class WorkerFigures:
    """Scrapes and adds up, so that figures only grow while workers come and go."""

    def __init__(self) -> None:
        self._messages = Series()
        self._failed = Series()
        self._latency = Series()

    def read(self, workers: Iterable[Worker]) -> dict[VersionKey, Sample]:
        """Scrape all workers once; return a sample of each version of which one answers."""
        lags: dict[VersionKey, float] = {}
        for worker in workers:
            text = worker.metrics()
            if text is not None:
                lags[worker.key] = max(lags.get(worker.key, 0.0), self._take(worker, text))
        messages, failed, latency = self._messages.totals(), self._failed.totals(), self._latency.totals(part=2)
        return {
            key: Sample(
                key=key,
                requests=messages.get((key,), 0),
                errors=failed.get((key,), 0),
                latency=tuple((bound, latency.get((key, bound), 0)) for bound in BOUNDS),
                lag=lag,
            )
            for key, lag in sorted(lags.items())
        }

    def _take(self, worker: Worker, text: str) -> float:
        messages = failed = 0
        lag = 0.0
        for family in text_string_to_metric_families(text):
            if not family.name.startswith("mlplatform_stream_"):
                continue
            for name, labels, value, *_ in family.samples:
                if name == "mlplatform_stream_messages_total" and labels["outcome"] in COUNTED:
                    messages += int(value)
                    failed += int(value) if labels["outcome"] in FAILED else 0
                elif name == "mlplatform_stream_processing_seconds_bucket":
                    self._latency.follow((worker.key, worker.replica, float(labels["le"]) * 1000), int(value))
                elif name == "mlplatform_stream_lag_seconds":
                    lag = float(value)
        self._messages.follow((worker.key, worker.replica), messages)
        self._failed.follow((worker.key, worker.replica), failed)
        return lag
