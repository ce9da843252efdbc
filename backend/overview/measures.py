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


@dataclass(frozen=True)
class Figure:
    """A figure: its value, what it is to reach, what it was counted from and what it means."""

    name: str
    value: float | None
    unit: str
    target: float | None
    count: int
    meaning: str


@dataclass(frozen=True)
class Month:
    """A figure in a month, such as ``2026-03``."""

    month: str
    value: float | None
    count: int


@dataclass(frozen=True)
class Measure:
    """A figure before it is counted. ``value`` is given samples and the days that they are from."""

    name: str
    unit: str
    target: float | None
    meaning: str
    value: Callable[[Sequence[float], float], float | None]
    samples: Sequence[Sample]

    def figure(self, since: datetime, days: float) -> Figure:
        """Return the figure of what happened since a time."""
        values = [one.value for one in self.samples if one.at >= since]
        return Figure(self.name, self.value(values, days), self.unit, self.target, len(values), self.meaning)

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
            values = [one.value for one in self.samples if begin <= one.at < end]
            days = (min(end, now) - begin).total_seconds() / 86_400
            found.append(Month(f"{begin:%Y-%m}", self.value(values, days), len(values)))
        return found


def number(values: Sequence[float], days: float) -> float | None:
    """Count."""
    return float(len(values))


def per_week(values: Sequence[float], days: float) -> float | None:
    """Count by week."""
    return 7 * len(values) / days if days > 0 else None


def share(values: Sequence[float], days: float) -> float | None:
    """Return the percentage of what counts."""
    return 100 * sum(values) / len(values) if values else None


def middle(values: Sequence[float], days: float) -> float | None:
    """Return the median."""
    return median(values) if values else None


def nine_of_ten(values: Sequence[float], days: float) -> float | None:
    """Return what one of ten is above."""
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=10, method="inclusive")[8]
