"""Cost over HTTP, from OpenCost, and metered from processes that really run."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.config_cost import OpenCostSettings
from backend.core.container import Services
from backend.cost import open_cost, repository
from backend.cost.models import Meter
from backend.cost.periods import Month
from backend.cost.resources import Resource
from backend.deployments.targets.base import ReplicaState, Sample, VersionKey
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..conftest import Backend, Someone
from .conftest import PRICES, refresh

pytestmark = pytest.mark.slow

RISK = "group:default/risk"
KEY = VersionKey("production", "wine", 1)


@pytest.fixture
def backend(settings: Settings, services: Services, clock: SetClock) -> Iterator[Backend]:
    app = create_app(settings, clock=clock)
    yield Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
    app.state.services.database.close()


@pytest.mark.parametrize("cost_settings", [{"prices": PRICES, "shared": [{"name": "platform", "monthly": "29"}]}])
def test_a_team_lead_reads_cost_and_sets_a_budget(backend: Backend, use: Callable[..., None], clock: SetClock) -> None:
    ada, edsger, operator = (backend.someone(name) for name in ("ada", "edsger", "operator"))
    for day in (18, 19):
        use(datetime(2028, 2, day, 5, tzinfo=UTC), "90000")
        use(datetime(2028, 2, day, 5, tzinfo=UTC), "2000", resource=Resource.REQUESTS)
    found = ada.get("/cost/summary").json()
    assert (found["month"], found["currency"], found["total"], found["shared"]) == ("2028-02", "USD", "4.00", "2.00")
    assert found["forecast"] == "24.00"
    assert [(one["team"], one["cost"], one["predictions"]) for one in found["groups"]] == [(RISK, "4.00", 4000)]
    assert found["groups"][0]["perThousandPredictions"] == "1.000000"
    wine = ada.get("/cost/models/wine").json()
    assert [(one["day"], one["cost"]) for one in wine["days"]] == [("2028-02-18", "2.00"), ("2028-02-19", "2.00")]
    assert {one["resource"] for one in wine["resources"]} == {"cpu", "platform", "requests"}
    assert wine["months"] == [{"month": "2028-02", "cost": "4.00"}]
    assert ada.get("/overview/models/wine").json()["monthlyCost"] == {"amount": "4.00", "currency": "USD"}
    assert [one["name"] for one in ada.get("/overview/models", sort="-cost").json()["items"]] == ["wine", "beer"]
    assert ada.get("/cost/models/cider").status_code == 404
    assert ada.get("/cost/summary", month="2028-13").status_code == 422
    assert ada.get("/cost/summary", month="2019-01").json()["total"] == "0.00"

    path = f"/cost/budgets/team/{RISK}"
    put = lambda who, body, at=path: backend.http.put(f"/api/ml-platform{at}", json=body, headers=who.headers)  # noqa: E731
    answer = put(ada, {"monthly": "20.00"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["spent"], answer.json()["forecast"], answer.json()["percent"]) == ("4.00", "24.00", 20.0)
    assert put(edsger, {"monthly": "1"}).status_code == 403
    for wrong in (
        {"monthly": "-1"},
        {"monthly": "NaN"},
        {},
        {"monthly": "1", "daily": "1"},
        {"monthly": "0.0000000001"},
    ):
        assert put(ada, wrong).status_code == 422, wrong
    assert put(ada, {"monthly": 0, "enforce": True}, "/cost/budgets/model/wine").json()["exceeded"] is True
    assert put(ada, {"monthly": 1}, "/cost/budgets/model/cider").status_code == 404
    refused = ada.post("/deployments", {"model": "wine", "version": 1, "environment": "staging"})
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "budget-used-up"), refused.text
    assert "the budget of model wine for 2028-02 is used up: 4.00 USD of 0.00 USD" in refused.json()["detail"]
    assert ada.delete("/cost/budgets/model/wine").status_code == 204
    assert ada.delete("/cost/budgets/model/wine").status_code == 404
    assert [one["name"] for one in ada.get("/cost/budgets").json()] == [RISK]
    types = {one["type"].rpartition(".")[2] for one in operator.events(type="ml-platform.cost.budget.")}
    assert types == {"set", "refused", "removed"}

    page = ada.get(f"/cost/reports/2028-02/{RISK}")
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert "<strong>4.00 USD</strong>" in page.text
    assert ada.get(f"/cost/reports/2028-02/{RISK}", format="csv").text.count("\n") == 4
    pdf = ada.get(f"/cost/reports/2028-02/{RISK}", format="pdf")
    assert (pdf.status_code, pdf.headers["content-type"], pdf.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert pdf.headers["content-disposition"] == 'attachment; filename="group-default-risk.pdf"'
    assert ada.get("/cost/reports/2028-02/group:default/search", format="pdf").status_code == 404
    assert ada.get("/cost/reports/2028-02/group:default/search").status_code == 404
    assert ada.get("/cost/reports/2028-02").json() == [RISK]
    columns = ada.get("/cost/focus/2028-02", format="csv").text.splitlines()
    assert len(columns) == 1 + 6
    assert columns[0].startswith("AvailabilityZone,BilledCost,BillingAccountId")
    assert ada.get("/cost/focus/2028-02").content[:4] == b"PAR1"
    assert ada.get("/cost/focus/2001-02").status_code == 404
    assert {one["resource"] for one in ada.get("/cost/prices").json()["resources"]} == {one.value for one in Resource}


@on_one_database
def test_bills_are_imported_by_those_who_run_the_platform(backend: Backend) -> None:
    head = "BilledCost,BillingCurrency,ChargePeriodStart,ServiceName,Tags\n"
    row = '12.50,USD,2028-02-03T00:00:00Z,Storage,"{""ml-platform-model"": ""wine""}"\n'

    def put(who: Someone, content: bytes) -> Any:
        path = "/api/ml-platform/cost/bills/2028-02/aws"
        return backend.http.put(path, content=content, headers={**who.headers, "Content-Type": "text/csv"})

    operator = backend.someone("operator")
    answer = put(operator, (head + row).encode())
    assert answer.status_code == 200, answer.text
    assert (answer.json()["total"], answer.json()["rows"], answer.json()["unknownModels"]) == ("12.50", 1, [])
    refresh(backend.services)
    assert operator.get("/cost/summary", groupBy="origin").json()["groups"][0]["origin"] == "bill"
    assert put(backend.someone("ada"), (head + row).encode()).status_code == 403
    assert put(operator, b"").status_code == 422
    assert put(operator, b"not,a,bill\n1,2,3\n").json()["type"].endswith("bill-refused")
    (listed,) = operator.get("/cost/bills").json()
    assert listed["provider"] == "aws"


@contextmanager
def opencost(sets: Any, asked: list[dict[str, list[str]]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query))
            body = json.dumps({"code": 200, "status": "success", "data": sets}).encode()
            self.send_response(200 if self.path.startswith("/allocation?") else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def allocation(day: int, cost: float) -> dict[str, Any]:
    window = {"start": f"2028-02-{day:02d}T00:00:00Z", "end": f"2028-02-{day + 1:02d}T00:00:00Z"}
    return {"window": window, "cpuCost": cost, "totalCost": cost}


@on_one_database
def test_opencost_is_taken_as_its_api_says(services: Services, clock: SetClock) -> None:
    sets = [
        {"wine/1/production": allocation(1, 1.25), "__idle__": allocation(1, 0.5)},
        {"wine/1/production": allocation(2, 2), "__unallocated__/__unallocated__/__unallocated__": allocation(2, 0.25)},
        None,
    ]
    asked: list[dict[str, list[str]]] = []
    with opencost(sets, asked) as url:
        settings = OpenCostSettings(url=url)
        read = open_cost.read_month(settings, Month(2028, 2), clock.moment.date())
    assert asked[0]["window"] == ["2028-02-01T00:00:00Z,2028-02-21T00:00:00Z"]
    assert asked[0]["aggregate"] == ["label:ml_platform_model,label:ml_platform_version,label:ml_platform_environment"]
    with services.database.write() as session:
        services.cost.bills.keep(
            session, "service:ml-platform", month=Month(2028, 2), provider="opencost", origin="opencost", read=read
        )
    refresh(services)
    with services.database.read() as session:
        found = services.cost.summary(session, Month(2028, 2), "version")
    assert [(group.key, str(group.cost)) for group in found.groups] == [(("wine", 1), "3.25"), (("wine", 0), "0.75")]
    for wrong in ([{"x": {"window": {}}}], [{"x": allocation(1, float("nan"))}], "none"):
        with opencost(wrong, asked) as url, pytest.raises(open_cost.OpenCostUnavailable, match="can't be read"):
            open_cost.read_month(OpenCostSettings(url=url), Month(2028, 2), clock.moment.date())
    with pytest.raises(open_cost.OpenCostUnavailable):
        open_cost.read_month(OpenCostSettings(url="http://127.0.0.1:1"), Month(2028, 2), clock.moment.date())


class Target:
    """Says which processes run, and what was asked of them."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.requests = 0

    def replicas(self) -> list[ReplicaState]:
        return [ReplicaState(KEY, index, "ready", 1, pid, None) for index, pid in enumerate(self.pids)]

    def sample(self) -> dict[VersionKey, Sample]:
        return {KEY: Sample(KEY, self.requests, 0, ())}


