"""Campaigns for one repository: its owners bring it along themselves."""

from typing import Any

from tests.backend.conftest import Backend
from tests.marks import on_one_database

from .conftest import SECOND, TEMPLATE, Fleet

PLACE = {"host": "local", "org": "models", "name": "a"}


def wish(**place: str) -> dict[str, Any]:
    return {"template": TEMPLATE, "version": "v2.0.0", "repository": {**PLACE, **place}}


def test_its_owners_may_and_others_may_not(fleet: Fleet) -> None:
    edsger = Backend(fleet.http, fleet.services).someone("edsger")
    for name in ("a", "b"):
        fleet.add(name)
        fleet.services.fleet.see(("local", "models", name))
    fleet.release(SECOND, "v2.0.0")

    for path in ("", "/plan"):
        refused = edsger.post(f"/fleet/campaigns{path}", wish())
        assert refused.status_code == 403
        assert refused.json()["detail"] == "user:default/edsger may not start an update of models/a"
        assert refused.json()["fix"] == "Members of group:default/risk or group:default/platform may."
    assert {(one["actor"], one["subject"]) for one in fleet.events("campaign.refused")} == {
        ("user:default/edsger", "repository:models/a")
    }
    assert fleet.ada.post("/fleet/campaigns", wish(name="nothing")).status_code == 404
    assert fleet.ada.post("/fleet/campaigns", wish(name="../a")).status_code == 422

    planned = fleet.ada.post("/fleet/campaigns/plan", wish()).json()
    assert [one["name"] for one in planned] == ["a"]
    mine = fleet.ada.post("/fleet/campaigns", wish())
    assert (mine.status_code, mine.json()["repository"]) == (201, "local/models/a")
    assert fleet.ada.post("/fleet/campaigns", wish()).status_code == 409
    id = mine.json()["id"]
    members = fleet.proposed(id)
    assert {name: one["state"] for name, one in members.items()} == {"a": "open"}

    everything = fleet.start("v2.0.0")
    assert everything["repository"] == ""
    assert fleet.campaign(id)["state"] == "running"
    assert set(fleet.proposed(everything["id"])) == {"a", "b"}
    assert len(fleet.pulls("a")) == 1

    decision = {"decision": "abort", "reason": "not this week"}
    for one in (id, everything["id"]):
        assert edsger.post(f"/fleet/campaigns/{one}/decision", decision).status_code == 403
    assert fleet.ada.post(f"/fleet/campaigns/{everything['id']}/decision", decision).status_code == 403
    assert fleet.ada.post(f"/fleet/campaigns/{id}/decision", decision).status_code == 200
    assert fleet.over(id)["state"] == "aborted"
    assert fleet.campaign(everything["id"])["state"] == "running"


@on_one_database
def test_administrators_may_for_everybody(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.services.fleet.see(("local", "models", "a"))
    fleet.release(SECOND, "v2.0.0")
    started = fleet.start("v2.0.0", repository=PLACE)
    assert fleet.decide(started["id"], "abort", reason="for a test").status_code == 200


def test_one_repository_is_shown_as_it_was_seen(fleet: Fleet) -> None:
    fleet.add("a")
    missing = fleet.ada.get("/fleet/repositories/local/models/a")
    assert missing.status_code == 404
    assert "platform fleet status" in missing.json()["fix"]
    fleet.release(SECOND, "v2.0.0")
    fleet.services.fleet.see(("local", "models", "a"))
    fleet.services.fleet.see(("local", "models", "nothing"))
    shown = fleet.ada.get("/fleet/repositories/local/models/a").json()
    assert (shown["name"], shown["version"], shown["newest"], shown["behind"]) == ("a", "v1.0.0", "v2.0.0", 1)
    assert fleet.ada.get("/fleet/repositories").json()["items"] == [shown]
    assert fleet.ada.get("/fleet/repositories/local/models/nothing").status_code == 404
    assert fleet.ada.get("/fleet/repositories/local/a").status_code == 422
    assert fleet.http.get("/api/ml-platform/fleet/repositories/local/models/a").status_code == 401
