"""Which times of a schedule are due, and which days they are about. Pure: no clock, no database. Everything is UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from cronsim import CronSim

_MOST_TIMES = 20_000
"""So many missed times are looked at; a schedule of every minute reaches back two weeks with that."""


@dataclass(frozen=True)
class Due:
    """A day that is to be scored, and the time of the schedule that says so."""

    day: date
    time: datetime


@dataclass(frozen=True)
class DueDays:
    """What is due, in order, and whether there was more that is too old to be caught up."""

    days: tuple[Due, ...]
    more: bool = False


def due_days(schedule: str, *, after: datetime, until: datetime, delay: timedelta, most: int) -> DueDays:
    """Return the days whose times lie after ``after`` and not after ``until``, in order, at most the ``most`` newest.

    A time is about the day that lies ``delay`` before it. Several times about one day make one, at the last of them.
    """
    found: dict[date, Due] = {}
    for count, time in enumerate(_backwards(schedule, until), start=1):
        if time <= after:
            return DueDays(tuple(reversed(found.values())))
        day = (time - delay).date()
        if day not in found:
            if len(found) == most:
                break
            found[day] = Due(day, time)
        if count == _MOST_TIMES:
            break
    else:
        return DueDays(tuple(reversed(found.values())))
    return DueDays(tuple(reversed(found.values())), more=True)


def next_time(schedule: str, after: datetime) -> datetime | None:
    """Return the first time of a schedule after another, if there is one."""
    return next(islice(CronSim(schedule, after.astimezone(UTC)), 1), None)


def _backwards(schedule: str, until: datetime) -> Iterator[datetime]:
    # What stands on the minute itself counts, too.
    for time in CronSim(schedule, until.astimezone(UTC) + timedelta(minutes=1), reverse=True):
        if time <= until:
            yield time
