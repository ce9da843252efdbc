"""Controls: what their checks come to over everything that is live, and for one model."""

from datetime import timedelta
from typing import Any

import pytest

from backend.compliance.models import CheckRow
from mlplatform.gates.result import Gate, Outcome
from tests.marks import on_one_database
from tests.waiting import wait_until

from ..conftest import Someone
from ..deployments.conftest import Lab, lab, settings
from ..deployments.test_admission import ask, attest

__all__ = ["lab", "settings"]
pytestmark = pytest.mark.slow


@pytest.fixture
def operator(lab: Lab) -> Someone:
    return lab.backend.someone("operator")


def controls(lab: Lab, path: str = "/compliance/frameworks/soc2/controls") -> dict[str, dict[str, Any]]:
    answer = lab.ada.get(path)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {one["id"]: one for one in (found if isinstance(found, list) else found["controls"])}


def checks(lab: Lab, path: str = "/compliance/frameworks/soc2/controls") -> dict[str, dict[str, Any]]:
    return {one["id"]: one for control in controls(lab, path).values() for one in control["checks"]}


def evaluate(lab: Lab, operator: Someone) -> None:
    asked: list[Any] = []

    def accepted() -> bool:
        asked[:] = [operator.post("/compliance/evaluations")]
        return bool(asked[0].status_code != 409)  # the platform's own may be under way

    wait_until(accepted, 20, lambda: asked[0].text)
    assert asked[0].status_code == 202, asked[0].text
    id = asked[0].json()["id"]
    wait_until(
        lambda: lab.ada.get(f"/compliance/evaluations/{id}").json()["finishedAt"] is not None,
        20,
        lambda: "not evaluated",
    )
    found = lab.ada.get(f"/compliance/evaluations/{id}").json()
    assert (found["reason"], found["evaluated"]) == (None, len(lab.services.controls.frequencies))


def test_what_is_live_shows_in_the_controls_and_each_change_is_an_event(lab: Lab, operator: Someone) -> None:
    evaluate(lab, operator)
    before = checks(lab)
    assert before["versions.attested"]["state"] == "not_evaluated"
    assert before["audit.verifies"]["state"] == "passing"
    assert controls(lab)["CC9.2"]["state"] == "outside"

    attest(lab, lab.ada, *Gate)
    admitted = ask(lab.ada, "staging").json()
    lab.until(admitted["id"], "completed")
    evaluate(lab, operator)
    after = checks(lab)
    for name in ("versions.attested", "thresholds.met", "schema.enforced", "pii.none-undeclared", "data.agrees"):
        assert (after[name]["state"], after[name]["examined"]) == ("passing", 1), after[name]
    # Nobody has looked at the columns of the data yet.
    assert "never classified" in after["data.classified"]["summary"]
    assert controls(lab)["C1.1"]["state"] == "failing"
    assert controls(lab)["CC8.1"]["checks"][0]["summary"].startswith("nothing went where approval is demanded")

    attest(lab, lab.ada, Gate.THRESHOLDS, outcome=Outcome.FAILED)
    evaluate(lab, operator)
    (deviation,) = checks(lab)["thresholds.met"]["exceptions"]
    assert deviation["subject"] == "model:wine/versions/2"
    assert "gate:thresholds is failed" in deviation["message"]
    assert deviation["evidence"]
    overview = lab.ada.get("/overview/models/wine").json()
    # The data was never classified, and the threshold is not met, which two checks say.
    assert overview["compliance"] == {"met": False, "failing": 3}
    assert [one["name"] for one in lab.ada.get("/overview/models", compliant=False).json()["items"]] == ["wine"]
    assert lab.ada.get("/overview/models", compliant=True).json()["items"] == []
    events = [
        one for one in lab.ada.events(type="ml-platform.compliance.check.") if one["subject"] == "check:thresholds.met"
    ]
    assert [one["type"].rpartition(".")[2] for one in events] == ["not_evaluated", "passing", "failing"]
    assert "soc2/PI1.3" in events[-1]["data"]["controls"]
    metrics = lab.backend.http.get("/metrics").text
    assert 'ml_platform_control_passing{control="PI1.3",framework="soc2"} 0.0' in metrics
    assert 'ml_platform_control_passing{control="CC2.1",framework="soc2"} 1.0' in metrics


@on_one_database
def test_one_model_is_examined_when_asked(lab: Lab) -> None:
    path = "/compliance/models/wine"
    attest(lab, lab.ada, *Gate)
    lab.until(ask(lab.ada, "staging").json()["id"], "completed")
    found = controls(lab, path)
    assert found["PI1.3"]["state"] == "passing"
    assert found["PI1.3"]["checks"][0]["evaluatedAt"]
    assert "CC2.1" not in found  # the audit log is no model's
    summary = lab.ada.get(path).json()
    assert summary["met"] == sum(one["state"] == "passing" for one in found.values())
    assert lab.ada.get("/compliance/models/beer").status_code == 404
    assert lab.ada.get(path, framework="iso").status_code == 404


@on_one_database
def test_what_broken_glass_let_in_fails_where_approval_is_demanded(lab: Lab, operator: Someone) -> None:
    answer = ask(operator, "production", breakGlass={"reason": "The model that is live there answers nonsense."})
    assert answer.status_code == 201, answer.text
    lab.until(answer.json()["id"], "completed")
    found = checks(lab, "/compliance/models/wine")
    assert "by broken glass, without approval" in found["deployments.approved"]["summary"]
    assert found["versions.attested"]["state"] == "failing"
    # There is a week to make up for it.
    assert found["break-glass.explained"]["state"] == "passing"


@on_one_database
def test_only_administrators_have_the_checks_run(lab: Lab) -> None:
    assert lab.ada.post("/compliance/evaluations").status_code == 403
    assert lab.ada.get("/compliance/frameworks/iso/controls").status_code == 404


@on_one_database
def test_a_clock_that_went_backwards_makes_checks_due(lab: Lab, operator: Someone) -> None:
    evaluate(lab, operator)
    with lab.services.database.write() as session:
        row = session.get(CheckRow, "versions.attested")
        assert row is not None
        row.evaluated_at = row.evaluated_at.replace(year=row.evaluated_at.year + 1)
    with lab.services.database.read() as session:
        assert lab.services.controls.due(session) == ["versions.attested"]


@on_one_database
def test_what_had_nothing_to_look_at_looks_again_soon(lab: Lab, operator: Someone) -> None:
    evaluate(lab, operator)
    with lab.services.database.write() as session:
        for id in ("versions.attested", "audit.verifies"):
            row = session.get(CheckRow, id)
            assert row is not None
            row.evaluated_at -= timedelta(minutes=2)
    with lab.services.database.read() as session:
        assert lab.services.controls.due(session) == ["versions.attested"]
