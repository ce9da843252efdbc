"""Turns Envoy's counters into one sample per version."""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from backend.deployments.targets.base import Sample, VersionKey
from backend.deployments.targets.local.admin import EnvoyAdmin

HISTOGRAMS = r"^cluster\..*\.upstream_rq_time$"
_CLUSTER = re.compile(r"^(?P<environment>[^/]+)/(?P<model>[^/]+)/v(?P<version>\d+)(?P<failover>/failover)?$")
_DECADE = (*range(10, 20), *range(20, 50, 2), *range(50, 100, 5))


def _bounds() -> tuple[float, ...]:
    finest = [float(value) for value in range(1, 10)]
    for factor in (1, 10, 100, 1000):
        finest += [float(value * factor) for value in _DECADE]
    return (*[bound for bound in finest if bound < 60_000], 60_000.0, math.inf)


LATENCY_BOUNDS = _bounds()
"""Upper bounds in milliseconds, 5 to 10 % apart from 10 ms on, all of them borders of Envoy's own bins."""


def parse_cluster(name: str) -> VersionKey | None:
    """Return the version that a cluster belongs to, or ``None`` for a foreign cluster."""
    match = _CLUSTER.match(name)
    if match is None:
        return None
    return VersionKey(match["environment"], match["model"], int(match["version"]))


def upper_bound(lower: float, width: float) -> float:
    """Return the true upper border of one of Envoy's bins, in milliseconds.

    Envoy counts whole milliseconds, rounded down: what it files under 7 took at least 7 ms and less than 8.
    """
    return math.floor(lower) + 1.0 if lower < 10 else lower + width


class SampleReader:
    """Scrapes Envoy and adds up, so that the figures of a version only grow as long as this object lives.

    Envoy forgets the counters of a host that leaves and everything when it restarts. Each series is therefore followed
    by itself, and a drop is read as a start from zero.
    """

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin
        self._requests = Series()
        self._errors = Series()
        self._latency = Series()

    def read(self) -> dict[VersionKey, Sample]:
        """Scrape once and return a sample of each version that Envoy knows at present."""
        known: set[VersionKey] = set()
        for cluster, hosts in self._admin.hosts().items():
            key = parse_cluster(cluster)
            if key is None or cluster.endswith("/failover"):
                continue
            known.add(key)
            for host in hosts:
                port = host["address"]["socket_address"]["port_value"]
                counters = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
                errors = counters.get("rq_error", 0)
                self._requests.follow((key, port), counters.get("rq_success", 0) + errors)
                self._errors.follow((key, port), errors)
        for name, bins in self._admin.histograms(HISTOGRAMS).items():
            cluster = name.removeprefix("cluster.").removesuffix(".upstream_rq_time")
            key = parse_cluster(cluster)
            if key is not None:
                for index, count in _binned(bins).items():
                    self._latency.follow((key, cluster, index), count)
        requests, failed = self._requests.totals(), self._errors.totals()
        bins_of = self._latency.totals(part=2)
        return {
            key: Sample(
                key=key,
                requests=requests.get((key,), 0),
                errors=failed.get((key,), 0),
                latency=_cumulative(bins_of, key),
            )
            for key in sorted(known)
        }


def _binned(bins: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for item in bins:
        bound = upper_bound(float(item["lower_bound"]), float(item["width"]))
        index = bisect_left(LATENCY_BOUNDS, bound)
        counts[index] = counts.get(index, 0) + int(item["count"])
    return counts


def _cumulative(latency: Mapping[tuple[Any, ...], int], key: VersionKey) -> tuple[tuple[float, int], ...]:
    total = 0
    rising: list[tuple[float, int]] = []
    for index, bound in enumerate(LATENCY_BOUNDS):
        total += latency.get((key, index), 0)
        rising.append((bound, total))
    return tuple(rising)


class Series:
    """Counters by name, each of which may start again from zero."""

    def __init__(self) -> None:
        self._last: dict[tuple[Any, ...], int] = {}
        self._sums: dict[tuple[Any, ...], int] = {}

    def follow(self, name: tuple[Any, ...], value: int) -> None:
        """Take the present value of a counter."""
        last = self._last.get(name, 0)
        self._sums[name] = self._sums.get(name, 0) + (value - last if value >= last else value)
        self._last[name] = value

    def totals(self, part: int | None = None) -> dict[tuple[Any, ...], int]:
        """Add up by the first member of the names, or by the first and member ``part``."""
        totals: dict[tuple[Any, ...], int] = {}
        for name, value in self._sums.items():
            group = (name[0],) if part is None else (name[0], name[part])
            totals[group] = totals.get(group, 0) + value
        return totals
