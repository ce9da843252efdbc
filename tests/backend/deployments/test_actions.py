"""What people are told that they may do is what they may do."""

from typing import Any

from mlplatform.gates.result import Gate
from tests.marks import on_one_database

from ..conftest import Someone
from .conftest import PLACE, Lab, add_version
from .test_admission import ask, attest


def actions(someone: Someone, place: str = PLACE) -> dict[str, dict[str, Any]]:
    answer = someone.get(f"{place}/actions")
    assert answer.status_code == 200, answer.text
    return {one["action"]: one for one in answer.json()["items"]}


def allowed(someone: Someone, place: str = PLACE) -> set[str]:
    return {name for name, one in actions(someone, place).items() if one["allowed"]}


def do(someone: Someone, action: str, deployment: str, version: int) -> Any:
    """Do what an action is about."""
    if action == "deploy":
        return someone.post("/deployments", {"model": "wine", "version": version, "environment": "lab"})
    if action == "rollback":
        return someone.post(f"{PLACE}/rollback", {"reason": "odd scores"})
    if action == "approve":
        return someone.post(f"/deployments/{deployment}/approval", {"decision": "approve"})
    return someone.post(f"/deployments/{deployment}/{action}", {"reason": "for a test"})


def assert_refused_as_told(someone: Someone, deployment: str, version: int) -> None:
    """Whatever is not allowed is refused with the very sentence."""
    for name, one in actions(someone).items():
        if not one["allowed"]:
            problem = do(someone, name, deployment, version)
            assert problem.status_code in (403, 409), (name, problem.text)
            assert (problem.json()["detail"], problem.json().get("fix")) == (one["reason"], one["fix"]), name


def test_what_may_be_done_follows_the_rollout(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"interval": "60s"})
    grace, edsger = lab.backend.someone("grace"), lab.backend.someone("edsger")
    assert allowed(lab.ada) == {"deploy"}
    told = actions(lab.ada)
    assert told["abort"]["reason"] == "no deployment of wine in lab is under way"
    assert told["rollback"]["reason"] == "there is no former version of wine in lab to go back to"
    assert told["deploy"] == {"action": "deploy", "allowed": True, "reason": None, "fix": None}

    lab.deploy(1)
    assert allowed(lab.ada) == {"deploy"}
    started = lab.deploy(3, wait=False)
    lab.until(started["id"], "progressing")
    assert allowed(lab.ada) == {"abort", "rollback"}  # she asked for it, so she can't promote it herself
    assert allowed(grace) == {"promote", "abort", "rollback"}
    assert allowed(edsger) == set()
    for someone in (lab.ada, grace, edsger):
        assert_refused_as_told(someone, started["id"], 2)
    assert do(grace, "promote", started["id"], 3).status_code == 200

    lab.until(started["id"], "completed")
    assert allowed(lab.ada) == {"deploy", "rollback"}
    assert allowed(edsger) == set()
    assert do(lab.ada, "rollback", started["id"], 3).status_code == 200
    lab.until(lab.ada.get("/deployments", limit=1).json()["items"][0]["id"], "completed")
    assert allowed(lab.ada) == {"deploy"}


@on_one_database
def test_approving_is_for_somebody_else_and_only_while_it_is_awaited(lab: Lab) -> None:
    place = "/environments/production/models/wine"
    grace = lab.backend.someone("grace")
    assert actions(grace, place)["approve"]["reason"] == "no deployment of wine in production is under way"
    asked = lab.backend.someone("operator").post(
        "/deployments",
        {"model": "wine", "version": 1, "environment": "production", "breakGlass": {"reason": "the shop is down"}},
    )
    lab.until(asked.json()["id"], "completed")
    waiting = waiting_deployment(lab)
    assert allowed(grace, place) == {"approve", "abort"}
    assert allowed(lab.ada, place) == {"abort"}
    assert "somebody else has to decide" in actions(lab.ada, place)["approve"]["reason"]
    assert grace.post(f"/deployments/{waiting}/approval", {"decision": "reject"}).status_code == 200
    assert allowed(grace, place) == {"deploy"}


def waiting_deployment(lab: Lab) -> str:
    attest(lab, lab.ada, *Gate)
    answer = ask(lab.ada, "production")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@on_one_database
def test_asking_leaves_no_trace_and_needs_something_that_there_is(lab: Lab) -> None:
    edsger = lab.backend.someone("edsger")
    # What the platform does meanwhile is on record, too.
    before = edsger.events(actor=edsger.ref)
    actions(edsger)
    assert edsger.events(actor=edsger.ref) == before
    assert edsger.get("/environments/moon/models/wine/actions").status_code == 404
    assert edsger.get("/environments/lab/models/beer/actions").status_code == 404
    assert lab.backend.http.get(f"/api/ml-platform{PLACE}/actions").status_code == 401
