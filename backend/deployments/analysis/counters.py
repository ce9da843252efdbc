"""From counters that only grow to what happened in one tick, and to percentiles."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.deployments.targets.base import Sample, VersionKey

_INFINITY = float("inf")


@dataclass(frozen=True)
class Histogram:
    """Answers by response time: (upper bound in milliseconds, answers in this bucket alone), bounds rising."""

    buckets: tuple[tuple[float, int], ...] = ()

    @property
    def total(self) -> int:
        """All answers."""
        return sum(count for _, count in self.buckets)

    def above(self, edge: float) -> int:
        """Answers slower than ``edge``, which must be a bucket's bound (see :func:`edge_at_or_above`)."""
        return sum(count for bound, count in self.buckets if bound > edge)

    def percentile(self, percent: float) -> float | None:
        """Response time below which ``percent`` of the answers lie, interpolated within its bucket."""
        total = self.total
        if not total:
            return None
        rank, seen, lower = percent / 100 * total, 0, 0.0
        for bound, count in self.buckets:
            if count and seen + count >= rank:
                if bound == _INFINITY:
                    return lower
                return lower + (bound - lower) * (rank - seen) / count
            seen += count
            lower = bound
        return lower

    def plus(self, other: "Histogram") -> "Histogram":
        """Return both together."""
        merged: dict[float, int] = dict(self.buckets)
        for bound, count in other.buckets:
            merged[bound] = merged.get(bound, 0) + count
        return Histogram(tuple(sorted(merged.items())))

    def dump(self) -> list[list[float | int | None]]:
        """Return the buckets that hold something, as JSON values (JSON has no infinity)."""
        return [[None if bound == _INFINITY else bound, count] for bound, count in self.buckets if count]

    @staticmethod
    def load(values: Sequence[Sequence[Any]]) -> "Histogram":
        """Return what :meth:`dump` wrote."""
        return Histogram(tuple((_INFINITY if bound is None else float(bound), int(n)) for bound, n in values))


@dataclass(frozen=True)
class Delta:
    """What one version did in one tick."""

    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    edges: tuple[float, ...] = ()

    def plus(self, other: "Delta") -> "Delta":
        """Return both together."""
        return Delta(
            self.requests + other.requests,
            self.errors + other.errors,
            self.latency.plus(other.latency),
            other.edges or self.edges,
        )


def edge_at_or_above(edges: Sequence[float], value: float) -> float | None:
    """Return the finest bucket bound that is not below ``value``: only there can a histogram be cut exactly."""
    position = bisect_left(edges, value)
    return edges[position] if position < len(edges) and edges[position] != _INFINITY else None


def delta_between(before: Sample | None, after: Sample | None) -> Delta:
    """Return what happened between two readings.

    A version that an earlier reading did not know had no counters yet, so all it shows happened since. Counters that
    dropped were started again from zero (the proxy was restarted): here too all they show happened since.
    """
    if after is None:
        return Delta()
    dropped = before is not None and (
        after.requests < before.requests or _total(after) < _total(before) or after.errors < before.errors
    )
    base = None if dropped else before
    earlier: Mapping[float, int] = _counts(base) if base else {}
    requests = after.requests - (base.requests if base else 0)
    errors = after.errors - (base.errors if base else 0)
    buckets = tuple((bound, max(0, n - earlier.get(bound, 0))) for bound, n in _counts(after).items())
    # A proxy may count a request when it starts and its failure when it ends, so that a tick can show more failures
    # than requests; both are right, and a share above 1 is not.
    requests = max(requests, errors)
    return Delta(requests, errors, Histogram(tuple((b, n) for b, n in buckets if n)), _edges(after))


def dump_sample(sample: Sample) -> dict[str, Any]:
    """Return the counters of a reading as JSON values."""
    latency = [[None if bound == _INFINITY else bound, count] for bound, count in sample.latency]
    return {"requests": sample.requests, "errors": sample.errors, "latency": latency}


def load_sample(key: VersionKey, values: Mapping[str, Any]) -> Sample:
    """Return what :func:`dump_sample` wrote."""
    latency = tuple((_INFINITY if bound is None else float(bound), int(count)) for bound, count in values["latency"])
    return Sample(key, int(values["requests"]), int(values["errors"]), latency)


def _total(sample: Sample) -> int:
    return sample.latency[-1][1] if sample.latency else 0


def _edges(sample: Sample) -> tuple[float, ...]:
    return tuple(bound for bound, _ in sample.latency)


def _counts(sample: Sample) -> dict[float, int]:
    counts: dict[float, int] = {}
    below = 0
    for bound, cumulative in sample.latency:
        counts[bound] = max(0, cumulative - below)
        below = max(below, cumulative)
    return counts
