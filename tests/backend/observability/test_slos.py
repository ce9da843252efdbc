"""What users see of objectives: how they stand, in the API and the overview, and what follows from it."""

from typing import Any

import httpx
import pytest

from backend.core.config_observability import PrometheusSettings
from backend.observability.evaluation import Evaluation
from backend.observability.prometheus import PrometheusClient
from tests.marks import on_one_database

from .conftest import Ward

pytestmark = pytest.mark.slow


def test_an_objective_is_met_then_at_risk_then_breached(ward: Ward) -> None:
    ward.deploy(1)
    ward.judge()
    assert {one["state"] for one in ward.slos().values()} == {"no_data"}
    ward.pass_minutes(70, 1, requests=1000)
    ward.judge()
    assert {name: one["state"] for name, one in ward.slos().items()} == {"availability": "met", "latency": "met"}
    assert ward.slos()["availability"]["remaining"] == 1

    ward.pass_minutes(6, 1, requests=1000, errors=1)
    ward.pass_minutes(1, 1, requests=1000, errors=72)
    ward.pass_minutes(6, 1, requests=1000)
    ward.judge()
    found = ward.slos()["availability"]
    assert (found["state"], found["source"], found["note"]) == ("at_risk", "samples", None)
    assert 0 < found["remaining"] < 0.1
    assert found["version"] == 1

    ward.pass_minutes(1, 1, requests=1000, errors=500)
    ward.pass_minutes(6, 1, requests=1000)
    ward.judge()
    found = ward.slos()["availability"]
    assert (found["state"], set(found["firing"])) == ("breached", {"fast", "slow"})
    assert found["remaining"] < 0
    assert [(one["long"], one["short"], one["threshold"]) for one in found["burns"]] == [
        ("1h", "5m", 14.4), ("6h", "30m", 6), ("1d", "2h", 3), ("3d", "6h", 1)
    ]  # fmt: skip
    assert ward.slos()["latency"]["state"] == "met"
    states = [one["type"].rpartition(".")[2] for one in ward.ada.events(subject="model:wine/slos/availability")]
    assert states == ["met", "at_risk", "breached"]

    row = ward.ada.get("/overview/models/wine").json()
    assert row["slo"]["state"] == "breached"
    assert row["slo"]["remaining"] == pytest.approx(max(found["remaining"], -1), abs=0.01)
    for wanted, there in (("breached", 1), ("met", 0)):
        assert ward.ada.get("/overview/models", slo=wanted).json()["total"] == there
    for sort in ("slo", "-slo"):
        assert [one["name"] for one in ward.ada.get("/overview/models", sort=sort).json()["items"]] == ["wine"]


@on_one_database
def test_slow_answers_are_held_against_the_latency_objective(ward: Ward) -> None:
    ward.deploy(1)
    ward.pass_minutes(30, 1, requests=100, slow=40)
    ward.judge()
    found = ward.slos()
    assert (found["latency"]["state"], found["availability"]["state"]) == ("breached", "met")
    assert found["latency"]["bad"] == pytest.approx(30 * 40, rel=0.15)


@on_one_database
def test_a_model_that_is_not_there_and_one_without_objectives(ward: Ward) -> None:
    answer = ward.ada.get("/observability/models/nobody/slos")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    answer = ward.ada.get("/observability/models/wine/slos")
    assert answer.json() == {"model": "wine", "state": None, "slos": []}


