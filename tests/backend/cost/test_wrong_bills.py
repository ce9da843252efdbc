"""Bills as they come: credits, rows of nothing, other currencies, clocks of other places."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backend.core.container import Services
from backend.cost import repository
from backend.cost.bills import BillRefused
from tests.marks import on_one_database

from .conftest import PRICES
from .test_cost import FEBRUARY, at, bill, charge, costs, summary, take_bill

pytestmark = [pytest.mark.slow, on_one_database]

Use = Callable[..., None]
WINE = '{"ml-platform-model": "wine"}'
EURO = {
    "prices": PRICES,
    "rates": [
        {"currency": "EUR", "rate": "1.10"},
        {"currency": "EUR", "rate": "1.20", "validFrom": "2028-02-15"},
    ],
}


def by_day(services: Services, origin: str) -> dict[date, Decimal]:
    with services.database.read() as session:
        lines = repository.lines(session, FEBRUARY.first, FEBRUARY.end)
    found: dict[date, Decimal] = {}
    for line in lines:
        if line.origin == origin:
            found[line.day] = found.get(line.day, Decimal(0)) + line.cost
    return found


def test_rows_of_nothing_and_credits_count_as_what_they_are(services: Services, use: Use, tmp_path: Path) -> None:
    use(at(3), "90000")
    rows = [
        charge("0", tags=WINE),
        charge("0.000000000000", tags=WINE),
        charge("-5.25", tags=WINE),
        charge("2", tags=WINE),
    ]
    row, unknown = take_bill(services, bill(tmp_path / "bill", rows))
    assert (row.rows, row.total, unknown) == (4, Decimal("-3.25"), [])
    # A credit that is larger than what was charged is money back.
    assert costs(services)[("wine",)] == "-2.25"
    assert summary(services).total == Decimal("-2.25")


@pytest.mark.parametrize("cost_settings", [{"prices": PRICES, "basis": "bill"}])
@pytest.mark.parametrize("amount", ["0", "-3.01"])
def test_a_bill_of_nothing_or_less_is_divided_to_the_cent(
    amount: str, services: Services, use: Use, tmp_path: Path
) -> None:
    use(at(3), "90000")
    use(at(3), "30000", model="beer", version=2)
    take_bill(services, bill(tmp_path / "bill", [charge(amount)]))
    assert sum(Decimal(one) for one in costs(services).values()) == Decimal(amount)
    assert summary(services).total == Decimal(amount)


@pytest.mark.parametrize("wrong", ["nan", "Infinity", "-inf", "1,5", "1e400", "free"])
def test_what_is_no_number_is_refused_with_all_of_the_bill(wrong: str, services: Services, tmp_path: Path) -> None:
    with pytest.raises(BillRefused, match="BilledCost of 1 rows is no number"):
        take_bill(services, bill(tmp_path / "bill", [charge("1"), charge(wrong)]))
    with services.database.read() as session:
        assert repository.bills(session, None) == []


@pytest.mark.parametrize("cost_settings", [EURO])
def test_a_bill_in_two_currencies_is_counted_at_the_rate_of_each_day(
    services: Services, use: Use, tmp_path: Path
) -> None:
    use(at(3), "90000")
    rows = [
        charge("10", tags=WINE, day="2028-02-14T00:00:00Z", currency="EUR"),
        charge("10", tags=WINE, day="2028-02-15T00:00:00Z", currency="EUR"),
        charge("10", tags=WINE, day="2028-02-15T00:00:00Z"),
    ]
    row, _ = take_bill(services, bill(tmp_path / "bill", rows))
    assert row.total == Decimal("33")
    assert by_day(services, "bill") == {date(2028, 2, 14): Decimal("11"), date(2028, 2, 15): Decimal("22")}


@pytest.mark.parametrize(
    "cost_settings",
    [
        {
            **EURO,
            "prices": [
                {"resource": "cpu", "unit": "core-hour", "price": "0.04"},
                {"resource": "cpu", "unit": "core-hour", "price": "0.04", "currency": "EUR", "validFrom": "2028-02-10"},
            ],
        }
    ],
)
def test_a_price_that_changes_its_currency_costs_what_it_is_worth(services: Services, use: Use) -> None:
    for day in (9, 10, 15):
        use(at(day), "90000")
    assert by_day(services, "meter") == {
        date(2028, 2, 9): Decimal("1"),
        date(2028, 2, 10): Decimal("1.1"),
        date(2028, 2, 15): Decimal("1.2"),
    }


def test_a_charge_counts_on_its_day_in_utc_on_leap_days_and_when_clocks_change(
    services: Services, tmp_path: Path
) -> None:
    # The same moment, as two places with other clocks write it; the second day begins where the first one ends.
    rows = [
        charge("1", tags=WINE, day="2028-02-29T00:30:00+02:00"),
        charge("2", tags=WINE, day="2028-02-28T22:30:00Z"),
        charge("4", tags=WINE, day="2028-02-28T23:59:59-01:00"),
        charge("8", tags=WINE, day="2028-02-29T23:59:59Z"),
    ]
    take_bill(services, bill(tmp_path / "bill", rows))
    assert by_day(services, "bill") == {date(2028, 2, 28): Decimal(3), date(2028, 2, 29): Decimal(12)}


def test_a_day_on_which_clocks_change_has_24_hours_of_usage(services: Services, use: Use, clock: Any) -> None:
    clock.moment = datetime(2028, 3, 27, 12, tzinfo=UTC)
    for hour in range(24):
        use(datetime(2028, 3, 26, hour, tzinfo=UTC), "3600")
    with services.database.read() as session:
        lines = repository.lines(session, date(2028, 3, 25), date(2028, 3, 28))
    assert [(one.day, one.quantity, one.cost) for one in lines] == [
        (date(2028, 3, 26), Decimal(24 * 3600), Decimal("0.96"))
    ]
