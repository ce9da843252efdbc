"""Usage: taken once, in any order, and refused with a reason when it is not plausible."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.cost import repository
from backend.cost.models import CostMonth, UsageHour, UsageRecord
from backend.cost.resources import Activity, Resource
from backend.cost.usage import added_up
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..conftest import Backend, Someone

pytestmark = pytest.mark.slow

REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"quantity": "-1"}, 422, "quantity"),
    ({"quantity": "NaN"}, 422, "quantity"),
    ({"quantity": "Infinity"}, 422, "quantity"),
    ({"quantity": "99999999"}, 422, "is not possible"),
    ({"quantity": None}, 422, "quantity"),
    ({"resource": "gold"}, 422, "resource"),
    ({"model": "cider"}, 404, "there is no model 'cider'"),
    ({"model": "beer"}, 403, "may not report usage of beer"),
    ({"version": 9}, 404, "9"),
    ({"environment": "moon"}, 422, "there is no 'moon'"),
    ({"start": "2028-02-20T11:00:00Z", "end": "2028-02-20T10:00:00Z"}, 422, "before its start"),
    ({"end": "2028-02-20T13:00:00Z"}, 422, "ahead of the platform's clock"),
    ({"start": "2028-02-01T00:00:00Z", "end": "2028-02-02T00:00:00Z"}, 422, "usage is taken for 7d"),
    ({"start": "2027-12-01T00:00:00Z", "end": "2028-02-20T00:00:00Z"}, 422, "more than 31 days"),
    ({"start": "2028-02-20T10:00:00"}, 422, "start"),
    ({"id": "a b"}, 422, "id"),
    ({"owner": "me"}, 422, "owner"),
]


@pytest.fixture
def backend(settings: Settings, services: Services, clock: SetClock) -> Iterator[Backend]:
    """The app on the database with the two models; the runtime is not started, so nothing moves by itself."""
    app = create_app(settings, clock=clock)
    yield Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
    app.state.services.database.close()


@pytest.fixture
def ci(backend: Backend) -> Someone:
    return backend.repository("local/wine")


def record(clock: SetClock, number: int = 1, **changes: Any) -> dict[str, Any]:
    end = clock.moment - timedelta(hours=1)
    made = {
        "id": f"ci-{number}",
        "model": "wine",
        "activity": "training",
        "resource": "gpu",
        "sku": "nvidia-l4",
        "quantity": "360.5",
        "start": (end - timedelta(minutes=30)).isoformat(),
        "end": end.isoformat(),
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def hours(services: Services) -> dict[tuple[str, datetime], Decimal]:
    with services.database.read() as session:
        return {(row.resource, row.hour): row.quantity for row in session.query(UsageHour)}


def test_late_repeated_and_reordered_records_come_to_the_same(backend: Backend, ci: Someone, clock: SetClock) -> None:
    records = [record(clock, number, quantity=str(number)) for number in range(1, 41)]
    random.Random(1).shuffle(records)
    assert ci.post("/cost/usage", {"records": records[:25]}).json() == {"accepted": 25, "repeated": 0}
    again = ci.post("/cost/usage", {"records": [*records[10:], records[0]]})
    assert again.json() == {"accepted": 15, "repeated": 16}
    ((_, quantity),) = hours(backend.services).items()
    assert quantity == sum(range(1, 41))


@on_one_database
def test_what_is_not_plausible_is_refused_and_nothing_of_the_batch_is_kept(
    backend: Backend, ci: Someone, clock: SetClock
) -> None:
    for changes, status, said in REFUSED:
        answer = ci.post("/cost/usage", {"records": [record(clock, 1), record(clock, 2, **changes)]})
        assert (answer.status_code, said in answer.text) == (status, True), (changes, answer.text)
        if status == 422:
            assert "records" in answer.text  # and which one
    assert hours(backend.services) == {}


@on_one_database
def test_a_record_is_never_changed_and_ids_belong_to_whoever_reports(
    backend: Backend, ci: Someone, clock: SetClock
) -> None:
    assert ci.post("/cost/usage", {"records": [record(clock)]}).status_code == 200
    other = ci.post("/cost/usage", {"records": [record(clock, quantity="1")]})
    assert (other.status_code, "records[0].id" in other.text) == (409, True)
    twice = ci.post("/cost/usage", {"records": [record(clock, 2), record(clock, 2, quantity="1")]})
    assert (twice.status_code, "records[1].id" in twice.text) == (409, True)
    mine = backend.someone("ada").post("/cost/usage", {"records": [record(clock, quantity="1")]})
    assert mine.json() == {"accepted": 1, "repeated": 0}
    edsger = backend.someone("edsger").post("/cost/usage", {"records": [record(clock, 3)]})
    assert edsger.status_code == 403
    assert backend.someone("operator").events(type="ml-platform.cost.usage.refused")


@on_one_database
def test_a_closed_month_takes_nothing(backend: Backend, ci: Someone, clock: SetClock) -> None:
    with backend.services.database.write() as session:
        session.add(CostMonth(month="2028-02", currency="USD", total=Decimal(0), closed_at=clock.moment))
    answer = ci.post("/cost/usage", {"records": [record(clock)]})
    assert (answer.status_code, answer.json()["detail"]) == (409, "2028-02 is closed")


@on_one_database
def test_records_are_kept_only_while_they_may_be_repeated(services: Services, clock: SetClock, use: Any) -> None:
    use(clock.moment - timedelta(hours=1), "60")

    def count() -> int:
        with services.database.write() as session:
            services.cost.usage.prune(session)
            return session.query(UsageRecord).count()

    clock.move(days=7)
    assert count() == 1
    clock.move(hours=2)
    assert count() == 0
    assert len(hours(services)) == 1
    clock.move(days=92)
    assert count() == 0
    assert hours(services) == {}
    with services.database.read() as session:
        lines = repository.lines(session, date(2028, 1, 1), date(2029, 1, 1))
    assert [line.quantity for line in lines] == [60]


@given(
    st.datetimes(min_value=datetime(2028, 2, 1), max_value=datetime(2028, 3, 31)),  # noqa: DTZ001
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)),
    st.decimals(min_value=0, max_value=10**9, places=6),
)
def test_a_record_over_several_hours_gives_each_its_share_and_all_of_it(
    start: datetime, length: timedelta, quantity: Decimal
) -> None:
    begin = start.replace(tzinfo=UTC)
    row = {
        "model": "wine",
        "version": 1,
        "environment": "",
        "activity": Activity.TRAINING.value,
        "resource": Resource.GPU.value,
        "sku": "",
        "quantity": quantity,
        "started_at": begin,
        "ended_at": begin + length,
    }
    found = added_up([row])
    assert sum(found.values()) == quantity
    assert len(found) <= length / timedelta(hours=1) + 2
    for hour, *_ in found:
        assert hour < begin + length or hour <= begin
