"""Days on which a model cost far more than before, and what grew.

A full day is compared with the fourteen before it, of which seven must have lines. It is an anomaly when it is above their
median by more than five times their spread (the median absolute deviation, scaled as a standard deviation is), by more than
half the median, and by more than one unit of the currency: all three, since a quiet model has no spread and a cheap one no
interest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.cost import repository
from backend.cost.models import CostAnomaly
from backend.cost.money import to_cents
from backend.cost.periods import DAY
from backend.notifications.service import Notice

if TYPE_CHECKING:
    from backend.core.container import Services

BEFORE, LEAST = 14, 7
_SPREADS, _SCALE, _SHARE, _LEAST_AMOUNT = 5, Decimal("1.4826"), Decimal("0.5"), Decimal(1)
_SHOWN = 3
_ZERO = Decimal(0)
Part = tuple[str, int, str, str, bool]
"""Resource, version, environment, activity, and whether it is shared cost."""


@dataclass(frozen=True)
class Grown:
    """A part of a model's cost, on the day and as it usually was."""

    part: Part
    cost: Decimal
    before: Decimal
    quantity: Decimal
    quantity_before: Decimal
    unit: str

    @property
    def by(self) -> Decimal:
        """By how much it grew."""
        return self.cost - self.before

    def say(self) -> str:
        """Name it, and say whether more was used or the price has risen."""
        resource, version, environment, activity, shared = self.part
        if shared:
            return f"the share of the shared cost {resource} went from {to_cents(self.before)} to {to_cents(self.cost)}"
        who = f"v{version}" if version else "the model"
        where = f" in {environment}" if environment else ""
        for_what = f" for {activity}" if activity else ""
        if not self.before and not self.quantity_before:
            return f"{resource} of {who}{where}{for_what} is new and cost {to_cents(self.cost)}"
        grown = self.quantity / self.quantity_before if self.quantity_before else None
        if grown is not None and grown < Decimal("1.05"):
            return f"the price of {resource} rose: {who}{where} used as much as before"
        times = f", {grown:.1f} times as much" if grown is not None else ""
        return f"{resource} of {who}{where}{for_what} went from {to_cents(self.before)} to {to_cents(self.cost)}{times}"


@dataclass(frozen=True)
class Found:
    """An anomaly."""

    cost: Decimal
    expected: Decimal
    grown: list[Grown]

    @property
    def cause(self) -> str:
        """What grew most, in a sentence."""
        return self.grown[0].say() if self.grown else "nothing grew by itself"


class Anomalies:
    """Looks at days that are over."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def look(self, session: Session, day: date) -> list[CostAnomaly]:
        """Examine a full day of all models; return the anomalies that were not known."""
        first = day - BEFORE * DAY
        oldest = repository.oldest_day(session)
        days = [one for one in (first + index * DAY for index in range(BEFORE)) if oldest is not None and one >= oldest]
        if len(days) < LEAST:
            return []
        totals: dict[str, dict[date, Decimal]] = {}
        for row in repository.sums(session, ["model", "day"], first, day + DAY):
            totals.setdefault(row["model"], {})[row["day"]] = row["cost"]
        known = {row.model for row in repository.anomalies(session, day, day + DAY)}
        new = []
        for model, by_day in sorted(totals.items()):
            seen = [one for one in days if one in by_day]
            usual = unusual(by_day.get(day, _ZERO), [by_day[one] for one in seen])
            if not model or usual is None or model in known:
                continue
            lines = repository.lines(session, first, day + DAY, model=model)
            found = Found(by_day[day], usual, _grown(lines, day, len(seen)))
            new.append(self._keep(session, model, day, found))
        return new

    def _keep(self, session: Session, model: str, day: date, found: Found) -> CostAnomaly:
        row = CostAnomaly(
            model=model,
            day=day,
            cost=found.cost,
            expected=found.expected,
            cause=found.cause,
            grown=[_as_json(one) for one in found.grown[:_SHOWN]],
            found_at=self._services.clock.now(),
        )
        session.add(row)
        self._services.audit.append(
            session,
            type="ml-platform.cost.anomaly",
            subject=f"model:{model}",
            actor=PLATFORM,
            data={
                "day": str(day),
                "cost": str(to_cents(found.cost)),
                "expected": str(to_cents(found.expected)),
                "cause": found.cause,
            },
        )
        self._services.notifications.tell(
            session,
            Notice(
                kind="cost-anomaly",
                subject=f"model:{model}",
                event="found",
                owner=self._services.registry.get_model(session, model).owner,
                severity="ticket",
                title=f"{model} cost far more on {day} than before",
                lines=[
                    f"{to_cents(found.cost)} {self._services.cost.sheet.currency} instead of {to_cents(found.expected)}",
                    found.cause,
                    f"Day by day: platform cost --model {model} --by day",
                ],
            ),
        )
        return row


def unusual(cost: Decimal, before: list[Decimal]) -> Decimal | None:
    """Return what a day should have cost if it cost far more than that, by the rule of this module; else ``None``."""
    if len(before) < LEAST:
        return None
    usual = median(before)
    spread = median([abs(one - usual) for one in before]) * _SCALE
    over = cost - usual
    return usual if over > max(_SPREADS * spread, _SHARE * usual, _LEAST_AMOUNT) else None


def _grown(lines: Any, day: date, days: int) -> list[Grown]:
    now: dict[Part, list[repository.LineRow]] = {}
    before: dict[Part, list[repository.LineRow]] = {}
    for line in lines:
        part = (line.resource, line.version, line.environment, line.activity, line.shared)
        (now if line.day == day else before).setdefault(part, []).append(line)
    found = []
    for part, own in now.items():
        former = before.get(part, [])
        found.append(
            Grown(
                part=part,
                cost=sum((one.cost for one in own), _ZERO),
                before=sum((one.cost for one in former), _ZERO) / days,
                quantity=sum((one.quantity for one in own), _ZERO),
                quantity_before=sum((one.quantity for one in former), _ZERO) / days,
                unit=own[0].pricing_unit,
            )
        )
    return sorted((one for one in found if one.by > 0), key=lambda one: -one.by)


def _as_json(one: Grown) -> Mapping[str, Any]:
    resource, version, environment, activity, shared = one.part
    return {
        "resource": resource,
        "version": version or None,
        "environment": environment or None,
        "activity": activity or None,
        "shared": shared,
        "cost": str(to_cents(one.cost)),
        "before": str(to_cents(one.before)),
    }
