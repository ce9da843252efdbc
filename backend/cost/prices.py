"""The price sheet: what a day's usage costs. What no price covers is said, never taken for free."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from backend.core.config_cost import CostSettings, PriceSettings, RateSettings
from backend.core.errors import InvalidInput
from backend.cost.fixed import MONEY_PLACES, scaled, unscaled
from backend.cost.money import divide
from backend.cost.periods import Month
from backend.cost.resources import KINDS, Resource


@dataclass(frozen=True)
class Use:
    """What a price is looked up for."""

    resource: Resource
    sku: str
    environment: str
    activity: str


@dataclass(frozen=True)
class Price:
    """A price as it applies to a day's usage, in the currency of the settings."""

    amount: Decimal
    unit: str
    per: Decimal
    """How many of the resource's own units one priced unit has."""

    def of(self, quantity: Decimal) -> Decimal:
        """Return what a quantity costs, to nine places."""
        return unscaled(scaled(quantity * self.amount / self.per, MONEY_PLACES), MONEY_PLACES)


class PriceSheet:
    """The prices, shared costs and rates of the settings."""

    def __init__(self, settings: CostSettings) -> None:
        self._settings = settings
        self.currency = settings.currency
        self._by_resource: dict[tuple[Resource, str], list[PriceSettings]] = {}
        for price in settings.prices:
            self._by_resource.setdefault((price.resource, price.sku or ""), []).append(price)

    def price(self, use: Use, day: date) -> Price | None:
        """Return the price for a use on a day, or ``None`` if none covers it.

        Of those that hold, one for the environment beats one for the activity, that a general one, and then the newest counts.

        Raises:
            InvalidInput: it is in another currency, and no rate holds on that day.
        """
        found = [
            one
            for one in self._by_resource.get((use.resource, use.sku), ())
            if one.valid_from <= day
            and one.environment in (None, use.environment)
            and one.activity in (None, use.activity)
        ]
        if not found:
            return None
        best = max(found, key=lambda one: (one.environment is not None, one.activity is not None, one.valid_from))
        amount = best.price * self.rate(best.currency or self.currency, day)
        return Price(amount, best.unit, KINDS[best.resource].priced_in[best.unit])

    def rate(self, currency: str, day: date) -> Decimal:
        """Return what one unit of a currency is worth in that of the settings.

        Raises:
            InvalidInput: no rate holds on that day; a currency is never taken for another.
        """
        if currency == self.currency:
            return Decimal(1)
        rates: list[RateSettings] = [
            one for one in self._settings.rates if one.currency == currency and one.valid_from <= day
        ]
        if not rates:
            raise InvalidInput(
                f"{day} is in {currency[:3]}, costs are counted in {self.currency}, and there is no rate for that day",
                fix=f"Give mlPlatform.cost.rates a rate for {currency[:3]}, valid from {day} or earlier.",
            )
        return max(rates, key=lambda one: one.valid_from).rate

    def shared(self, day: date) -> dict[str, Decimal]:
        """Return the shared costs of a day by name. The days of a month add up to exactly the monthly amount."""
        month = Month.of(day)
        found: dict[str, Decimal] = {}
        for one in self._settings.shared:
            # Due for part of a month, it is charged for that part.
            if one.valid_from <= day < (one.valid_until or date.max):
                parts = divide(scaled(one.monthly, MONEY_PLACES), [1] * month.days)
                found[one.name] = found.get(one.name, Decimal(0)) + unscaled(parts[day.day - 1], MONEY_PLACES)
        return found