@on_one_database
def test_what_a_process_and_its_children_use_is_counted_once(
    services: Services, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target()
    monkeypatch.setattr(services.engine, "target", target)
    # It works, has a child work that ends, and then waits.
    busy = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    code = f"import subprocess, sys\n{busy}\nsubprocess.run([sys.executable, '-c', {busy!r}])\nprint('done', flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        clock.moment = datetime.now(UTC)
        start = clock.moment
        target.pids, target.requests = [process.pid], 7
        metering = services.cost_work.metering
        metering.sample()
        with services.database.read() as session:
            first = {row[4]: row[-1] for row in repository.used_on(session, start.date())}
        assert Decimal("0.6") <= first["cpu"] < 5
        assert first["requests"] == 7
        assert metering.sample() == 0  # the same moment
        clock.move(seconds=60)
        target.requests = 10
        metering.sample()
        # Another process of the platform takes over, and then the proxy starts again.
        after = type(metering)(services)
        clock.move(seconds=60)
        after.sample()
        clock.move(seconds=60)
        target.requests = 4
        after.sample()
        clock.move(seconds=-30)  # somebody put it back
        assert after.sample() == 0
        with services.database.read() as session:
            rows = [
                row
                for day in {start.date(), clock.moment.date()}
                for row in repository.used_on(session, day)
                if row[0] == "wine"
            ]
        total: dict[str, Decimal] = {}
        for row in rows:
            total[row[4]] = total.get(row[4], Decimal(0)) + row[-1]
        assert total["cpu"] - first["cpu"] < 1
        assert total["requests"] == 14
        # Of the core that model.yaml asks for by default, the rest of three minutes was not used.
        assert total["cpu"] + total["cpu-unused"] >= 180
        assert Decimal("0.001") * 180 < total["memory"] < 180
    finally:
        process.communicate(b"\n")
    with services.database.read() as session:
        assert session.query(Meter).count() == 3


@on_one_database
def test_storage_and_training_are_counted_from_what_is_registered(services: Services, clock: SetClock) -> None:
    metering = services.cost_work.metering
    yesterday = clock.moment.date()
    clock.move(days=1)
    assert metering.measure_storage(yesterday) == 2
    assert metering.measure_storage(yesterday) == 0
    with services.database.write() as session:
        row = services.registry.get_version(session, "wine", 1)
        row.created_at = clock.moment
        row.lineage = {
            **row.lineage,
            "startedAt": (clock.moment - timedelta(hours=2)).isoformat(),
            "finishedAt": (clock.moment - timedelta(hours=1)).isoformat(),
        }
    metering.sample()
    metering.sample()
    with services.database.read() as session:
        rows = repository.used_on(session, clock.moment.date())
    assert [(row[4], row[-1]) for row in rows if row[0] == "wine"] == [("training", 3600)]
