"""Settings of cost: prices, shared cost, budgets, and where bills come from."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from backend.core.config_base import SettingsModel
from backend.cost.resources import KINDS, Activity, Resource
from mlplatform.spec.model import NAME_PATTERN, EntityRef
from mlplatform.spec.quantities import Duration

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]
"""ISO 4217."""


def _to_nine_places(value: Decimal) -> Decimal:
    if value != round(value, 9):
        raise ValueError("has more than nine decimal places")
    return value


Money = Annotated[Decimal, Field(ge=0, le=Decimal(1_000_000_000), allow_inf_nan=False), AfterValidator(_to_nine_places)]
_ALWAYS = date(1970, 1, 1)


class PriceSettings(SettingsModel):
    """What one unit of a resource costs from a day on."""

    resource: Resource
    unit: str = Field(description="What the price is for, such as `core-hour`; each resource has its own units.")
    price: Money
    currency: Currency | None = Field(default=None, description="That of the sheet if null; another one needs a rate.")
    valid_from: date = Field(default=_ALWAYS, description="First day, in UTC. The newest price of a day counts.")
    sku: str | None = Field(
        default=None,
        max_length=100,
        description="Only for usage with this SKU, such as a kind of GPU; never for others.",
    )
    environment: str | None = Field(default=None, description="Only there; such a price beats one for everywhere.")
    activity: Activity | None = Field(default=None, description="Only for this use; such a price beats a general one.")

    @model_validator(mode="after")
    def _unit_fits(self) -> Self:
        known = KINDS[self.resource].priced_in
        if self.unit not in known:
            raise ValueError(f"{self.resource} is not priced by the {self.unit}; possible: {', '.join(known)}")
        return self


class SharedCostSettings(SettingsModel):
    """A cost of every month that no model has caused alone, such as the machines that the platform itself needs."""

    name: str = Field(pattern=NAME_PATTERN, max_length=63)
    monthly: Money
    valid_from: date = _ALWAYS
    valid_until: date | None = Field(default=None, description="First day on which it is no longer due.")


class RateSettings(SettingsModel):
    """How much of the sheet's currency one unit of another is worth, from a day on."""

    currency: Currency
    rate: Annotated[Decimal, Field(gt=0, le=Decimal(1_000_000), allow_inf_nan=False)]
    valid_from: date = _ALWAYS


class BudgetSettings(SettingsModel):
    """What a team or a model may cost in a month."""

    team: EntityRef | None = None
    model: str | None = Field(default=None, pattern=NAME_PATTERN, max_length=63)
    monthly: Money = Field(description="Zero is a budget, too: nothing may be spent.")
    enforce: bool = Field(default=False, description="Whether new rollouts are refused once it is used up.")

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.team is None) == (self.model is None):
            raise ValueError("give either `team` or `model`")
        return self


class OpenCostSettings(SettingsModel):
    """An OpenCost that knows what the pods of models cost on a cluster."""

    url: str = Field(pattern=r"^https?://", max_length=500, description="Its API, without a path.")
    environment: str | None = Field(
        default=None, description="Environment that the cluster is, where a label does not say."
    )
    currency: Currency = Field(default="USD", description="What its figures are in.")
    model_label: str = Field(default="ml_platform_model", description="Label of pods with the model's name.")
    version_label: str = Field(default="ml_platform_version", description="Label with the version's number.")
    environment_label: str = Field(default="ml_platform_environment", description="Label with the environment.")


def _default_prices() -> list[PriceSettings]:
    rows: list[tuple[Resource, str, str]] = [
        (Resource.CPU, "core-hour", "0.035"),
        (Resource.CPU_UNUSED, "core-hour", "0.035"),
        (Resource.MEMORY, "GiB-hour", "0.0045"),
        (Resource.MEMORY_UNUSED, "GiB-hour", "0.0045"),
        (Resource.STORAGE, "GiB-month", "0.023"),
        (Resource.TRAINING, "training-hour", "0.035"),
        (Resource.REQUESTS, "million-requests", "0"),
        (Resource.ROWS, "million-rows", "0"),
    ]
    return [PriceSettings(resource=resource, unit=unit, price=Decimal(price)) for resource, unit, price in rows]


class CostSettings(SettingsModel):
    """What things cost, who pays for what is shared, and when somebody is told."""

    currency: Currency = "USD"
    basis: Literal["prices", "bill"] = Field(
        default="prices",
        description="Whether metered usage costs what the prices say, or, in a month with an imported bill, is only the key by "
        "which that bill is divided.",
    )
    prices: list[PriceSettings] = Field(
        default_factory=_default_prices,
        description="Near to list prices of large clouds for ordinary machines; a list of your own takes the place of all.",
    )
    shared: list[SharedCostSettings] = Field(
        default_factory=list,
        description="Split among the models of each day in proportion to what they cost by themselves.",
    )
    rates: list[RateSettings] = Field(default_factory=list)
    budgets: list[BudgetSettings] = Field(default_factory=list, description="Those set over the API come first.")
    warn_at: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=lambda: [50, 80, 100], description="Percent of a budget at which somebody is told."
    )
    sample_interval: Duration = Field(default=timedelta(minutes=1), description="How often processes are metered.")
    lateness: Duration = Field(default=timedelta(days=7), description="How old usage may be when it is reported.")
    clock_skew: Duration = Field(default=timedelta(minutes=5), description="How far ahead a reporter's clock may be.")
    most_records: int = Field(default=10_000, ge=1, le=100_000, description="Most usage records in one request.")
    hours_kept: Duration = Field(default=timedelta(days=92), description="How long usage is kept by the hour.")
    bill_bytes: int = Field(default=4 * 2**30, ge=1024, description="Largest bill that is imported.")
    bill_tag: str = Field(default="ml-platform-model", description="Tag in bills that names the model.")
    environment_tag: str = Field(
        default="ml-platform-environment", description="Tag in bills that names the environment."
    )
    open_cost: OpenCostSettings | None = None

    @field_validator("sample_interval")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=1) <= value <= timedelta(hours=1):
            raise ValueError("must be between 1s and 1h")
        return value

    @field_validator("lateness")
    @classmethod
    def _is_in_the_month(cls, value: timedelta) -> timedelta:
        if not timedelta(hours=1) <= value <= timedelta(days=31):
            raise ValueError("must be between 1h and 31d")
        return value

    @model_validator(mode="after")
    def _currencies_have_rates(self) -> Self:
        rated = {one.currency for one in self.rates}
        for position, price in enumerate(self.prices):
            if price.currency not in (None, self.currency) and price.currency not in rated:
                raise ValueError(
                    f"prices[{position}] is in {price.currency}, the sheet in {self.currency}; give a rate for {price.currency}"
                )
        return self
