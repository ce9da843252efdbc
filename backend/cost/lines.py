"""The lines of a day's cost: usage at its price, what bills say, and shared cost split among the models of the day.

The rule by which shared cost is split: in proportion to what each model costs by itself on that day (metered usage at its
list price, and what bills charge to it), by the method of the largest remainder, to nine decimal places. So the parts add
up to exactly what was split. On a day on which no model costs anything, shared cost stays with no model and no team.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.core.database import lock_for_transaction
from backend.cost import repository
from backend.cost.money import split
from backend.cost.periods import Month
from backend.cost.prices import PriceSheet, Use
from backend.cost.repository import BilledRow
from backend.cost.resources import KINDS, Resource
from backend.cost.usage import LOCK

if TYPE_CHECKING:
    from backend.core.container import Services

METER, SETTINGS = "meter", "settings"
_ZERO = Decimal(0)
_KEY = ("model", "version", "environment", "activity", "resource", "sku", "origin", "shared")


class Lines:
    """Makes them, a day at a time."""

    def __init__(self, services: "Services", sheet: PriceSheet) -> None:
        self._services, self._sheet = services, sheet

    def remake(self, session: Session, day: date) -> set[str]:
        """Make the lines of a day anew, unless its month is closed; return the models that have any, or had."""
        lock_for_transaction(session, LOCK)
        repository.clean(session, day)
        if repository.closed(session, [str(Month.of(day))]):
            return set()
        before = repository.models_on(session, day)
        rows = self._made(session, day)
        repository.replace_day(session, day, rows)
        return (before | {row["model"] for row in rows}) - {""}

    def _made(self, session: Session, day: date) -> list[dict[str, Any]]:
        billed = repository.billed_on(session, day)
        by_bill = self._services.settings.cost.basis == "bill" and bool(repository.bills(session, str(Month.of(day))))
        rows = self._metered(session, day, charged=not by_bill)
        rows += [_line(day, row=one) for one in billed if one.model]
        weights: dict[str, Decimal] = {}
        for row in rows:
            weights[row["model"]] = weights.get(row["model"], _ZERO) + max(row["list_cost"], _ZERO)
        if not any(weights.values()):
            weights = {"": Decimal(1)}
        shared = [(one.service, one.origin, one.cost) for one in billed if not one.model]
        shared += [(name, SETTINGS, cost) for name, cost in self._sheet.shared(day).items()]
        for name, origin, amount in shared:
            for model, part in split(amount, weights).items():
                if part:
                    rows.append(_line(day, model=model, resource=name, origin=origin, cost=part, shared=True))
        return self._owned(session, _merged(rows))

    def _metered(self, session: Session, day: date, *, charged: bool) -> list[dict[str, Any]]:
        rows = []
        for *dimensions, quantity in repository.used_on(session, day):
            own = dict(zip(repository.DIMENSIONS, dimensions, strict=True))
            resource = Resource(own["resource"])
            price = self._sheet.price(Use(resource, own["sku"], own["environment"], own["activity"]), day)
            cost = price.of(quantity) if price is not None else _ZERO
            rows.append(
                {
                    **_line(day, **own, origin=METER, cost=cost if charged else _ZERO),
                    "quantity": quantity,
                    "list_cost": cost,
                    "unit_price": None if price is None else price.amount,
                    "pricing_unit": KINDS[resource].unit if price is None else price.unit,
                }
            )
        return rows

    def _owned(self, session: Session, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        models = self._services.registry.registered(session, sorted({row["model"] for row in rows}))
        for row in rows:
            model = models[row["model"]][0] if row["model"] in models else None
            row["owner"] = model.owner if model is not None else ""
            row["cost_centre"] = model.cost_centre if model is not None else ""
        return rows


def _line(day: date, *, row: BilledRow | None = None, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "day": day,
        "model": "",
        "version": 0,
        "environment": "",
        "activity": "",
        "sku": "",
        "shared": False,
        "quantity": _ZERO,
        "unit_price": None,
        "pricing_unit": "",
        **values,
    }
    if row is not None:
        made |= {"model": row.model, "version": row.version, "environment": row.environment}
        made |= {"resource": row.service, "origin": row.origin, "cost": row.cost}
    return {"list_cost": made["cost"], **made}


def _merged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up what two providers charge for under the same name."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in _KEY)
        if key in found:
            for name in ("cost", "list_cost", "quantity"):
                found[key][name] += row[name]
        else:
            found[key] = dict(row)
    return list(found.values())
