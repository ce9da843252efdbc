"""How an error budget is spent: the same arithmetic as that of the recording rules that ``platform generate`` writes.

Source: Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts". The rules record a rate over
five minutes and add that up over each window, so that an event counts for as long as its five minutes overlap the window;
here it does so too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from mlplatform.generate.objectives import Burn, Objective

RATE = 300.0
"""Seconds over which the rules take a rate."""


@dataclass(frozen=True)
class Counts:
    """Events by time: middles of slots in seconds since the epoch, rising, with all events and the bad ones."""

    at: NDArray[np.float64]
    total: NDArray[np.float64]
    bad: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, float]]) -> "Counts":
        """Make counts of (time, all, bad)."""
        table = np.array(sorted(rows), dtype=np.float64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])

    def since(self, start: float) -> "Counts":
        """Return what happened since a time."""
        some = self.at >= start
        return Counts(self.at[some], self.total[some], self.bad[some])


@dataclass(frozen=True)
class Burning:
    """A pair of windows with the share of bad events in each."""

    pair: Burn
    long_ratio: float | None
    short_ratio: float | None
    fires: bool


@dataclass(frozen=True)
class Judged:
    """An objective at a moment.

    ``remaining`` is the part of the budget that is left: 1 is all of it, below 0 more than all is gone.
    """

    remaining: float | None
    ratio: float | None
    total: float
    bad: float
    burning: tuple[Burning, ...] = field(default=())

    @property
    def firing(self) -> frozenset[str]:
        """Which alerts fire: ``fast``, ``slow``."""
        return frozenset(one.pair.name for one in self.burning if one.fires)


def within(counts: Counts, now: float, window: timedelta) -> tuple[float, float]:
    """Return all events and bad events of a window that ends now, weighed as the recording rules weigh them."""
    length = window.total_seconds()
    from_ = np.searchsorted(counts.at, now - length - RATE, side="right")
    to = np.searchsorted(counts.at, now, side="right")
    at = counts.at[from_:to]
    if length <= RATE:
        inside = (at > now - length).astype(np.float64)
    else:
        inside = np.clip(np.minimum(at + RATE, now) - np.maximum(at, now - length), 0.0, None) / RATE
    return float(inside @ counts.total[from_:to]), float(inside @ counts.bad[from_:to])


def ratio_of(counts: Counts, now: float, window: timedelta) -> float | None:
    """Return the share of bad events in a window; ``None`` without any event."""
    total, bad = within(counts, now, window)
    return min(bad / total, 1.0) if total > 0 else None


def judge(objective: Objective, counts: Counts, now: float) -> Judged:
    """Judge an objective by its events."""
    total, bad = within(counts, now, objective.window)
    ratio = min(bad / total, 1.0) if total > 0 else None
    windows = {window for pair in objective.burns for window in (pair.long, pair.short)}
    ratios = {window: ratio_of(counts, now, window) for window in windows}
    remaining = None if ratio is None else 1 - ratio / objective.budget
    return Judged(remaining, ratio, total, bad, burning(objective, ratios))


def burning(objective: Objective, ratios: Mapping[timedelta, float | None]) -> tuple[Burning, ...]:
    """Judge every pair of windows by the share of bad events in each; a window without events fires nothing."""
    found = []
    for pair in objective.burns:
        long, short = ratios.get(pair.long), ratios.get(pair.short)
        limit = objective.limit(pair)
        fires = long is not None and short is not None and long >= limit and short >= limit
        found.append(Burning(pair, long, short, fires))
    return tuple(found)
