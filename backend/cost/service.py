"""What things have cost: by team, model, version, environment and resource, and per thousand predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.orm import Session

from backend.cost import repository
from backend.cost.anomalies import Anomalies
from backend.cost.bills import Bills
from backend.cost.budgets import BudgetService
from backend.cost.forecast import Forecast
from backend.cost.lines import Lines
from backend.cost.money import cents_of, to_cents
from backend.cost.periods import DAY, Month
from backend.cost.prices import PriceSheet
from backend.cost.recommendations import Recommendations
from backend.cost.resources import KINDS, PREDICTIONS, Resource
from backend.cost.usage import UsageService

if TYPE_CHECKING:
    from backend.core.container import Services

GroupBy = Literal["team", "model", "version", "environment", "activity", "resource", "origin", "cost-centre", "day"]
_COLUMNS: Mapping[str, Sequence[str]] = {
    "team": ("owner",),
    "model": ("model",),
    "version": ("model", "version"),
    "environment": ("environment",),
    "activity": ("activity",),
    "resource": ("resource",),
    "origin": ("origin",),
    "cost-centre": ("cost_centre",),
    "day": ("day",),
}
_ZERO = Decimal(0)
_THOUSAND = Decimal(1000)
MONTHS_SHOWN = 12


@dataclass(frozen=True)
class Group:
    """A part of the cost. ``cost`` and ``shared`` are in cents, and those of all groups add up to the totals."""

    key: tuple[Any, ...]
    cost: Decimal
    shared: Decimal
    predictions: Decimal
    per_thousand: Decimal | None
    """Not in cents, for it is often less than one; null without predictions."""


@dataclass(frozen=True)
class Unpriced:
    """Usage that no price covers: it is not in any cost, and said instead."""

    resource: str
    sku: str
    quantity: Decimal
    unit: str
    models: list[str]


@dataclass(frozen=True)
class Summary:
    """The cost of a month, or of a part of it."""

    month: Month
    currency: str
    closed: bool
    total: Decimal
    shared: Decimal
    forecast: Decimal | None
    """Of the present month."""
    groups: list[Group] = field(default_factory=list)
    unpriced: list[Unpriced] = field(default_factory=list)


class CostService:
    """See the module's docstring. Usage, bills, budgets and anomalies are in the parts of that name."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self.sheet = PriceSheet(services.settings.cost)
        self.usage = UsageService(services)
        self.lines = Lines(services, self.sheet)
        self.forecast = Forecast(services)
        self.budgets = BudgetService(services, self.forecast)
        self.bills = Bills(services, self.sheet)
        self.anomalies = Anomalies(services)
        self.recommendations = Recommendations(services, self.sheet)

    @property
    def month(self) -> Month:
        """The present month."""
        return Month.of(self._services.clock.now())

    def summary(
        self,
        session: Session,
        month: Month,
        by: GroupBy,
        *,
        team: str | None = None,
        model: str | None = None,
        environment: str | None = None,
    ) -> Summary:
        """Add a month up."""
        only = {"owner": team, "model": model, "environment": environment}
        columns = _COLUMNS[by]
        rows = repository.sums(session, [*columns, "shared"], month.first, month.end, **only)
        predictions = self._predictions(session, columns, month.first, month.end, only)
        costs: dict[tuple[Any, ...], Decimal] = {}
        shared: dict[tuple[Any, ...], Decimal] = {}
        for row in rows:
            key = tuple(row[name] for name in columns)
            costs[key] = costs.get(key, _ZERO) + row["cost"]
            shared[key] = shared.get(key, _ZERO) + (row["cost"] if row["shared"] else _ZERO)
        cents, shared_cents = cents_of(costs), cents_of(shared)
        return Summary(
            month=month,
            currency=self.sheet.currency,
            closed=repository.month_row(session, str(month)) is not None,
            total=sum(cents.values(), Decimal("0.00")),
            shared=sum(shared_cents.values(), Decimal("0.00")),
            forecast=to_cents(self.forecast.of(session, **only)[1]) if month == self.month else None,
            groups=[
                _group(key, cents[key], shared_cents[key], costs[key], predictions.get(key, _ZERO))
                for key in sorted(costs, key=lambda one: (-costs[one], str(one)))
            ],
            unpriced=self.unpriced(session, month, **only),
        )

    def days(self, session: Session, month: Month, model: str) -> list[Group]:
        """Return the days of a month that a model has cost something on, rising; in cents, they add up to the month."""
        found = self.summary(session, month, "day", model=model).groups
        return sorted(found, key=lambda one: one.key)

    def months(self, session: Session, until: Month, **only: Any) -> list[tuple[Month, Decimal]]:
        """Return what each of the last months has cost, rising; those from before anything was metered are left out."""
        first = until.plus(1 - MONTHS_SHOWN)
        by_month: dict[Month, Decimal] = {}
        for row in repository.sums(session, ["day"], first.first, until.end, **only):
            month = Month.of(row["day"])
            by_month[month] = by_month.get(month, _ZERO) + row["cost"]
        return [(month, to_cents(by_month[month])) for month in sorted(by_month)]

    def monthly(self, session: Session, models: Sequence[str]) -> dict[str, Decimal]:
        """Return what each of these models has cost this month, in cents; those without any record are left out."""
        return {name: to_cents(cost) for name, cost in repository.monthly(session, models, self.month).items()}

    def unpriced(self, session: Session, month: Month, **only: Any) -> list[Unpriced]:
        """Return the usage of a month that no price covers."""
        rows = repository.sums(session, ["resource", "sku", "model"], month.first, month.end, unpriced=True, **only)
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault((row["resource"], row["sku"]), []).append(row)
        return [
            Unpriced(
                resource=resource,
                sku=sku,
                quantity=sum((row["quantity"] for row in own), _ZERO),
                unit=KINDS[Resource(resource)].unit,
                models=[row["model"] for row in own],
            )
            for (resource, sku), own in sorted(found.items())
        ]

    def refresh(self, session: Session, day: date) -> None:
        """Make the lines of a day anew, and what the overview shows of them."""
        changed = self.lines.remake(session, day)
        # What the overview shows is this month's: on its first day, that of the last one goes.
        if day == self.month.first:
            changed |= repository.models_on(session, day - DAY)
        if Month.of(day) == self.month:
            for model in sorted(changed - {""}):
                self._services.overview.changed(session, model)

    def _predictions(
        self, session: Session, columns: Sequence[str], first: date, end: date, only: Mapping[str, Any]
    ) -> dict[tuple[Any, ...], Decimal]:
        rows = repository.sums(session, list(columns), first, end, resource=[one.value for one in PREDICTIONS], **only)
        return {tuple(row[name] for name in columns): row["quantity"] for row in rows}


def _group(key: tuple[Any, ...], cost: Decimal, shared: Decimal, exact: Decimal, predictions: Decimal) -> Group:
    per_thousand = None
    if predictions:
        per_thousand = (exact * _THOUSAND / predictions).quantize(Decimal("0.000001"))
    return Group(key=key, cost=cost, shared=shared, predictions=predictions, per_thousand=per_thousand)
