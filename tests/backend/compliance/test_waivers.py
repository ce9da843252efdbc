"""A finding that somebody lets pass: for named checks, with a reason, until a time, and never by whoever asked."""

from datetime import timedelta
from typing import Any

import pytest

from backend.compliance.models import Waiver
from mlplatform.gates.result import Gate, Outcome
from tests.marks import on_one_database

from ..conftest import Someone
from ..deployments.conftest import Lab, lab, settings
from ..deployments.test_admission import ask, attest, requirements

__all__ = ["lab", "settings"]
pytestmark = pytest.mark.slow

WISH = {
    "model": "wine",
    "gate": "pii",
    "checks": ["pii.all"],
    "reason": "The column holds names of growers, who are companies.",
    "duration": "14d",
}


@pytest.fixture
def operator(lab: Lab) -> Someone:
    return lab.backend.someone("operator")


def failing(lab: Lab) -> None:
    attest(lab, lab.ada, *(gate for gate in Gate if gate is not Gate.PII))
    attest(lab, lab.ada, Gate.PII, outcome=Outcome.FAILED)
    assert requirements(ask(lab.ada, "staging").json())["gate:pii"] == "failed"


def wished(lab: Lab, **changes: Any) -> dict[str, Any]:
    answer = lab.ada.post("/compliance/waivers", {**WISH, **changes})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def decide(someone: Someone, id: str, decision: str = "approve") -> Any:
    return someone.post(f"/compliance/waivers/{id}/decision", {"decision": decision, "comment": "seen"})


def test_a_waived_finding_lets_the_version_in_and_says_so(lab: Lab, operator: Someone) -> None:
    failing(lab)
    waiver = wished(lab)
    assert waiver["state"] == "waiting"
    assert requirements(ask(lab.ada, "staging").json())["gate:pii"] == "failed"
    answer = decide(operator, waiver["id"])
    assert (answer.status_code, answer.json()["state"]) == (200, "active")

    admitted = ask(lab.ada, "staging")
    assert admitted.status_code == 201, admitted.text
    (said,) = (one for one in admitted.json()["requirements"] if one["requirement"] == "gate:pii")
    assert said["state"] == "met"
    assert "waived by user:default/operator until" in said["message"]
    assert WISH["reason"] in said["message"]
    types = [one["type"].rpartition(".")[2] for one in lab.ada.events(type="ml-platform.compliance.waiver.")]
    assert types == ["requested", "approved"]


@on_one_database
@pytest.mark.parametrize(
    "changes",
    [{"checks": ["pii.other"]}, {"gate": "schema"}, {"environments": ["production"]}],
    ids=["another check", "another gate", "another environment"],
)
def test_it_covers_what_it_names_and_nothing_else(lab: Lab, operator: Someone, changes: dict[str, Any]) -> None:
    failing(lab)
    assert decide(operator, wished(lab, **changes)["id"]).status_code == 200
    assert requirements(ask(lab.ada, "staging").json())["gate:pii"] == "failed"


@on_one_database
def test_it_ends_by_itself_and_by_a_word(lab: Lab, operator: Someone) -> None:
    failing(lab)
    one, other = wished(lab), wished(lab)
    for waiver in (one, other):
        assert decide(operator, waiver["id"]).status_code == 200
    with lab.services.database.write() as session:
        row = session.get(Waiver, one["id"])
        assert row is not None
        row.expires_at = lab.services.clock.now() - timedelta(seconds=1)
    assert lab.ada.get(f"/compliance/waivers/{one['id']}").json()["state"] == "expired"
    why = {"reason": "The column is gone by now."}
    assert lab.ada.post(f"/compliance/waivers/{other['id']}/revocation", why).json()["state"] == "revoked"
    assert lab.ada.post(f"/compliance/waivers/{other['id']}/revocation", why).status_code == 409
    assert requirements(ask(lab.ada, "staging").json())["gate:pii"] == "failed"


@on_one_database
def test_who_asked_does_not_decide_and_nobody_else_who_may_not(lab: Lab, operator: Someone) -> None:
    waiver = wished(lab)
    for someone, reason in (
        (lab.ada, "asked for this waiver"),
        (lab.backend.someone("edsger"), "may not decide"),
    ):
        refused = decide(someone, waiver["id"])
        assert refused.status_code == 403
        assert reason in refused.json()["detail"]
    own = operator.post("/compliance/waivers", WISH).json()
    refused = decide(operator, own["id"])
    assert refused.status_code == 403
    assert "asked for this waiver" in refused.json()["detail"]
    shown = {
        one["action"]: one["allowed"] for one in operator.get(f"/compliance/waivers/{own['id']}").json()["actions"]
    }
    assert shown == {"decide": False, "revoke": True}
    assert len(lab.ada.events(type="ml-platform.compliance.waiver.refused")) == 3


@on_one_database
@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"duration": "400d"}, 422, "longer than 90 days"),
        ({"environments": ["moon"]}, 422, "environments[0]: there is no 'moon'"),
        ({"reason": "because"}, 422, "reason"),
        ({"checks": []}, 422, "checks"),
        ({"model": "beer"}, 404, "there is no model 'beer'"),
        ({"gate": "luck"}, 422, "gate"),
        ({"duration": "-1d"}, 422, "duration"),
    ],
)
def test_wrong_wishes(lab: Lab, changes: dict[str, Any], status: int, words: str) -> None:
    answer = lab.ada.post("/compliance/waivers", {**WISH, **changes})
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert lab.ada.get("/compliance/waivers").json()["items"] == []


@on_one_database
def test_somebody_elses_model(lab: Lab) -> None:
    answer = lab.backend.someone("edsger").post("/compliance/waivers", WISH)
    assert answer.status_code == 403
    assert "Members of group:default/risk" in answer.json()["fix"]
