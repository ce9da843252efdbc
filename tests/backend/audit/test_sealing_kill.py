"""kill -9 of the backend anywhere while it seals: no event is lost or there twice, and the next one goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.audit.models import SealingState
from tests.conftest import SetClock
from tests.killing import Forker, alive
from tests.waiting import wait_until

from .sealed_log import NAMES, OLD, SEALED, SealedLog

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
# The first and second transactions seal a segment each, the fourth ends the sealing.
POINTS = ("put:1", "put:2", "before:1", "commit:1", "put:3", "before:2", "commit:2", "before:4")


@pytest.fixture(scope="module")
def backends() -> Iterator[Forker]:
    made = Forker("tests.backend.audit.sealing_process")
    yield made
    made.close()


def cases(*on_postgres: str) -> pytest.MarkDecorator:
    found = [pytest.param("sqlite", point, id=f"sqlite-{point}") for point in POINTS]
    found += [pytest.param("postgres", one, id=f"postgres-{one}", marks=pytest.mark.postgres) for one in on_postgres]
    return pytest.mark.parametrize(("database_url", "kill_at"), found, indirect=["database_url"])


@cases("before:2")
def test_sealing_goes_on(
    database_url: str, kill_at: str, tmp_path: Path, set_clock: SetClock, backends: Forker, empty_mlflow: Path
) -> None:
    log = SealedLog(tmp_path / "home", database_url, set_clock)
    log.write_old()
    settings = tmp_path / "settings.json"
    settings.write_text(log.services.settings.model_dump_json(by_alias=True))
    with log.services.database.write() as session:
        id = log.services.sealing.begin(session, "service:ml-platform", scheduled=False).id

    def over() -> bool:
        with log.services.database.read() as session:
            return log.services.sealing.get(session, id).state != SealingState.RUNNING

    with backends.process(str(settings), kill_at) as pid:
        wait_until(lambda: not alive(pid) or over(), 100)
    found = log.check()
    assert found.valid, found.faults
    assert found.sealed == log.horizon()
    with backends.process(str(settings), "never"):
        wait_until(over, 100)
    with log.services.database.read() as session:
        done = log.services.sealing.get(session, id)
    assert (done.state, done.segments, done.events) == (SealingState.DONE, 3, SEALED), done.reason
    found = log.check()
    assert found.valid, found.faults
    assert found.sealed == SEALED
    assert log.count(f"seq <= {SEALED}") == 0
    assert log.count(f"seq BETWEEN {SEALED + 1} AND {OLD + 10}") == OLD + 10 - SEALED
    assert len(log.events("ml-platform.audit.segment.sealed")) == 3
    assert len(log.events("ml-platform.audit.sealing.finished")) == 1
    assert {one.name for one in log.folder.iterdir()} == {
        f"{name}.{kind}" for name in NAMES for kind in ("jsonl.gz", "manifest")
    }
    log.services.database.close()