def test_a_model_without_budget_needs_somebody_who_takes_the_risk(ward: Ward) -> None:
    ward.deploy(1, "careful")
    ward.at += 60
    ward.hand.serve(1, 10, environment="careful")
    ward.watch.evaluation.sample(ward.hand.samples(), ward.at)
    ward.at += 60
    ward.hand.serve(1, 1000, errors=500, environment="careful")
    ward.watch.evaluation.sample(ward.hand.samples(), ward.at)
    ward.judge()
    answer = ward.ada.post("/deployments", {"model": "wine", "version": 2, "environment": "careful"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["phase"] == "awaiting_approval"
    (finding,) = [one for one in answer.json()["requirements"] if one["requirement"] == "error-budget"]
    assert finding["state"] == "waiting"
    assert "availability" in finding["message"]

    grace = ward.backend.someone("grace")
    said = {"decision": "approve", "comment": "it mends the errors"}
    approved = grace.post(f"/deployments/{answer.json()['id']}/approval", said)
    assert approved.status_code in (200, 201), approved.text
    (finding,) = [one for one in approved.json()["requirements"] if one["requirement"] == "error-budget"]
    assert (finding["state"], "grace took the risk" in finding["message"]) == ("met", True)


@on_one_database
def test_a_budget_is_nothing_where_no_approval_is_configured(ward: Ward) -> None:
    ward.deploy(1)
    ward.pass_minutes(2, 1, requests=1000, errors=500)
    ward.judge()
    assert ward.slos()["availability"]["state"] == "breached"
    assert ward.deploy(2)["outcome"] == "promoted"
    assert all(
        one["requirement"] != "error-budget" for one in ward.ada.get("/deployments").json()["items"][0]["requirements"]
    )


def test_a_version_that_breaks_its_objective_while_the_former_is_warm_is_taken_back(ward: Ward) -> None:
    ward.deploy(1)
    ward.at = ward.services.clock.now().timestamp()
    ward.watch.evaluation.sample(ward.hand.samples(), ward.at)
    ward.deploy(2)
    ward.pass_minutes(1, 2, requests=1000)
    ward.pass_minutes(4, 2, requests=1000, slow=900)
    ward.judge()
    place = ward.ada.get("/environments/lab/models/wine").json()
    assert place["champion"] == 1
    (incident,) = ward.incidents(model="wine")
    whole = ward.incident(incident["id"])
    assert "rolled_back" in [one["kind"] for one in whole["timeline"]]
    assert whole["suspects"][0]["version"] == 2
    assert whole["suspects"][0]["kind"] == "rollout"
    assert whole["runbook"].endswith("#latencybudgetburn")
    rollback = ward.ada.get("/deployments", model="wine").json()["items"][0]
    assert (rollback["kind"], rollback["requestedBy"]) == ("rollback", "service:ml-platform")
    assert "latency" in rollback["reason"]
    # The next look finds nothing more to do.
    ward.judge()
    assert len(ward.ada.get("/deployments", model="wine").json()["items"]) == 3


@on_one_database
def test_what_the_former_version_did_is_not_held_against_the_new_one(ward: Ward) -> None:
    ward.deploy(1)
    ward.at = ward.services.clock.now().timestamp()
    ward.pass_minutes(3, 1, requests=1000, errors=500)
    ward.deploy(2)
    ward.pass_minutes(4, 2, requests=1000)
    ward.judge()
    assert "fast" in ward.slos()["availability"]["firing"]
    assert ward.ada.get("/environments/lab/models/wine").json()["champion"] == 2


RECORDED: dict[str, Any] = {"environment": "lab", "model": "wine", "slo": "availability"}


def vector(*values: tuple[dict[str, Any], object]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1.0, str(value)]} for labels, value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def with_prometheus(ward: Ward, answer: Any) -> None:
    settings = PrometheusSettings(url="http://prometheus.test", timeout="0.5s")
    client = PrometheusClient(settings, httpx.MockTransport(answer))
    ward.watch.evaluation = Evaluation(ward.services, client)


@on_one_database
def test_prometheus_is_believed_where_it_has_the_series(ward: Ward) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        left = {"slo:error_budget:remaining": 0.4}.get(query, 0.02)
        return httpx.Response(
            200, json=vector((RECORDED, left), ({"model": "wine"}, 1), (RECORDED | {"slo": "x"}, "NaN"))
        )

    ward.deploy(1)
    with_prometheus(ward, answer)
    ward.pass_minutes(10, 1, requests=1000)
    ward.judge()
    found = ward.slos()
    assert found["availability"]["source"] == "prometheus"
    assert found["availability"]["remaining"] == 0.4
    assert set(found["availability"]["firing"]) == {"fast", "slow"}
    assert (found["latency"]["source"], found["latency"]["state"]) == ("samples", "met")
    assert "no series" in found["latency"]["note"]


@on_one_database
def test_a_prometheus_that_counts_no_more_is_not_believed(ward: Ward) -> None:
    """Its budget goes on for a month from what it counted before."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params["query"]
        found = [(RECORDED, 0.9)] if query == "slo:error_budget:remaining" else []
        return httpx.Response(200, json=vector(*found))

    ward.deploy(1)
    with_prometheus(ward, answer)
    ward.pass_minutes(4, 1, requests=1000, errors=500)
    ward.judge()
    found = ward.slos()["availability"]
    assert (found["source"], found["state"]) == ("samples", "breached")
    assert "recorded nothing of it in the last 1h" in found["note"]


@on_one_database
def test_of_doubled_series_the_worst_counts(ward: Ward) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        left = request.url.params["query"] == "slo:error_budget:remaining"
        one, other = (0.9, -0.2) if left else (0.0, 0.5)
        pair = ({**RECORDED, "prometheus": "a"}, one), ({**RECORDED, "prometheus": "b"}, other)
        return httpx.Response(200, json=vector(*pair))

    ward.deploy(1)
    with_prometheus(ward, answer)
    ward.pass_minutes(2, 1, requests=1000)
    ward.judge()
    found = ward.slos()["availability"]
    assert (found["remaining"], found["state"]) == (-0.2, "breached")
    assert "more than one" in found["note"]


def down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late", request=request)


@on_one_database
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (down, "can't be reached"),
        (slow, "in time"),
        (lambda _: httpx.Response(503, json={"status": "error", "error": "loading"}), "503: loading"),
        (lambda _: httpx.Response(200, text="<html>"), "no JSON"),
        (lambda _: httpx.Response(200, json=[]), "no JSON object"),
        (lambda _: httpx.Response(200, json={"status": "success", "data": {"result": [{"metric": {}}]}}), "no vector"),
    ],
    ids=["down", "slow", "loading", "html", "list", "no value"],
)
def test_without_an_answer_of_prometheus_the_own_samples_count(ward: Ward, answer: Any, said: str) -> None:
    ward.deploy(1)
    with_prometheus(ward, answer)
    ward.pass_minutes(10, 1, requests=1000, errors=500)
    ward.judge()
    found = ward.slos()["availability"]
    assert (found["source"], found["state"]) == ("samples", "breached")
    assert said in found["note"]
