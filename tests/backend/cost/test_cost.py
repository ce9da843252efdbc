"""What things cost: prices, shared cost, budgets, what grew, what could be saved, and months that are closed."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput
from backend.cost import repository
from backend.cost.bills import BillRefused
from backend.cost.forecast import expected
from backend.cost.money import to_cents
from backend.cost.periods import Month
from backend.cost.resources import Activity, Resource
from backend.notifications.models import Notification
from tests.conftest import SetClock
from tests.marks import on_one_database

from .conftest import PRICES, refresh

pytestmark = pytest.mark.slow

Use = Callable[..., None]
FEBRUARY = Month(2028, 2)
SHARED = {"shared": [{"name": "platform", "monthly": "100.00"}]}


def at(day: int, hour: int = 6, month: int = 2) -> datetime:
    return datetime(2028, month, day, hour, tzinfo=UTC)


def summary(services: Services, by: Any = "model", month: Month = FEBRUARY, **only: Any) -> Any:
    with services.database.read() as session:
        return services.cost.summary(session, month, by, **only)


def costs(services: Services, by: Any = "model", **only: Any) -> dict[Any, str]:
    return {group.key: str(group.cost) for group in summary(services, by, **only).groups}


def test_cost_by_everything_and_per_thousand_predictions(services: Services, use: Use) -> None:
    use(at(10), "36000")  # ten core-hours
    use(at(10), "18000", version=2, environment="staging")
    use(at(11), "7200", resource=Resource.TRAINING, activity=Activity.TRAINING, environment="")
    use(at(10), "4000", resource=Resource.REQUESTS)
    use(at(10), "9000", model="beer", version=2)
    assert costs(services) == {("wine",): "2.60", ("beer",): "0.10"}
    assert costs(services, "team") == {("group:default/risk",): "2.70"}
    assert costs(services, "version", model="wine") == {("wine", 1): "2.40", ("wine", 2): "0.20"}
    assert costs(services, "environment") == {("",): "2.00", ("production",): "0.50", ("staging",): "0.20"}
    assert costs(services, "resource")[("training",)] == "2.00"
    assert costs(services, "cost-centre") == {("CC-42",): "2.70"}
    wine = summary(services).groups[0]
    assert (wine.predictions, wine.per_thousand) == (4000, Decimal("0.65"))
    assert summary(services).groups[1].per_thousand is None
    overview = services.cost
    with services.database.read() as session:
        assert overview.monthly(session, ["wine", "beer", "cider"]) == {
            "wine": Decimal("2.60"),
            "beer": Decimal("0.10"),
        }
        assert services.overview.get(session, "wine").monthly_cost == 260


@on_one_database
@pytest.mark.parametrize(
    "cost_settings",
    [
        {
            "currency": "EUR",
            "prices": [
                {"resource": "cpu", "unit": "core-hour", "price": "1"},
                {"resource": "cpu", "unit": "core-second", "price": "0.001", "validFrom": "2028-02-11"},
                {"resource": "cpu", "unit": "core-hour", "price": "0.5", "environment": "staging"},
                {"resource": "gpu", "unit": "GPU-hour", "price": "2", "sku": "nvidia-l4", "currency": "USD"},
            ],
            "rates": [{"currency": "USD", "rate": "0.9", "validFrom": "2028-02-05"}],
        }
    ],
)
def test_the_newest_price_of_the_day_counts_and_what_none_covers_is_named(services: Services, use: Use) -> None:
    use(at(10), "3600")
    use(at(11), "3600")
    use(at(11), "3600", environment="staging")
    use(at(11), "3600", resource=Resource.GPU, sku="nvidia-l4")
    assert costs(services, "environment") == {("production",): "6.40", ("staging",): "0.50"}
    assert summary(services).unpriced == []
    use(at(11), "50", resource=Resource.GPU, sku="nvidia-h100")
    use(at(12), "7", resource=Resource.TOKENS, model="beer", version=2)
    found = summary(services).unpriced
    assert [(one.resource, one.sku, one.quantity, one.models) for one in found] == [
        ("gpu", "nvidia-h100", 50, ["wine"]),
        ("tokens", "", 7, ["beer"]),
    ]
    with pytest.raises(InvalidInput, match="2028-02-04 is in USD, costs are counted in EUR"):
        use(at(4), "3600", resource=Resource.GPU, sku="nvidia-l4")


@pytest.mark.parametrize("cost_settings", [{"prices": PRICES, **SHARED}])
def test_shared_cost_is_split_by_direct_cost_to_the_last_unit(services: Services, use: Use) -> None:
    for day in FEBRUARY:
        with services.database.write() as session:
            repository.mark_dirty(session, {day})
    for number in range(1, 29):
        use(at(number), str(1000 * number))
        use(at(number), "3333.333333", model="beer", version=2)
    refresh(services)
    with services.database.read() as session:
        lines = repository.lines(session, FEBRUARY.first, FEBRUARY.end)
    assert sum((line.cost for line in lines if line.shared), Decimal(0)) == 100
    # On the leap day nobody used anything: its part is nobody's.
    assert {line.model for line in lines if line.day == date(2028, 2, 29)} == {""}
    found = summary(services)
    assert found.total == sum(group.cost for group in found.groups) == to_cents(sum(line.cost for line in lines))
    assert found.shared == Decimal("100.00")
    first = [line for line in lines if line.day == date(2028, 2, 3)]
    wine, beer = ({line.shared: line.cost for line in first if line.model == model} for model in ("wine", "beer"))
    assert abs(wine[True] / beer[True] - wine[False] / beer[False]) < Decimal("1e-6")


def test_forecast_takes_a_whole_week_and_knows_leap_years() -> None:
    days = {date(2028, 2, day): Decimal(day % 7) for day in range(1, 21)}
    spent, whole = expected(days, date(2028, 2, 20), date(2028, 1, 1))
    assert spent == sum(days.values())
    # 0 to 6 come in each week: three a day. Today counts at what it has already.
    assert whole == spent + 9 * 3
    assert expected({}, date(2028, 2, 20), None) == (0, 0)
    assert expected({date(2028, 2, 29): Decimal(2)}, date(2028, 2, 29), None) == (2, 2)


def outbox(services: Services) -> list[Notification]:
    with services.database.read() as session:
        return list(session.query(Notification).order_by(Notification.id))


@pytest.mark.parametrize(
    "cost_settings",
    [{"prices": PRICES, "budgets": [{"team": "group:default/risk", "monthly": "3", "enforce": True}]}],
)
def test_budgets_warn_before_they_are_crossed_once_and_refuse_afterwards(
    services: Services, use: Use, clock: SetClock
) -> None:
    work = services.cost_work
    for number in range(11, 20):
        use(at(number), "9000")  # 0.10 a day
    work.look()
    assert outbox(services) == []
    use(at(20), "9000")
    for number in range(13, 20):
        use(at(number), "27000", environment="staging")  # 0.30 more: 3.10 so far this month
    with services.database.read() as session:
        standing = services.cost.budgets.standing(session, services.cost.budgets.all(session)[0])
        assert (to_cents(standing.spent), standing.exceeded) == (Decimal("3.10"), True)
        refused = services.cost.budgets.refuses(session, "wine")
    assert refused == (
        "the budget of team group:default/risk for 2028-02 is used up: 3.10 USD of 3.00 USD; it was set by the settings"
    )
    for _ in range(2):
        with services.database.write() as session:
            repository.mark_dirty(session, {date(2028, 2, 19)})
        work.look()
    said = refused.partition("; it was")[0] if refused else ""
    (told,) = outbox(services)
    assert (told.kind, told.owner, told.target, told.event) == ("budget", "group:default/risk", "risk", "exceeded")
    assert told.title == "[ticket] the budget of team group:default/risk is used up"
    assert told.body.splitlines()[0] == said
    assert "New rollouts are refused from now on." in told.body
    clock.move(days=12)  # another month, another budget
    with services.database.read() as session:
        assert services.cost.budgets.refuses(session, "wine") is None


@on_one_database
@pytest.mark.parametrize(
    "cost_settings",
    [{"prices": PRICES, "budgets": [{"model": "wine", "monthly": "3.5"}, {"model": "beer", "monthly": 0}]}],
)
def test_a_forecast_warns_early_and_a_budget_of_zero_is_used_up_by_the_first_cent(services: Services, use: Use) -> None:
    for number in range(1, 20):
        use(at(number), "12000")  # 0.13 a day: 3.90 at the end
    with services.database.write() as session:
        (said,) = services.cost.budgets.watch(session)
        assert said.startswith("the budget of model wine for 2028-02 will not last: 2.53 USD of 3.50 USD is spent")
        beer = services.cost.budgets.of(session, "model", "beer")
        assert beer is not None
        assert services.cost.budgets.standing(session, beer).exceeded is False
    use(at(20), "1000", model="beer", version=2)
    with services.database.write() as session:
        (said,) = services.cost.budgets.watch(session)
        assert said.startswith("the budget of model beer for 2028-02 is used up")
        assert services.cost.budgets.watch(session) == []
        marks = repository.notices(session, "2028-02")
    assert {mark for _, name, mark in marks if name == "wine"} == {"forecast", "50"}


@on_one_database
def test_a_day_that_costs_far_more_is_found_with_what_grew(services: Services, use: Use, clock: SetClock) -> None:
    for number in range(5, 19):
        use(at(number), str(90000 + 100 * (number % 3)))
        use(at(number), "36000", model="beer", version=2)
    use(at(19), "90000")
    use(at(19), "360000", version=2)
    use(at(19), "37000", model="beer", version=2)
    with services.database.write() as session:
        (found,) = services.cost.anomalies.look(session, date(2028, 2, 19))
        assert (found.model, to_cents(found.cost), to_cents(found.expected)) == (
            "wine",
            Decimal("5.00"),
            Decimal("1.00"),
        )
        assert found.cause == "cpu of v2 in production for serving is new and cost 4.00"
        assert services.cost.anomalies.look(session, date(2028, 2, 19)) == []
    (told,) = outbox(services)
    assert (told.kind, told.owner) == ("cost-anomaly", "group:default/risk")
    assert told.title == "[ticket] wine cost far more on 2028-02-19 than before"
    assert "cpu of v2 in production for serving is new and cost 4.00" in told.body


FOCUS_HEAD = ["BilledCost", "BillingCurrency", "BillingPeriodStart", "ChargePeriodStart", "ServiceName", "Tags"]


def bill(path: Path, rows: list[list[str]], head: list[str] = FOCUS_HEAD) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def charge(cost: str, day: str = "2028-02-03T00:00:00Z", tags: str = "{}", currency: str = "USD") -> list[str]:
    return [cost, currency, "2028-02-01T00:00:00Z", day, "Virtual Machines", tags]


def take_bill(services: Services, path: Path) -> Any:
    read = services.cost.bills.read(path, FEBRUARY)
    with services.database.write() as session:
        made = services.cost.bills.keep(
            session, "user:default/operator", month=FEBRUARY, provider="aws", origin="bill", read=read
        )
    refresh(services)
    return made


@pytest.mark.parametrize("as_parquet", [False, True])
def test_a_bill_is_charged_to_whom_it_names_and_the_rest_is_shared_to_the_cent(
    services: Services, use: Use, tmp_path: Path, as_parquet: bool
) -> None:
    use(at(3), "90000")
    use(at(3), "45000", model="beer", version=2)
    wine, ghost = (
        '{"ml-platform-model": "wine", "ml-platform-environment": "production"}',
        '{"ml-platform-model": "ghost"}',
    )
    rows = [charge("10.000000000001", tags=wine), charge("0.333333333333"), charge("-0.05"), charge("1e-3", tags=ghost)]
    rows.append(charge("5", day="2028-01-15T00:00:00Z", tags="not json"))
    path = bill(tmp_path / "bill", rows)
    if as_parquet:
        import polars as pl

        pl.read_csv(path.read_bytes()).write_parquet(path)
    row, unknown = take_bill(services, path)
    assert (row.rows, row.total, unknown) == (5, Decimal("15.284333333"), ["ghost"])
    found = summary(services)
    assert found.total == to_cents(row.total + Decimal("1.5"))
    with services.database.read() as session:
        lines = repository.lines(session, FEBRUARY.first, FEBRUARY.end)
    assert sum(line.cost for line in lines if line.origin == "bill") == row.total
    take_bill(services, bill(tmp_path / "corrected", [charge("1")]))  # takes the place of the first
    assert summary(services).total == Decimal("2.50")


@on_one_database
@pytest.mark.parametrize("cost_settings", [{"prices": PRICES, "basis": "bill"}])
def test_with_a_bill_metered_usage_can_be_the_key_alone(services: Services, use: Use, tmp_path: Path) -> None:
    use(at(3), "90000")
    use(at(3), "30000", model="beer", version=2)
    assert costs(services) == {("wine",): "1.00", ("beer",): "0.33"}
    take_bill(services, bill(tmp_path / "bill", [charge("40.01")]))
    assert costs(services) == {("wine",): "30.01", ("beer",): "10.00"}
    assert sum(Decimal(one) for one in costs(services).values()) == Decimal("40.01")


@on_one_database
def test_a_bill_that_can_not_be_counted_wholly_is_refused(services: Services, tmp_path: Path) -> None:
    for rows, said in (
        ([charge("1"), charge("NaN")], "BilledCost of 1 rows is no number"),
        ([charge("1"), charge("")], "BilledCost of 1 rows is no number"),
        ([charge("1", day="soon")], "ChargePeriodStart of 1 rows is no time"),
        ([["1", "USD", "2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z", "x", ""]], "BillingPeriodStart is in 2028-03"),
        ([], "no rows"),
    ):
        with pytest.raises(BillRefused, match=said):
            services.cost.bills.read(bill(tmp_path / "bill", rows), FEBRUARY)
    with pytest.raises(BillRefused, match="no column BillingCurrency"):
        services.cost.bills.read(bill(tmp_path / "bill", [["1", "x"]], ["BilledCost", "ChargePeriodStart"]), FEBRUARY)
    (tmp_path / "bill").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BillRefused, match="can't be read"):
        services.cost.bills.read(tmp_path / "bill", FEBRUARY)
    with pytest.raises(InvalidInput, match="is in GBP, costs are counted in USD"):
        take_bill(services, bill(tmp_path / "bill", [charge("1"), charge("1", currency="GBP")]))


@pytest.mark.parametrize("cost_settings", [{"prices": PRICES, **SHARED}])
def test_a_month_is_closed_when_nothing_can_come_any_more_and_stays(
    services: Services, use: Use, clock: SetClock, tmp_path: Path
) -> None:
    use(at(3), "90000.000001")
    use(at(29), "30000", model="beer", version=2)
    use(at(29), "3", resource=Resource.TOKENS)
    work = services.cost_work
    clock.moment = at(1, month=3)
    with services.database.read() as session:
        assert work.due(session, clock.moment) == []
    clock.moment = at(9, month=3)
    with services.database.read() as session:
        assert work.due(session, clock.moment) == [FEBRUARY]
    for _ in range(2):  # as after a kill
        work.make_lines("2028-02")
        work.freeze("2028-02")
        work.reports.write("2028-02")
    found = summary(services)
    assert (found.closed, found.total) == (True, Decimal("101.33"))
    folder = services.settings.home / "cost" / "2028-02"
    written = pq.read_table(folder / "focus.parquet").to_pylist()
    assert to_cents(sum(row["BilledCost"] for row in written)) == found.total
    assert {row["BillingPeriodEnd"] for row in written} == {datetime(2028, 3, 1, tzinfo=UTC)}
    rows = list(csv.DictReader(io.StringIO((folder / "group-default-risk.csv").read_text())))
    assert sum(Decimal(row["cost"]) for row in rows) == summary(services, team="group:default/risk").total
    page = (folder / "group-default-risk.html").read_text()
    assert "group:default/risk, 2028-02" in page
    assert "No price covers: tokens (wine)" in page
    assert (folder / "group-default-risk.pdf").read_bytes().startswith(b"%PDF-")
    for _ in range(2):  # told once, although the step may be called again
        work._tell_reports("2028-02")
    (told,) = outbox(services)
    assert (told.kind, told.severity, told.owner) == ("cost-report", "info", "group:default/risk")
    assert told.title.startswith("[info] the models of group:default/risk cost ")
    assert told.attachment == "cost/2028-02/group-default-risk.pdf"
    assert (services.settings.home / told.attachment).is_file()
    assert "No incidents; no error budget is used up; no model is known to have drifted." in told.body
    with services.database.read() as session:
        assert work.due(session, clock.moment) == []
    with services.database.write() as session:
        repository.mark_dirty(session, {date(2028, 2, 3)})
    refresh(services)
    assert summary(services).total == found.total
    with pytest.raises(Conflict, match="2028-02 is closed"):
        take_bill(services, bill(tmp_path / "late", [charge("1")]))
