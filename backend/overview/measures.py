"""Figures as what they are counted from: one sample for each event behind a figure, and how samples become its value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles


@dataclass(frozen=True)
class Sample:
    """An event behind a figure. Of a share, 1 is what counts and 0 what it is a share of."""

    at: datetime
    subject: str
    value: float
    note: str = ""
    until: datetime | None = None
    """When it was over, for what lasts: it counts in each month that it touches."""
    of: int = 1
    """How many it stands for, where several are one sample already."""


@dataclass(frozen=True)
class Figure:
    """A figure: its value, what it is to reach, what it was counted from and what it means."""

    name: str
    value: float | None
    unit: str
    target: float | None
    count: int
    meaning: str
    reached: bool | None
    """Whether it is what it is to be; nothing without a value or a target."""


@dataclass(frozen=True)
class Month:
    """A figure in a month, such as ``2026-03``."""

    month: str
    value: float | None
    count: int


@dataclass(frozen=True)
class Measure:
    """A figure before it is counted. ``value`` is given samples' values and the days that they are from."""

    name: str
    unit: str
    target: float | None
    meaning: str
    value: Callable[[Sequence[float], float], float | None]
    samples: Sequence[Sample]
    at_least: bool = False
    """Whether the target is the least that it is to reach; else it is the most that it may be."""
    newest_only: bool = False
    """Whether only the newest sample of a time counts, since each says all there was to say then."""
    history: Sequence[Sample] = ()
    """What the months before the present one are told from, the newest of each, where ``samples`` are of now alone."""

    def events(self, since: datetime) -> list[Sample]:
        """Return the samples since a time, newest first."""
        found = [one for one in self.samples if (one.until or one.at) >= since]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def figure(self, since: datetime, days: float) -> Figure:
        """Return the figure of what happened since a time."""
        value, count = self._counted(self.events(since), days)
        reached = None
        if value is not None and self.target is not None:
            reached = value >= self.target if self.at_least else value <= self.target
        return Figure(self.name, value, self.unit, self.target, count, self.meaning, reached)

    def trend(self, now: datetime, months: int) -> list[Month]:
        """Return the figure of each of the last months, the present one last and as far as it has come."""
        found = []
        for back in reversed(range(months)):
            number = now.year * 12 + now.month - 1 - back
            begin = now.replace(
                year=number // 12, month=number % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
            )
            after = number + 1
            end = begin.replace(year=after // 12, month=after % 12 + 1)
            days = (min(end, now) - begin).total_seconds() / 86_400
            value, count = self._counted([one for one in self.events(begin) if one.at < end], days)
            told = [one for one in self.history if begin <= one.at < end]
            if back and told:
                newest = max(told, key=lambda one: one.at)
                value, count = newest.value, newest.of
            found.append(Month(f"{begin:%Y-%m}", value, count))
        return found

    def _counted(self, samples: Sequence[Sample], days: float) -> tuple[float | None, int]:
        if self.newest_only:
            samples = samples[:1]
        return self.value([one.value for one in samples], days), sum(one.of for one in samples)


def number(values: Sequence[float], days: float) -> float | None:
    """Count."""
    return float(len(values))


def per_week(values: Sequence[float], days: float) -> float | None:
    """Count by week."""
    return 7 * len(values) / days if days > 0 else None


def share(values: Sequence[float], days: float) -> float | None:
    """Return the percentage of what counts."""
    return 100 * sum(values) / len(values) if values else None


def latest(values: Sequence[float], days: float) -> float | None:
    """Return the first, which is the newest."""
    return values[0] if values else None


def middle(values: Sequence[float], days: float) -> float | None:
    """Return the median."""
    return median(values) if values else None


def nine_of_ten(values: Sequence[float], days: float) -> float | None:
    """Return what one of ten is above."""
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=10, method="inclusive")[8]
