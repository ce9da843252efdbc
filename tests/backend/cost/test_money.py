"""Dividing amounts: all parts together are what was divided, to the last unit."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.core.config_cost import CostSettings
from backend.cost.money import cents_of, divide, rounded, split
from backend.cost.periods import Month, hour_of
from backend.cost.prices import PriceSheet

amounts = st.decimals(min_value=-(10**7), max_value=10**7, places=9)
weights = st.decimals(min_value=0, max_value=10**7, places=9)


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**15), min_size=1, max_size=50))
@example(100, [1, 1, 1])
@example(-100, [1, 1, 1])
@example(5, [0, 0])
def test_parts_add_up_and_none_is_off_by_one(whole: int, of: list[int]) -> None:
    parts = divide(whole, of)
    assert sum(parts) == whole
    total = sum(of)
    for part, weight in zip(parts, of, strict=True):
        if total:
            assert abs(part * total - whole * weight) < total
            assert weight or not part
        else:
            assert abs(part * len(of) - whole) < len(of)


@given(amounts, st.dictionaries(st.text(max_size=3), weights, min_size=1, max_size=20))
def test_shared_cost_is_split_exactly(amount: Decimal, of: dict[str, Decimal]) -> None:
    assert sum(split(amount, of).values()) == amount


@given(st.dictionaries(st.integers(), amounts, max_size=30))
@example({1: Decimal("0.005"), 2: Decimal("0.005"), 3: Decimal("0.005")})
@example({1: Decimal("-0.001"), 2: Decimal("0.001")})
def test_cents_of_parts_add_up_to_the_cents_of_the_bill(of: dict[int, Decimal]) -> None:
    cents = cents_of(of)
    assert sum(cents.values(), Decimal(0)) == round(sum(of.values(), Decimal(0)), 2)
    for key, amount in of.items():
        assert cents[key] == round(cents[key], 2)
        assert abs(cents[key] - amount) < Decimal("0.01") + Decimal("1e-9")


def test_nobody_to_divide_among_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        divide(1, [])
    assert rounded({}, 2) == {}


@given(st.decimals(min_value=0, max_value=10**6, places=9), st.integers(2000, 2100), st.integers(1, 12))
@example(Decimal("100.00"), 2028, 2)
@example(Decimal("0.000000001"), 2027, 2)
def test_the_days_of_a_month_cost_what_the_month_costs(monthly: Decimal, year: int, number: int) -> None:
    sheet = PriceSheet(CostSettings.model_validate({"shared": [{"name": "platform", "monthly": monthly}]}))
    assert sum((sheet.shared(day)["platform"] for day in Month(year, number)), Decimal(0)) == monthly


def test_months_are_those_of_utc_with_their_leap_day_and_24_hours_on_every_day() -> None:
    assert len(list(Month(2028, 2))) == Month(2028, 2).days == 29
    assert len(list(Month(2027, 2))) == 28
    assert list(Month(2028, 2))[-1] == date(2028, 2, 29)
    assert Month(2100, 2).days == 28
    assert (str(Month(2028, 12).plus(1)), str(Month(2028, 1).plus(-1))) == ("2029-01", "2027-12")
    # 31 March, 01:30 in Berlin, where clocks have just been put forward: still March by UTC, and the day before.
    berlin = datetime.fromisoformat("2030-03-31T01:30:00+01:00")
    assert (Month.of(berlin), hour_of(berlin)) == (Month(2030, 3), datetime(2030, 3, 31, 0, tzinfo=UTC))
    assert Month.of(datetime.fromisoformat("2030-04-01T01:30:00+02:00")) == Month(2030, 3)
    for wrong in ("2028-13", "2028-2", "1000-01", "", "2028-02-01", "2028-02\n"):
        with pytest.raises(ValueError, match="is not a month"):
            Month.parse(wrong)
