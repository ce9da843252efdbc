"""Answers are computed once, until anything is committed, by whomever."""

from functools import partial

from backend.core.container import Services
from backend.core.database import Database
from backend.core.remembered import Remembered
from backend.deployments.models import Traffic, TrafficState


def write(database: Database, version: int) -> None:
    with database.write() as session:
        session.add(
            Traffic(environment="lab", model="wine", version=version, replicas=1, weight=0, state=TrafficState.LIVE)
        )


def count(database: Database) -> int:
    with database.read() as session:
        return session.query(Traffic).count()


def test_an_answer_is_kept_until_somebody_commits(services: Services, database_url: str) -> None:
    database, other = services.database, Database(database_url)
    calls: list[int] = []
    remembered = Remembered(database)

    def counted() -> int:
        calls.append(count(database))
        return calls[-1]

    def ask() -> int:
        return remembered.get("how many", counted)

    assert [ask(), ask(), calls] == [0, 0, [0]]
    write(database, 1)
    assert [ask(), ask(), calls] == [1, 1, [0, 1]]
    write(other, 2)
    assert [ask(), calls] == [2, [0, 1, 2]]
    other.close()


def test_what_is_committed_while_an_answer_is_made_is_in_the_next_one(services: Services) -> None:
    remembered = Remembered(services.database)

    def slowly() -> int:
        found = count(services.database)
        write(services.database, 1)
        return found

    assert remembered.get("how many", slowly) == 0
    assert remembered.get("how many", lambda: count(services.database)) == 1


def test_answers_are_told_apart_and_the_least_used_goes(services: Services) -> None:
    remembered = Remembered(services.database, most=2)
    for key in ("a", "b", "a", "c"):
        remembered.get(key, partial(str, key))
    assert [remembered.get(key, lambda: "anew") for key in ("a", "c", "b")] == ["a", "c", "anew"]
