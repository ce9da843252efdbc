"""The survey: one answer a person and quarter, nothing shown of a few, and nobody in the tables."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.support.models import SurveyAnswer
from backend.support.survey import Quarter
from tests.marks import on_one_database

from .conftest import Desk

pytestmark = pytest.mark.slow


def ratings(each: int) -> dict[str, int]:
    return dict.fromkeys(("satisfaction", "shipping", "help"), each)


def answer(desk: Desk, name: str, each: int, comment: str = "") -> dict[str, Any]:
    answered = desk.backend.someone(name).post("/support/survey", {"ratings": ratings(each), "comment": comment})
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


def test_of_a_few_nothing_is_shown_and_each_person_counts_once(desk: Desk) -> None:
    survey = desk.ada.get("/support/survey").json()
    assert (survey["quarter"], survey["answer"], survey["action"]["allowed"]) == ("2026-Q1", None, True)
    assert survey["endsAt"].startswith("2026-04-01T00:00:00")
    assert [one["name"] for one in survey["questions"]] == ["satisfaction", "shipping", "help"]
    answer(desk, "ada", 1, "secret wish")
    changed = answer(desk, "ada", 5, "write to ada@example.com")
    assert changed["answer"] == {"ratings": ratings(5), "comment": "write to [REDACTED:EMAIL]"}
    answer(desk, "grace", 4)
    for who in (desk.ada, desk.operator):
        results = who.get("/support/survey").json()["results"]
        assert results == {
            "quarter": "2026-Q1", "answers": 2, "enough": False, "mean": None, "means": {}, "comments": None,
        }  # fmt: skip
    figure = desk.figure("satisfaction")
    assert (figure["figure"]["value"], figure["figure"]["count"], figure["evidence"]) == (None, 0, [])

    found = answer(desk, "edsger", 2)["results"]
    assert (found["answers"], found["mean"], found["means"]["help"], found["comments"]) == (3, 3.7, 3.7, None)
    assert desk.operator.get("/support/survey").json()["results"]["comments"] == ["write to [REDACTED:EMAIL]"]
    figure = desk.figure("satisfaction", months=2)
    assert (figure["figure"]["value"], figure["figure"]["count"], figure["figure"]["target"]) == (3.7, 3, 4)
    assert [(one["subject"], one["value"], one["note"]) for one in figure["evidence"]] == [
        ("survey:2026-Q1", 3.7, "3 answers")
    ]
    assert [one["value"] for one in figure["trend"]] == [None, 3.7]


def test_the_tables_and_the_log_do_not_tell_who_said_what(desk: Desk) -> None:
    for name, each in (("ada", 1), ("grace", 2), ("edsger", 3)):
        answer(desk, name, each)
    desk.clock.move(days=40)
    answer(desk, "ada", 1)
    with desk.services.database.read() as session:
        rows = session.query(SurveyAnswer).all()
    assert len({row.person for row in rows}) == 4, "a person has another hash in each quarter"
    assert not any("ada" in row.person for row in rows)
    assert {one.name for one in SurveyAnswer.__table__.columns} == {"quarter", "person", "ratings", "comment"}
    events = desk.operator.events(type="ml-platform.support.survey.")
    assert [one["actor"] for one in events][:2] == ["user:default/ada", "user:default/grace"]
    assert all(one["data"] == {"quarter": one["subject"].removeprefix("survey:")} for one in events)


@on_one_database
def test_a_quarter_opens_and_ends_by_itself(desk: Desk) -> None:
    for name in ("ada", "grace", "edsger"):
        answer(desk, name, 5)
    desk.clock.moment = datetime(2026, 4, 1, tzinfo=UTC)
    survey = desk.ada.get("/support/survey").json()
    assert (survey["quarter"], survey["answer"], survey["results"]["answers"]) == ("2026-Q2", None, 0)
    assert desk.ada.get("/support/survey/2026-Q1").json()["mean"] == 5
    assert desk.figure("satisfaction")["figure"]["value"] == 5, "as long as no newer quarter has enough answers"
    for name in ("ada", "grace", "edsger"):
        answer(desk, name, 2)
    figure = desk.figure("satisfaction", months=2)
    assert (figure["figure"]["value"], figure["figure"]["count"]) == (2, 3)
    assert [one["value"] for one in figure["trend"]] == [5, 2]


@on_one_database
def test_only_people_answer_and_only_what_is_asked(desk: Desk) -> None:
    robot = desk.backend.repository("local/wine")
    refused = robot.post("/support/survey", {"ratings": ratings(5)})
    assert (refused.status_code, robot.get("/support/survey").json()["action"]["allowed"]) == (403, False)
    for wrong in (
        {},
        {"satisfaction": 5},
        {**ratings(5), "weather": 5},
        ratings(0),
        ratings(6),
        {"satisfaction": "good"},
    ):
        assert desk.ada.post("/support/survey", {"ratings": wrong}).status_code == 422, wrong
    assert desk.ada.get("/support/survey/2026-Q5").status_code == 422
    assert desk.ada.get("/support/survey").json()["results"]["answers"] == 0


def test_quarters() -> None:
    assert [str(Quarter.of(datetime(2026, month, 1, tzinfo=UTC))) for month in (1, 3, 4, 12)] == [
        "2026-Q1", "2026-Q1", "2026-Q2", "2026-Q4",
    ]  # fmt: skip
    assert Quarter(2026, 4).end == datetime(2027, 1, 1, tzinfo=UTC)
    assert Quarter.parse("2026-Q3").end == datetime(2026, 10, 1, tzinfo=UTC)
