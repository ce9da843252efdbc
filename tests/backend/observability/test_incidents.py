"""Incidents through the doors that people and Alertmanager use, and what becomes of telling others."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from backend.core.schemas import utc
from backend.registry.models import ModelRow
from tests.marks import on_one_database
from tests.waiting import wait_until

from ..conftest import Someone
from ..pager import Pager, answering
from .conftest import Ward

pytestmark = pytest.mark.slow

RESOLUTION = {"cause": "change", "resolution": "v2 was taken back"}


@pytest.fixture
def pager() -> Iterator[type[Pager]]:
    with answering() as one:
        yield one


@pytest.fixture
def notifications(pager: type[Pager]) -> dict[str, Any]:
    return {
        "targets": [
            {"name": "pager", "url": f"json://127.0.0.1:{pager.port}/"},
            {"name": "others", "url": "json://127.0.0.1:1/", "groups": ["group:default/search"]},
        ]
    }


@pytest.fixture
def observability() -> dict[str, Any]:
    return {"alertmanagers": ["user:default/edsger"], "mostOpened": 5}


@pytest.fixture
def alertmanager(ward: Ward) -> Someone:
    return ward.backend.someone("edsger")


def alert(
    ward: Ward, name: str = "ModelNotReady", *, ended: bool = False, age: float = 5, **labels: str
) -> dict[str, Any]:
    began = ward.services.clock.now() - timedelta(minutes=age)
    return {
        "status": "resolved" if ended else "firing",
        "labels": {"alertname": name, "severity": "page", "model": "wine", "environment": "lab", **labels},
        "annotations": {"summary": f"{name} of {labels.get('model', 'wine')}", "runbook_url": "/docs/x/runbook/#here"},
        "startsAt": utc(began.replace(microsecond=0)),
        "endsAt": utc(ward.services.clock.now()) if ended else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.test/graph",
        "fingerprint": "0" * 16,
    }


def webhook(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "platform",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.test",
        "alerts": list(alerts), **more,
    }  # fmt: skip


def send(someone: Someone, *alerts: dict[str, Any]) -> list[str]:
    answer = someone.post("/observability/alertmanager", webhook(*alerts))
    assert answer.status_code == 200, answer.text
    ids: list[str] = answer.json()["incidents"]
    return ids


def test_an_incident_from_its_first_alert_to_its_postmortem(ward: Ward, alertmanager: Someone, pager: Any) -> None:
    ward.deploy(1)
    first = alert(ward, age=0)
    (id,) = send(alertmanager, first, alert(ward, "DeadLetters", age=0, severity="warning"))
    assert send(alertmanager, first) == [id]
    (shown,) = ward.incidents(model="wine", state="open", severity="page")
    assert (shown["id"], shown["owner"], shown["onCall"]["group"]) == (id, "group:default/risk", "group:default/risk")
    assert (shown["received"], len(shown["alerts"])) == (3, 2)
    assert shown["runbook"] == "/docs/x/runbook/#here"

    whole = ward.incident(id)
    assert whole["suspects"][0]["what"].startswith("v1 was")
    assert [one["allowed"] for one in whole["actions"]] == [True, True]
    wait_until(lambda: len(pager.taken) == 1, 20)
    assert "[page] opened: ModelNotReady of wine" in pager.taken[0]["title"]
    for part in ("Owner: group:default/risk", "Runbook: http", "platform rollback --model wine --env lab", id):
        assert part in pager.taken[0]["message"]

    path = f"/observability/incidents/{id}"
    answer = ward.ada.post(f"{path}/acknowledgement", {"comment": "looking"})
    assert (answer.status_code, answer.json()["state"], answer.json()["roles"]) == (
        200, "acknowledged", {"commander": "user:default/ada"},
    )  # fmt: skip
    assert ward.ada.post(f"{path}/acknowledgement", {}).status_code == 409
    answer = ward.ada.post(f"{path}/roles", {"scribe": "user:default/grace"})
    assert answer.json()["roles"]["scribe"] == "user:default/grace"
    assert ward.ada.post(f"{path}/notes", {"text": "a | in a\nnote"}).status_code == 200

    send(alertmanager, alert(ward, ended=True), alert(ward, "DeadLetters", ended=True))
    assert ward.incident(id)["recoveredAt"] is not None
    answer = ward.ada.post(f"{path}/resolution", RESOLUTION)
    assert (answer.status_code, answer.json()["state"], answer.json()["resolvedBy"]) == (
        200,
        "resolved",
        "user:default/ada",
    )
    assert ward.ada.post(f"{path}/resolution", RESOLUTION).status_code == 409

    kinds = [one["kind"] for one in answer.json()["timeline"]]
    assert kinds == [
        "opened", "suspected", "alert", "alert", "acknowledged", "roles", "note", "ended", "ended", "recovered", "resolved",
    ]  # fmt: skip
    events = [one["type"].rpartition(".")[2] for one in ward.ada.events(subject=f"model:wine/incidents/{id}")]
    assert events == ["opened", "acknowledged", "assigned", "noted", "resolved"]
    text = ward.ada.get(f"{path}/postmortem").text
    assert text.startswith("# Postmortem: ModelNotReady of wine\n")
    for part in ("a \\| in a note", "v2 was taken back", "* Scribe: user:default/grace", "v1 was", "* Cause: change"):
        assert part in text


def test_what_somebody_resolved_is_not_opened_by_the_same_alert_again(ward: Ward, alertmanager: Someone) -> None:
    going_on = alert(ward)
    (id,) = send(alertmanager, going_on)
    assert ward.ada.post(f"/observability/incidents/{id}/resolution", RESOLUTION).status_code == 200
    assert send(alertmanager, going_on) == []
    assert send(alertmanager, alert(ward, ended=True)) == []
    (other,) = send(alertmanager, alert(ward, age=1))
    assert other != id


@on_one_database
def test_what_platform_and_alertmanager_both_see_is_one_incident_and_stays_resolved(
    ward: Ward, alertmanager: Someone
) -> None:
    def told(age: float) -> list[str]:
        return send(alertmanager, alert(ward, "AvailabilityBudgetBurn", age=age, slo="availability", burn="fast"))

    ward.deploy(1)
    ward.pass_minutes(4, 1, requests=1000, errors=500)
    ward.judge()
    (own,) = ward.incidents(state="open")
    assert told(age=1) == [own["id"]]
    (shown,) = ward.incidents(state="open")
    assert [one["sources"] for one in shown["alerts"] if one["name"].endswith("/fast")] == [
        ["evaluation", "alertmanager"]
    ]
    assert ward.ada.post(f"/observability/incidents/{own['id']}/resolution", RESOLUTION).status_code == 200
    ward.judge()
    assert told(age=1) == []
    assert ward.incidents(state="open") == []
    # Another beginning is another trouble.
    (other,) = told(age=-1)
    assert other != own["id"]


@on_one_database
def test_what_alertmanager_says_too_late_of_a_resolved_incident_opens_none(ward: Ward, alertmanager: Someone) -> None:
    ward.deploy(1)
    ward.pass_minutes(4, 1, requests=1000, errors=500)
    ward.judge()
    (own,) = ward.incidents(state="open")
    assert ward.ada.post(f"/observability/incidents/{own['id']}/resolution", RESOLUTION).status_code == 200
    late = alert(ward, "AvailabilityBudgetBurn", age=1, slo="availability", burn="fast")
    assert send(alertmanager, late) == []


def test_a_storm_of_ten_thousand_alerts_makes_few_incidents(ward: Ward, alertmanager: Someone) -> None:
    now = ward.services.clock.now()
    with ward.services.database.write() as session:
        for number in range(40):
            session.add(
                ModelRow(
                    name=f"m{number}", type="realtime", owner="group:default/risk", system=None, tier=1, cost_centre="C",
                    repository=f"local/m{number}", created_at=now, created_by="user:default/ada",
                )
            )  # fmt: skip
    storm = [
        alert(ward, f"Alert{number % 250}", model=f"m{number % 60}", environment=["lab", "careful", "mars"][number % 3])
        for number in range(10_000)
    ]
    answer = alertmanager.post("/observability/alertmanager", webhook(*storm))
    assert (answer.status_code, answer.json()["alerts"]) == (200, 10_000)
    found = ward.incidents()
    assert len(found) == 5 + 1
    assert {one["id"] for one in found} == set(answer.json()["incidents"])
    together = next(one for one in found if one["title"] == "Alerts about many models at once")
    assert (together["owner"], together["model"]) == ("group:default/platform", None)
    assert all(len(one["alerts"]) <= 100 for one in found)
    again = alertmanager.post("/observability/alertmanager", webhook(*storm))
    assert set(again.json()["incidents"]) == set(answer.json()["incidents"])


@on_one_database
def test_alerts_about_what_nobody_knows_are_one_incident_of_the_platform(ward: Ward, alertmanager: Someone) -> None:
    ids = send(alertmanager, alert(ward, model="nobody"), alert(ward, model="no one", environment="mars"))
    assert len(ids) == 1
    assert ward.incident(ids[0])["owner"] == "group:default/platform"
    assert ward.ada.post(f"/observability/incidents/{ids[0]}/acknowledgement", {}).status_code == 403
    operator = ward.backend.someone("operator")
    assert operator.post(f"/observability/incidents/{ids[0]}/acknowledgement", {}).status_code == 200


@on_one_database
def test_who_may_raise_alerts_and_who_may_handle_incidents(ward: Ward, alertmanager: Someone) -> None:
    refused = ward.ada.post("/observability/alertmanager", webhook(alert(ward)))
    assert (refused.status_code, "alertmanagers" in refused.json()["fix"]) == (403, True)
    assert ward.ada.http.post("/api/ml-platform/observability/alertmanager", json=webhook()).status_code == 401
    (id,) = send(alertmanager, alert(ward))
    for path, body in (("acknowledgement", {}), ("resolution", RESOLUTION), ("notes", {"text": "x"}), ("roles", {})):
        answer = alertmanager.post(f"/observability/incidents/{id}/{path}", body)
        assert answer.status_code == 403, path
    assert [one["allowed"] for one in alertmanager.get(f"/observability/incidents/{id}").json()["actions"]] == [
        False,
        False,
    ]
    refusals = [one for one in ward.ada.events(type="ml-platform.observability.") if one["type"].endswith(".refused")]
    assert len(refusals) == 5


@pytest.mark.parametrize(
    ("version", "alerts", "status"),
    [
        ("3", [], 422),
        ("4", [], 200),
        ("4", [{"startsAt": "soon"}], 422),
        ("4", [{"startsAt": "2026-03-01T00:00:00"}], 422),
        ("4", [{"startsAt": "2999-01-01T00:00:00Z"}], 200),
        ("4", [{"startsAt": "2026-03-01T00:00:00Z", "labels": {"model": "w\x00", "slo": "\x00"}}], 200),
    ],
    ids=["another version", "no alert", "no time", "no time zone", "the future", "a NUL"],
)
def test_webhooks_of_every_kind(
    ward: Ward, alertmanager: Someone, version: str, alerts: list[dict[str, Any]], status: int
) -> None:
    whole = [{"status": "firing", "labels": {}, **one} for one in alerts]
    body = {"version": version, "status": "firing", "alerts": whole}
    answer = alertmanager.post("/observability/alertmanager", body)
    assert answer.status_code == status, answer.text
    for one in ward.incidents():
        assert one["beganAt"] <= utc(ward.services.clock.now())


@on_one_database
def test_an_incident_that_is_not_there(ward: Ward) -> None:
    for path in ("", "/postmortem"):
        answer = ward.ada.get(f"/observability/incidents/{'0' * 8}-0000-0000-0000-{'0' * 12}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@on_one_database
def test_an_incident_that_nobody_takes_is_over_when_its_alerts_are(ward: Ward, alertmanager: Someone) -> None:
    (id,) = send(alertmanager, alert(ward))
    send(alertmanager, alert(ward, ended=True))
    with ward.services.database.write() as session:
        ward.services.incidents.sweep(session)
    assert ward.incident(id)["state"] == "open"
    with ward.services.database.write() as session:
        row = ward.services.incidents.get(session, id)
        assert row.recovered_at is not None
        row.recovered_at -= timedelta(hours=2)
    with ward.services.database.write() as session:
        ward.services.incidents.sweep(session)
    found = ward.incident(id)
    assert (found["state"], found["resolvedBy"], found["cause"]) == ("resolved", "service:ml-platform", "recovered")


def test_a_target_that_is_down_is_told_when_it_is_back(
    ward: Ward, alertmanager: Someone, pager: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("backend.notifications.service.FIRST_WAIT", timedelta(seconds=0.2))
    pager.status = 503
    (id,) = send(alertmanager, alert(ward))
    wait_until(lambda: len(ward.incident(id)["notifications"]) >= 3, 30)
    pager.status = 200
    wait_until(lambda: bool(pager.taken), 30)
    wait_until(lambda: ward.incident(id)["notifications"][-1]["state"] == "sent", 20)
    attempts = ward.incident(id)["notifications"]
    assert [one["attempt"] for one in attempts] == list(range(1, len(attempts) + 1))
    assert {one["state"] for one in attempts[:-1]} == {"failed"}
    assert "not taken" in attempts[0]["reason"]
    assert len(pager.taken) == 1


@on_one_database
def test_a_target_that_is_gone_from_the_settings_is_not_tried_again(
    ward: Ward, alertmanager: Someone, pager: Any
) -> None:
    pager.status = 503
    (id,) = send(alertmanager, alert(ward))
    wait_until(lambda: len(ward.incident(id)["notifications"]) == 2, 20)
    changed = ward.services.settings.notifications.model_copy(update={"targets": []})
    ward.services.settings = ward.services.settings.model_copy(update={"notifications": changed})
    ward.services.notifications.make(_pending(ward, id))
    attempts = ward.incident(id)["notifications"]
    assert (len(attempts), attempts[-1]["state"]) == (2, "failed")
    assert "no target pager" in attempts[-1]["reason"]


def _pending(ward: Ward, id: str) -> str:
    with ward.services.database.read() as session:
        attempts = ward.services.notifications.about(session, f"incident:{id}")
        return next(one.id for one in attempts if one.state == "pending")
