"""kill -9 of the backend anywhere in a run: the next one finds the process or its last word, and nothing is done twice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from backend.app import build_services
from backend.audit.verify import verify_database
from backend.batch import repository
from backend.batch.models import BatchRun
from backend.core.clock import SystemClock
from backend.core.config import Settings
from tests.backend.deployments.conftest import ADA
from tests.killing import Forker, alive
from tests.waiting import wait_until

from .conftest import MODEL, Shop, day

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]
OVER = ("succeeded", "unchanged", "failed", "cancelled")


@pytest.fixture(scope="module")
def backends() -> Iterator[Forker]:
    made = Forker("tests.backend.batch.batch_process")
    yield made
    made.close()


class Killed(Shop):
    """A shop whose backend comes and goes."""

    def __init__(self, settings: Settings, model: Callable[[str], Path], folder: Path, backends: Forker) -> None:
        super().__init__(build_services(settings, SystemClock()), model)
        self._backends = backends
        self._settings = folder / "settings.json"
        self._settings.write_text(settings.model_dump_json(by_alias=True))

    def backend(self, kill_at: str = "never") -> AbstractContextManager[int]:
        return self._backends.process(str(self._settings), kill_at)

    def ask(self, number: int) -> str:
        with self.services.database.write() as session:
            run = self.services.batch.request(
                session, ADA, environment="lab", model=MODEL, day=day(number), version=None, force=False, reason=None
            )
            return run.id

    def run(self, id: str) -> BatchRun:
        with self.services.database.read() as session:
            found = repository.find(session, id)
            assert found is not None
            return found

    def finish(self, id: str) -> BatchRun:
        with self.backend():
            wait_until(lambda: self.run(id).state in OVER, 200, lambda: str(vars(self.run(id))))
            jobs = self.services.batch_work.jobs
            wait_until(lambda: not any(jobs.folders.jobs.glob(f"{id}*")), 20)
        return self.run(id)

    def events_of(self, id: str) -> list[str]:
        return [event["type"].removeprefix("ml-platform.batch.") for event in self.events() if id in event["subject"]]


@pytest.fixture
def killed(settings: Settings, python_model: Any, tmp_path: Path, backends: Forker) -> Iterator[Killed]:
    made = Killed(settings, python_model, tmp_path, backends)
    made.add_version(1)
    made.make_live(1)
    made.write(1)
    yield made
    made.services.database.close()


def cases(*points: str, on_postgres: tuple[str, ...]) -> pytest.MarkDecorator:
    """All points on SQLite, some on PostgreSQL."""
    found = [pytest.param("sqlite", point, id=f"sqlite-{point}") for point in points]
    found += [
        pytest.param("postgres", point, id=f"postgres-{point}", marks=pytest.mark.postgres) for point in on_postgres
    ]
    return pytest.mark.parametrize(("database_url", "kill_at"), found, indirect=["database_url"])


@cases(
    "before:1",
    "commit:1",
    "start:1",
    "commit:2",
    "before:3",
    "commit:3",
    "forget:1",
    on_postgres=("commit:1", "start:1"),
)
def test_a_run_ends_well_and_once(killed: Killed, kill_at: str) -> None:
    id = killed.ask(1)
    with killed.backend(kill_at) as pid:
        wait_until(lambda: not alive(pid) or killed.run(id).state in OVER, 200)
    done = killed.finish(id)
    assert (done.state, done.attempts, done.rows) == ("succeeded", 1, 3), done.message
    assert killed.read(1) == [(row, 1.0, 1) for row in range(3)]
    assert killed.events_of(id) == ["run.requested", "run.started", "run.succeeded"]
    url = killed.services.database.url.render_as_string(hide_password=False)
    assert verify_database(url, killed.services.audit.key.public_key).valid


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_goes_on_while_no_backend_is_there(killed: Killed) -> None:
    """The process is not the backend's child in any way that matters: it ends well, and the next backend reads how."""
    id = killed.ask(1)
    with killed.backend("start:1") as pid:
        wait_until(lambda: not alive(pid), 100)
    jobs = killed.services.batch_work.jobs
    wait_until(lambda: jobs.state(f"{id}-1").last is not None, 150)
    assert killed.read(1)
    assert killed.run(id).state == "running"
    assert killed.finish(id).state == "succeeded"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_cancelled_while_no_backend_is_there_is_ended_by_the_next(killed: Killed) -> None:
    killed.add_version(2, "def predict(self, c, x, params=None):\n    time.sleep(300)\n    return x['x']")
    killed.make_live(2)
    id = killed.ask(1)
    jobs = killed.services.batch_work.jobs
    with killed.backend():
        wait_until(lambda: jobs.state(f"{id}-1").progress is not None, 150)
    with killed.services.database.write() as session:
        killed.services.batch.cancel(session, ADA, id, "not needed")
    assert jobs.state(f"{id}-1").runs
    with killed.backend():
        wait_until(lambda: not jobs.state(f"{id}-1").runs, 60)
    assert killed.run(id).state == "cancelled"
    assert killed.read(1) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backfill_survives_its_backends(killed: Killed) -> None:
    killed.write(2, 3, 4)
    with killed.services.database.read() as session:
        plan = killed.services.batch.backfills.plan(
            session, environment="lab", model=MODEL, version=None, first=day(1), last=day(4), scored_by=None
        )
    with killed.services.database.write() as session:
        id = killed.services.batch.backfills.request(session, ADA, plan, parallelism=2, reason="all of it").id

    def state() -> str:
        with killed.services.database.read() as session:
            return str(killed.services.batch.backfills.get(session, id).state)

    for kill_at in ("commit:2", "start:2", "commit:6"):
        with killed.backend(kill_at) as pid:
            wait_until(lambda pid=pid: not alive(pid) or state() != "running", 200)  # type: ignore[misc]
    with killed.backend():
        wait_until(lambda: state() != "running", 250)
    assert state() == "succeeded"
    assert all(len(killed.read(number)) == 3 for number in (1, 2, 3, 4))
    assert len(killed.events("run.requested")) == 0
    assert len(killed.events("run.succeeded")) == 4
