"""Counts in slots of time: what a reading of growing counters adds, and how slots are packed.

A series is kept three times, each time coarser and for longer (:data:`TIERS`), so that thirty days of it take a few hundred
kilobytes at most. A row of counts is ``total, bad`` and, where there is one, a histogram over :data:`EDGES`.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.deployments.targets.base import Sample

Row = NDArray[np.int64]
Rows = NDArray[np.int64]

EDGES = (
    1.0, 2.0, 5.0, 10.0, 15.0, 24.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 240.0, 250.0, 300.0, 400.0, 500.0, 750.0,
    1000.0, 1500.0, 2000.0, 2400.0, 2500.0, 5000.0, 7500.0, 10_000.0, 20_000.0, 30_000.0, 60_000.0, float("inf"),
)  # fmt: skip
"""Upper bounds in milliseconds: borders of Envoy's bins, and those of the toolkit's own servers where these differ."""
_KINDS = ("<u1", "<u2", "<u4", "<i8")
WIDTH = 2 + len(EDGES)
"""Numbers in a row with a histogram."""


@dataclass(frozen=True)
class Tier:
    """One resolution: slots of ``step`` seconds, packed ``slots`` at a time, kept for ``keep`` seconds."""

    step: int
    slots: int
    keep: int

    @property
    def span(self) -> int:
        """Seconds in a chunk."""
        return self.step * self.slots


TIERS = (Tier(10, 60, 4_200), Tier(60, 60, 90_000), Tier(300, 288, 31 * 86_400))
"""10 s for an hour, a minute for a day, 5 minutes for 30 days; each a little longer, so that they overlap."""


@dataclass(frozen=True)
class Reading:
    """Counters of a version as they were read at a time (seconds since the epoch)."""

    at: float
    counts: Row
    """Requests, errors, and answers by :data:`EDGES`: each bucket by itself, not what lies below it."""


def reading(sample: Sample, at: float) -> Reading:
    """Return a sample's counters in the store's own buckets."""
    return Reading(at, rows_of([sample])[0])


def rows_of(samples: Sequence[Sample]) -> Rows:
    """Return the counters of samples in the store's own buckets, a row for each.

    What lies in a bucket of the source is filed under the first edge that is not below its bound, so that nothing slow
    counts as fast.
    """
    rows = np.zeros((len(samples), WIDTH), dtype=np.int64)
    alike: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        # A proxy may count a failure before the request itself.
        rows[index, 0], rows[index, 1] = max(sample.requests, sample.errors, 0), max(sample.errors, 0)
        if sample.latency:
            alike.setdefault(len(sample.latency), []).append(index)
    for members in alike.values():
        table = np.array([samples[index].latency for index in members], dtype=np.float64)
        while len(members):
            # Most often all of them have the same bounds, and this is one pass.
            same = (table[:, :, 0] == table[0, :, 0]).all(axis=1)
            own = np.diff(table[same, :, 1].astype(np.int64), axis=1, prepend=0).clip(min=0)
            places = _places(tuple(table[0, :, 0].tolist()))
            some = np.array(members)[same]
            for edge in np.unique(places):
                rows[some, 2 + edge] = own[:, places == edge].sum(axis=1)
            members, table = np.array(members)[~same].tolist(), table[~same]
    return rows


@cache
def _places(bounds: tuple[float, ...]) -> NDArray[np.intp]:
    return np.array([min(bisect_left(EDGES, bound), len(EDGES) - 1) for bound in bounds], dtype=np.intp)


def growth(before: Reading | None, after: Reading, *, watched: bool) -> Row:
    """Return what was counted between two readings; never less than nothing, and never twice.

    A drop means that the counter began again at zero, so that all it shows happened since. Without an earlier reading that is
    so too where the source was ``watched`` all along; else nobody knows when it happened, and nothing is counted.
    """
    if before is None:
        return after.counts if watched else np.zeros_like(after.counts)
    if (after.counts < before.counts).any():
        # Of a source that was not watched it may have been counted before, by this platform's last life.
        return after.counts if watched else np.zeros_like(after.counts)
    return after.counts - before.counts


def spread(counts: Row, start: float, end: float, tier: Tier) -> Iterator[tuple[int, Row]]:
    """Share counts among the slots between two times by how much of the time is in each; yield slot numbers and rows.

    None is lost, and slots of all tiers add up to the same, since the share up to a border depends on the border alone. Of a
    time that is longer than the tier keeps, the newest slots are yielded. Where the clock went back, or stood still, everything
    is in the slot of the later reading.
    """
    step = 1000 * tier.step
    since, until = round(start * 1000), round(end * 1000)
    if since >= until:
        yield until // step, counts
        return
    first, last = since // step, (until - 1) // step
    if first == last:
        yield last, counts
        return
    first = max(first, last - tier.keep // tier.step)
    borders = np.arange(first, last + 2, dtype=np.int64) * step
    passed = np.clip(borders - since, 0, until - since)
    parts = passed[:, None] * counts[None, :] // (until - since)
    for index, row in enumerate(np.diff(parts, axis=0), first):
        if row.any():
            yield index, row


def good_edge(threshold_ms: float) -> int:
    """Return how many buckets of a histogram surely lie within a threshold."""
    return bisect_right(EDGES, threshold_ms)


def pack(rows: Rows) -> bytes:
    """Return the slots of a chunk as bytes: columns by themselves, in as few bytes a number as the largest one takes."""
    largest = int(rows.max(initial=0))
    code = next(index for index, kind in enumerate(_KINDS) if largest <= np.iinfo(kind).max)
    return bytes([code]) + zlib.compress(np.ascontiguousarray(rows.T, dtype=_KINDS[code]).tobytes(), 1)


def unpack(data: bytes, slots: int) -> NDArray[Any]:
    """Return what :func:`pack` packed, not to be written to."""
    flat = np.frombuffer(zlib.decompress(memoryview(data)[1:]), dtype=_KINDS[data[0]])
    return flat.reshape(-1, slots).T


def as_json(at: Reading) -> dict[str, Any]:
    """Return a reading as it is stored."""
    return {"at": at.at, "counts": at.counts.tolist()}


def from_json(stored: dict[str, Any]) -> Reading | None:
    """Return what :func:`as_json` returned; ``None`` for one of another release's buckets."""
    counts: Sequence[int] = stored["counts"]
    return Reading(float(stored["at"]), np.array(counts, dtype=np.int64)) if len(counts) == WIDTH else None
