"""Months, days and hours in UTC, in which all cost is counted: a day always has 24 hours, whatever clocks people set."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

MONTH_PATTERN = r"^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])$"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the month of a day; a time counts as UTC has it."""
        if isinstance(day, datetime):
            day = day.astimezone(UTC).date()
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2028-02``; raise ``ValueError`` for anything else."""
        if not re.fullmatch(MONTH_PATTERN, text):
            raise ValueError(f"{text!r} is not a month; write for example 2028-02")
        return cls(int(text[:4]), int(text[5:]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, self.number, 1)

    @property
    def end(self) -> date:
        """The first day of the month after."""
        return self.plus(1).first

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.first).days

    def plus(self, months: int) -> "Month":
        """Return the month so many months later, or earlier."""
        years, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, number + 1)

    def __iter__(self) -> Iterator[date]:
        """Yield its days."""
        return (self.first + timedelta(days=index) for index in range(self.days))


def start_of(day: date) -> datetime:
    """Return when a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def hour_of(time: datetime) -> datetime:
    """Return when the hour of a time begins."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
