"""What a model's versions did over time, at a bounded number of points that are read from the store of samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.observability import repository
from backend.observability.series import EDGES, TIERS, Rows, Tier, unpack

MOST_POINTS = 300
"""One more where a window does not begin at a border."""
QUANTILES = (0.5, 0.95, 0.99)
_STEPS = (10, 20, 60, 120, 300, 900, 1800, 3600, 7200, 10_800)
"""Seconds from point to point; each is made of whole slots of every tier that is not coarser."""
_PLAIN = 2


@dataclass(frozen=True)
class Grid:
    """Points from ``start``, ``step`` seconds apart, and the tier whose slots they are made of."""

    start: int
    step: int
    points: int
    tier: Tier

    @property
    def end(self) -> int:
        """Seconds since the epoch at which the last point ends."""
        return self.start + self.step * self.points

    @property
    def at(self) -> NDArray[np.int64]:
        """When each point begins."""
        return self.start + self.step * np.arange(self.points, dtype=np.int64)


def grid(since: float, until: float, now: float) -> Grid:
    """Return the finest points for a window of which the store still has everything at ``now``.

    They are read from the coarsest tier that has slots as fine, since that is the least to read.
    """
    finest = next((tier for tier in TIERS if since >= now - tier.keep), TIERS[-1])
    step = next((one for one in _STEPS if one >= finest.step and until - since <= one * MOST_POINTS), _STEPS[-1])
    tier = next(tier for tier in reversed(TIERS) if tier.step <= step)
    start = int(since // step) * step
    return Grid(start, step, math.ceil((until - start) / step), tier)


def rows_by_version(
    session: Session, environment: str, model: str, measure: str, grid: Grid, width: int
) -> dict[int, Rows]:
    """Return the counts of each version of a model at each point, for versions of which anything was counted.

    ``width`` is that of a row of this measure. Of what another release counted in other buckets, the first two numbers are read.
    """
    tier, found = grid.tier, dict[int, Rows]()
    first = grid.start // tier.span * tier.span
    for version, start, data in repository.chunks_of(
        session, environment, model, measure, tier.step, first, before=grid.end
    ):
        low, high = max(start, grid.start), min(start + tier.span, grid.end)
        table = unpack(data, tier.slots)[(low - start) // tier.step : (high - start) // tier.step]
        if not table.any():
            continue
        own = found.setdefault(version, np.zeros((grid.points, width), dtype=np.int64))
        same = width if table.shape[1] == width else _PLAIN
        places = (low - grid.start + tier.step * np.arange(len(table))) // grid.step
        np.add.at(own[:, :same], places, table[:, :same])
    return found


def known(rows: Rows, heard: float, grid: Grid) -> tuple[slice, NDArray[np.float64]]:
    """Return from which to which point a version's counts are known, and how many seconds of each of these are.

    Its first count is the first thing that is known of a version, and ``heard``, when it was read last, the end.
    """
    seconds = np.clip(heard - grid.at, 0.0, float(grid.step))
    some, read = np.flatnonzero(rows[:, 0]), np.flatnonzero(seconds)
    first, last = (int(some[0]) if len(some) else 0), (int(read[-1]) + 1 if len(read) else 0)
    inside = slice(first, max(first, last))
    return inside, seconds[inside]


def quantiles(histograms: Rows, shares: Sequence[float] = QUANTILES) -> NDArray[np.float64]:
    """Return the time in milliseconds within which each share of the answers came: a row per histogram, ``nan`` if it is empty.

    Answers are taken to lie evenly in their bucket of :data:`EDGES`, the first of which begins at 0, as PromQL's
    ``histogram_quantile`` does (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile). So the
    error is at most the width of the bucket in which the exact quantile (of nearest rank) lies: above 1 ms a factor of 2.5,
    between 100 ms and 500 ms one of 1.5. Beyond the last finite edge that edge is returned, which is too little. Histograms
    may be added up before: that adds no error.
    """
    upper = np.array(EDGES)
    lower = np.concatenate([[0.0], upper[:-1]])
    upper[-1] = lower[-1]
    below = np.cumsum(histograms, axis=1)
    total = below[:, -1]
    found = np.full((len(histograms), len(shares)), np.nan)
    some = np.flatnonzero(total)
    for column, share in enumerate(shares):
        rank = share * total[some]
        place = np.argmax(below[some] >= rank[:, None], axis=1)
        inside = histograms[some, place]
        part = (rank - (below[some, place] - inside)) / inside
        found[some, column] = lower[place] + (upper[place] - lower[place]) * part
    return found
