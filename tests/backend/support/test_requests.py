"""Requests to the platform team: asked, answered in time or not, resolved; who may, who is told, and what the figure says."""

from typing import Any

import pytest

from backend.notifications.models import Notification
from tests.marks import on_one_database

from .conftest import Desk

pytestmark = pytest.mark.slow


def told(desk: Desk) -> list[tuple[str, str, str]]:
    with desk.services.database.read() as session:
        return [(one.event, one.severity, one.title) for one in session.query(Notification).order_by(Notification.id)]


def overdue(desk: Desk) -> int:
    with desk.services.database.write() as session:
        return desk.services.support.note_overdue(session)


def test_a_request_from_its_question_to_its_end(desk: Desk) -> None:
    asked = desk.ask(priority="P1", entityRef="group:default/risk")
    id = asked["id"]
    assert (asked["state"], asked["entityRef"], asked["overdue"]) == ("open", "group:default/risk", False)
    assert asked["dueAt"].startswith("2026-03-01T16:00:00")
    assert {one["action"]: one["allowed"] for one in asked["actions"]} == {
        "answer": False,
        "note": True,
        "resolve": True,
    }
    assert told(desk) == [("asked", "ticket", "[ticket] P1 from user:default/ada: staging refuses my model")]

    assert desk.say(desk.ada, id, "answers").status_code == 403
    assert desk.say(desk.grace, id, "notes").status_code == 403
    desk.clock.move(hours=3)
    answered = desk.say(desk.operator, id, "answers", "the quota was full").json()
    assert (answered["state"], answered["answeredBy"]) == ("answered", "user:default/operator")
    desk.clock.move(hours=3)
    again = desk.say(desk.operator, id, "answers", "it is twice as large now").json()
    assert again["answeredAt"] == answered["answeredAt"], "the first answer is what counts"
    assert desk.say(desk.ada, id, "notes", "it works, thank you").status_code == 200
    done = desk.say(desk.ada, id, "resolution", "settled").json()
    assert (done["state"], done["resolvedBy"]) == ("resolved", "user:default/ada")
    assert [(one["kind"], one["by"].rpartition("/")[2]) for one in done["entries"]] == [
        ("answer", "operator"), ("answer", "operator"), ("note", "ada"), ("resolution", "ada"),
    ]  # fmt: skip
    for kind in ("answers", "resolution"):
        assert desk.say(desk.operator, id, kind).status_code == 409
    assert desk.say(desk.operator, id, "notes").status_code == 200

    events = desk.operator.events(type="ml-platform.support.request.")
    assert [one["type"].rpartition(".")[2] for one in events] == [
        "asked", "refused", "refused", "answered", "answered", "noted", "resolved", "noted",
    ]  # fmt: skip
    assert [one["data"].get("inTime") for one in events if one["type"].endswith("answered")] == [True, True]
    found = desk.figure("support-p1-answered")
    assert (found["figure"]["value"], found["figure"]["count"], found["figure"]["target"]) == (100, 1, 100)
    assert found["evidence"][0]["subject"] == f"support:{id}"


@on_one_database
def test_personal_data_and_secrets_are_not_kept(desk: Desk) -> None:
    asked = desk.ask(title="ada@example.com can't sign in", text="with password=hunter2")
    assert asked["title"] == "[REDACTED:EMAIL] can't sign in"
    assert "hunter2" not in asked["text"]
    said = desk.say(desk.operator, asked["id"], "answers", "write to grace@example.com").json()
    assert said["entries"][0]["text"] == "write to [REDACTED:EMAIL]"
    everything = str(desk.operator.events())
    assert "hunter2" not in everything
    assert "@example.com" not in everything
    assert "sign in" not in everything, "the log forgets nothing, so it holds nothing that people wrote"


@on_one_database
def test_what_is_not_answered_in_time_is_told_once_and_counts(desk: Desk) -> None:
    first, second = desk.ask(priority="P0"), desk.ask(priority="P2")
    taken_back = desk.ask(priority="P0")
    assert desk.say(desk.ada, taken_back["id"], "resolution", "never mind").status_code == 200
    assert told(desk)[0][1] == "page", "production is down"
    assert desk.figure("support-p0-answered")["figure"]["value"] is None, "there is still time"
    desk.clock.move(minutes=61)
    assert overdue(desk) == 1
    assert overdue(desk) == 0
    assert told(desk)[-1] == ("overdue", "page", "[page] P0 is not answered in time: staging refuses my model")
    late = desk.ada.get("/support/requests", overdue=True).json()["items"]
    assert [(one["id"], one["overdue"]) for one in late] == [(first["id"], True)]
    assert desk.figure("support-p0-answered")["figure"]["value"] == 0
    assert desk.say(desk.operator, first["id"], "resolution", "it is up").status_code == 200
    fifth = desk.ask(priority="P0")
    assert desk.say(desk.operator, fifth["id"], "answers").status_code == 200
    found = desk.figure("support-p0-answered")
    assert (found["figure"]["value"], found["figure"]["count"]) == (50, 2)
    desk.clock.move(days=1)
    assert overdue(desk) == 1
    assert told(desk)[-1][:2] == ("overdue", "ticket")
    (event,) = [
        one for one in desk.operator.events(type="ml-platform.support.request.overdue") if second["id"] in str(one)
    ]
    assert event["actor"] == "service:ml-platform"


@on_one_database
def test_nobody_answers_what_they_asked_themselves(desk: Desk) -> None:
    own = desk.ask(desk.operator)
    answer = desk.say(desk.operator, own["id"], "answers")
    assert (answer.status_code, answer.json()["fix"]) == (
        403,
        "Somebody else answers what you asked; a note is for you.",
    )
    done = desk.say(desk.operator, own["id"], "resolution").json()
    assert (done["state"], done["answeredAt"]) == ("resolved", None)


@on_one_database
def test_lists_and_what_is_wrong(desk: Desk) -> None:
    for number in range(5):
        desk.ask(desk.grace if number % 2 else desk.ada, priority=f"P{number % 4}")
    mine = desk.ada.get("/support/requests", mine=True, limit=2).json()
    assert len(mine["items"]) == 2
    rest = desk.ada.get("/support/requests", mine=True, limit=2, cursor=mine["nextCursor"]).json()
    assert [one["askedBy"] for one in [*mine["items"], *rest["items"]]] == ["user:default/ada"] * 3
    assert len(desk.grace.get("/support/requests", priority="P0").json()["items"]) == 2
    good = {"title": "long enough", "text": "y"}
    wrong: tuple[dict[str, Any], ...] = (
        {}, {**good, "title": "x"}, {**good, "text": ""}, {**good, "priority": "P9"}, {**good, "whose": "z"},
        {**good, "text": "\u0000"},
    )  # fmt: skip
    for body in wrong:
        assert desk.ada.post("/support/requests", body).status_code == 422, body
    unknown = {"title": "long enough", "text": "y", "entityRef": "component:default/nothing"}
    assert desk.ada.post("/support/requests", unknown).status_code == 404
    assert desk.ada.get(f"/support/requests/{'0' * 36}").status_code == 404
    assert desk.say(desk.operator, "0" * 36, "answers").status_code == 404


@on_one_database
def test_the_same_request_twice_asks_once(desk: Desk) -> None:
    body = {"title": "long enough", "text": "y"}
    answers = [desk.ada.post("/support/requests", body, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(desk.ada.get("/support/requests").json()["items"]) == 1
