"""What the present month is going to cost.

The rule: what is spent up to yesterday, and for each day left, today included, the mean of the last seven full days (a
whole week, so that weekends weigh as they do) or of as many as there are. Today counts at what it has cost already where
that is more. Shared costs are in the lines of each day, so they are in it, too.
"""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.cost import repository
from backend.cost.periods import DAY, Month

if TYPE_CHECKING:
    from backend.core.container import Services

WEEK = 7
_ZERO = Decimal(0)


class Forecast:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def of(self, session: Session, **only: Any) -> tuple[Decimal, Decimal]:
        """Return what some lines have cost this month, and what they are going to cost."""
        today = self._services.clock.now().date()
        first = min(Month.of(today).first, today - WEEK * DAY)
        rows = repository.sums(session, ["day"], first, today + DAY, **only)
        return expected({row["day"]: row["cost"] for row in rows}, today, repository.oldest_day(session))


def expected(by_day: dict[date, Decimal], today: date, oldest: date | None) -> tuple[Decimal, Decimal]:
    """Return what the month has cost so far, and what it is going to; ``oldest`` is the first day that is known at all."""
    month = Month.of(today)
    spent = sum((by_day.get(day, _ZERO) for day in month if day <= today), _ZERO)
    today_cost = by_day.get(today, _ZERO)
    full = [
        day for day in (today - index * DAY for index in range(1, WEEK + 1)) if oldest is not None and day >= oldest
    ]
    daily = sum((by_day.get(day, _ZERO) for day in full), _ZERO) / len(full) if full else today_cost
    left = (month.end - today).days - 1
    return spent, spent - today_cost + max(today_cost, daily) + left * daily
