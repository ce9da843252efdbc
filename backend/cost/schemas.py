"""What the cost domain says and hears over HTTP. Amounts are texts, so that nobody's floating point loses a cent."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from backend.core.config_cost import Money
from backend.core.schemas import NO_NUL, Payload, PlainText, Schema
from backend.cost.budgets import Standing
from backend.cost.models import Bill, CostAnomaly
from backend.cost.money import to_cents
from backend.cost.recommendations import Recommendation, Withheld
from backend.cost.resources import Activity, Resource
from backend.cost.service import Group, GroupBy, Summary
from backend.cost.usage import Usage
from mlplatform.spec.model import Name

MeterId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", min_length=1, max_length=200)]
Amount = Annotated[str, Field(examples=["12.34"], pattern=r"^-?[0-9]+(\.[0-9]+)?$")]


def _with_four_digits(value: datetime) -> datetime:
    if not 1970 <= value.year <= 2999:
        raise ValueError("must lie between 1970 and 2999")
    return value.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_with_four_digits)]


class UsageIn(Payload):
    """What a meter said."""

    id: MeterId = Field(
        description="Yours, and unique: the same record again changes nothing.", examples=["ci-4711-train"]
    )
    model: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    environment: Annotated[str, Field(max_length=63), NO_NUL] | None = None
    activity: Activity
    resource: Resource
    sku: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)] | None = Field(
        default=None, description="Kind of the resource where there are several, such as `nvidia-l4` or `spot`."
    )
    quantity: Annotated[Decimal, Field(ge=0, le=Decimal(10**12), allow_inf_nan=False)] = Field(
        description="In the resource's unit, which `GET cost/prices` names."
    )
    start: Time
    end: Time

    def as_usage(self) -> Usage:
        """Return it as the domain has it."""
        return Usage(
            id=self.id,
            model=self.model,
            resource=self.resource,
            quantity=self.quantity,
            started_at=self.start,
            ended_at=self.end,
            activity=self.activity,
            version=self.version or 0,
            environment=self.environment or "",
            sku=self.sku or "",
        )


class UsageBatchIn(Payload):
    """Usage records, in any order."""

    records: list[UsageIn] = Field(min_length=1, max_length=100_000)


class UsageTakenOut(Schema):
    """What became of usage records."""

    accepted: int
    repeated: int = Field(description="Those that were there already.")


class GroupOut(Schema):
    """A part of the cost."""

    team: str | None = None
    model: str | None = None
    version: int | None = None
    environment: str | None = None
    activity: str | None = None
    resource: str | None = None
    origin: str | None = None
    cost_centre: str | None = None
    day: date | None = None
    cost: Amount
    shared: Amount = Field(description="How much of it is a share of shared cost.")
    predictions: int
    per_thousand_predictions: Amount | None = Field(description="Null without predictions.")


class UnpricedOut(Schema):
    """Usage that no price covers; it is in no cost."""

    resource: str
    sku: str | None
    quantity: Amount
    unit: str
    models: list[str]


class SummaryOut(Schema):
    """The cost of a month."""

    month: str = Field(examples=["2028-02"])
    currency: str
    closed: bool = Field(description="Whether it stays as it is.")
    total: Amount
    shared: Amount = Field(description="How much of it is shared cost.")
    forecast: Amount | None = Field(description="What the present month is going to cost; null for others.")
    group_by: GroupBy
    groups: list[GroupOut] = Field(description="The dearest first; they add up to the total.")
    unpriced: list[UnpricedOut]


class MonthOut(Schema):
    """What a month has cost."""

    month: str
    cost: Amount


class BudgetIn(Payload):
    """A budget to be set."""

    monthly: Money = Field(description="Zero is a budget, too: nothing may be spent.", examples=["100.00"])
    enforce: bool = Field(default=False, description="Whether new rollouts are refused once it is used up.")


class BudgetOut(Schema):
    """A budget and how it stands this month."""

    kind: Literal["team", "model"]
    name: str
    monthly: Amount
    enforce: bool
    currency: str
    month: str
    spent: Amount
    forecast: Amount
    percent: float | None = Field(description="How much is used; null for a budget of zero.")
    exceeded: bool
    set_by: str


class GrownOut(Schema):
    """What grew."""

    resource: str
    version: int | None
    environment: str | None
    activity: str | None
    shared: bool
    cost: Amount
    before: Amount


class AnomalyOut(Schema):
    """A day on which a model cost far more than before."""

    model: str
    day: date
    cost: Amount
    expected: Amount
    cause: str
    grown: list[GrownOut]


class RecommendationOut(Schema):
    """What would save money without breaking an objective."""

    model: str
    version: int | None
    environment: str | None
    kind: str
    saving: Amount = Field(description="A month, by the usage of the last days.")
    currency: str
    change: str = Field(description="What to change in model.yaml.")
    reason: str
    checked: str = Field(description="Why the model's objectives hold.")


class WithheldOut(Schema):
    """What would save money but might break an objective."""

    model: str
    version: int | None
    environment: str | None
    kind: str
    saving: Amount
    currency: str
    objective: str = Field(description="Why it is not recommended.")


class RecommendationsOut(Schema):
    """What could be saved."""

    items: list[RecommendationOut]
    withheld: list[WithheldOut]


class ModelCostOut(Schema):
    """What a model costs."""

    model: str
    month: str
    currency: str
    closed: bool
    total: Amount
    shared: Amount
    forecast: Amount | None
    predictions: int
    per_thousand_predictions: Amount | None
    days: list[GroupOut]
    versions: list[GroupOut]
    environments: list[GroupOut]
    resources: list[GroupOut]
    months: list[MonthOut]
    unpriced: list[UnpricedOut]
    budget: BudgetOut | None
    anomalies: list[AnomalyOut]


class PriceOut(Schema):
    """A price of the sheet."""

    resource: str
    unit: str
    price: Amount
    currency: str
    valid_from: date
    sku: str | None
    environment: str | None
    activity: str | None


class ResourceOut(Schema):
    """What is metered."""

    resource: str
    unit: str = Field(description="What quantities are counted in.")
    priced_in: list[str]


class PricesOut(Schema):
    """The price sheet."""

    currency: str
    basis: str
    prices: list[PriceOut]
    resources: list[ResourceOut]


class BillOut(Schema):
    """A bill that was imported."""

    month: str
    provider: str
    origin: str
    rows: int
    total: Amount
    currency: str
    digest: str
    imported_by: str
    imported_at: datetime
    unknown_models: list[str] = Field(
        description="Tagged as models that are none here: shared cost. Only said at the import."
    )


Provider = Annotated[PlainText, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]


def text(amount: Decimal) -> str:
    """Write an amount without an exponent."""
    return f"{amount:f}"


def group_out(group: Group, by: GroupBy) -> GroupOut:
    """Return a group as the API shows it."""
    names = {"version": ("model", "version"), "cost-centre": ("cost_centre",)}.get(by, (by,))
    key = {name: value if value != "" else None for name, value in zip(names, group.key, strict=True)}
    if by == "version":
        key["version"] = key["version"] or None
    return GroupOut(
        **key,
        cost=text(group.cost),
        shared=text(group.shared),
        predictions=int(group.predictions),
        per_thousand_predictions=None if group.per_thousand is None else text(group.per_thousand),
    )


def summary_out(summary: Summary, by: GroupBy) -> SummaryOut:
    """Return a summary as the API shows it."""
    return SummaryOut(
        month=str(summary.month),
        currency=summary.currency,
        closed=summary.closed,
        total=text(summary.total),
        shared=text(summary.shared),
        forecast=None if summary.forecast is None else text(summary.forecast),
        group_by=by,
        groups=[group_out(one, by) for one in summary.groups],
        unpriced=unpriced_out(summary),
    )


def unpriced_out(summary: Summary) -> list[UnpricedOut]:
    """Return what no price covers as the API shows it."""
    return [
        UnpricedOut(
            resource=one.resource, sku=one.sku or None, quantity=text(one.quantity), unit=one.unit, models=one.models
        )
        for one in summary.unpriced
    ]


def budget_out(standing: Standing, currency: str, month: str) -> BudgetOut:
    """Return a budget as the API shows it."""
    limit, percent = standing.limit, standing.percent
    return BudgetOut(
        kind="team" if limit.kind == "team" else "model",
        name=limit.name,
        monthly=text(limit.monthly),
        enforce=limit.enforce,
        currency=currency,
        month=month,
        spent=text(to_cents(standing.spent)),
        forecast=text(to_cents(standing.forecast)),
        percent=None if percent is None else round(float(percent), 1),
        exceeded=standing.exceeded,
        set_by=limit.set_by,
    )


def anomaly_out(row: CostAnomaly) -> AnomalyOut:
    """Return an anomaly as the API shows it."""
    return AnomalyOut(
        model=row.model,
        day=row.day,
        cost=text(to_cents(row.cost)),
        expected=text(to_cents(row.expected)),
        cause=row.cause,
        grown=[GrownOut.model_validate(one) for one in row.grown],
    )


def recommendation_out(one: Recommendation, currency: str) -> RecommendationOut:
    """Return a recommendation as the API shows it."""
    return RecommendationOut(
        **_saving(one), currency=currency, change=one.change, reason=one.reason, checked=one.checked
    )


def withheld_out(one: Withheld, currency: str) -> WithheldOut:
    """Return what is not recommended as the API shows it."""
    return WithheldOut(**_saving(one), currency=currency, objective=one.objective)


def _saving(one: Recommendation | Withheld) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version or None,
        "environment": one.environment or None,
        "kind": one.kind,
        "saving": text(to_cents(one.saving)),
    }


def bill_out(row: Bill, currency: str, unknown: list[str]) -> BillOut:
    """Return a bill as the API shows it."""
    own = {
        name: getattr(row, name)
        for name in ("month", "provider", "origin", "rows", "digest", "imported_by", "imported_at")
    }
    return BillOut(**own, total=text(to_cents(row.total)), currency=currency, unknown_models=unknown)
