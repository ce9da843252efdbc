"""kill -9 of the backend anywhere in a rollout: the next process goes on, nothing is lost, done twice, or half-done."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.app import build_services
from backend.audit.verify import verify_database
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from backend.deployments import repository
from backend.deployments.models import Deployment
from backend.experiments.models import Experiment
from backend.experiments.schemas import ExperimentIn
from tests.killing import Forker, alive, kill
from tests.marks import on_one_database
from tests.waiting import wait_until

from .conftest import ADA, add_version
from .scripted import ScriptedTarget

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def engines() -> Iterator[Forker]:
    made = Forker("tests.backend.deployments.engine_process")
    yield made
    made.close()


class Platform:
    """A database, a target, and engines that come and go."""

    def __init__(self, settings: Settings, folder: Path, engines: Forker) -> None:
        self._engines = engines
        self.services: Services = build_services(settings, SystemClock())
        self.target = ScriptedTarget(folder / "target")
        self._settings = folder / "settings.json"
        self._settings.write_text(settings.model_dump_json(by_alias=True))

    def engine(self, kill_at: str = "never") -> AbstractContextManager[int]:
        """Run an engine; gives its process id."""
        return self._engines.process(str(self._settings), str(self.target.folder), kill_at)

    def deploy(self, version: int) -> str:
        with self.services.database.write() as session:
            return self.services.deployments.request(session, ADA, model="wine", version=version, environment="lab").id

    def deployment(self, id: str) -> Deployment:
        with self.services.database.read() as session:
            return repository.get(session, id)

    def finish(self, id: str) -> Deployment:
        with self.engine():
            wait_until(lambda: self.deployment(id).phase == "completed", 60, lambda: str(vars(self.deployment(id))))
            versions = {row.version for row in self.traffic()}
            wait_until(lambda: set(self.target.running) == versions, 10)
        return self.deployment(id)

    def traffic(self) -> list[Any]:
        with self.services.database.read() as session:
            return repository.traffic(session, "lab", "wine")

    def audit_is_intact(self) -> bool:
        url = self.services.database.url.render_as_string(hide_password=False)
        return verify_database(url, self.services.audit.key.public_key).valid

    def events(self, id: str) -> list[str]:
        from backend.audit.models import AuditRow

        with self.services.database.read() as session:
            rows = session.execute(
                select(AuditRow).where(AuditRow.subject.endswith(f"/deployments/{id}")).order_by(AuditRow.seq)
            )
            return [json.loads(row.event)["type"].split("deployments.")[1] for row in rows.scalars()]


@pytest.fixture
def platform(settings: Settings, tmp_path: Path, engines: Forker) -> Iterator[Platform]:
    made = Platform(settings, tmp_path, engines)
    add_version(made.services, 1)
    add_version(made.services, 2, rollout={"steps": [10, 100]})
    first = made.deploy(1)
    with made.engine():
        wait_until(lambda: made.deployment(first).phase == "completed", 60)
    yield made
    made.services.database.close()


def killed(pid: int, over: Callable[[], bool]) -> None:
    """Wait until the engine has killed itself, or has finished before it came to that."""
    wait_until(lambda: not alive(pid) or over(), 60)


def everywhere(*points: str, on_postgres: tuple[str, ...]) -> pytest.MarkDecorator:
    """All points on SQLite, some on PostgreSQL: what differs there is the locking, not the rollout."""
    cases = [pytest.param("sqlite", point, id=f"sqlite-{point}") for point in points]
    cases += [
        pytest.param("postgres", point, id=f"postgres-{point}", marks=pytest.mark.postgres) for point in on_postgres
    ]
    return pytest.mark.parametrize(("database_url", "kill_at"), cases, indirect=["database_url"])


@everywhere(
    *(f"commit:{n}" for n in range(1, 13)),
    *(f"before:{n}" for n in (2, 5, 9)),
    *(f"apply:{n}" for n in (1, 2, 3, 4)),
    on_postgres=("commit:2", "commit:7", "before:9"),
)
def test_a_good_version_is_promoted_all_the_same(platform: Platform, kill_at: str) -> None:
    id = platform.deploy(2)
    with platform.engine(kill_at) as engine:
        killed(engine, lambda: platform.deployment(id).phase == "completed")
    done = platform.finish(id)
    assert (done.outcome, done.phase) == ("promoted", "completed"), done.reason
    assert platform.target.weights == {2: 100}
    assert {(row.version, row.weight, row.state) for row in platform.traffic()} == {(1, 0, "warm"), (2, 100, "live")}
    assert [step.state for step in done.steps] == ["passed"] * 5
    events = platform.events(id)
    # Each transition is on record exactly once, however often its step was begun.
    assert events == [
        "deployment.requested",
        "rollout.started",
        *["rollout.step_passed"] * 2,
        *["traffic.shifted", "rollout.step_passed"] * 2,
        "rollout.promoted",
        "traffic.shifted",
        "rollout.finished",
    ]
    assert platform.audit_is_intact()


@everywhere("commit:6", "commit:7", "commit:8", "before:8", "apply:3", on_postgres=("commit:7",))
def test_a_bad_version_is_rolled_back_all_the_same(platform: Platform, kill_at: str) -> None:
    platform.target.play(v2={"errors": 0.5})
    id = platform.deploy(2)
    with platform.engine(kill_at) as engine:
        killed(engine, lambda: platform.deployment(id).phase == "completed")
    done = platform.finish(id)
    assert done.outcome == "rolled_back", done.reason
    assert "success rate" in (done.reason or "")
    assert platform.target.weights == {1: 100}
    assert platform.target.running == [1]
    events = platform.events(id)
    assert events.count("rollout.rolled_back") == 1
    assert events[-1] == "rollout.finished"
    assert platform.audit_is_intact()


def test_what_a_step_has_seen_outlives_the_process(platform: Platform) -> None:
    """The evidence, the figures and the time of a step go on where they were, also over what happened in between."""
    add_version(platform.services, 3, rollout={"steps": [10, 100], "interval": "30s"})
    id = platform.deploy(3)

    def requests() -> int:
        steps = platform.deployment(id).steps
        return (steps[2].canary or {}).get("requests", 0) if len(steps) > 2 else 0

    with platform.engine():
        wait_until(lambda: requests() > 100, 60)
    before, started = requests(), platform.deployment(id).steps[2].started_at
    evidence = platform.deployment(id).evidence
    assert evidence is not None
    platform.target.play(v3={"errors": 0.5})
    with platform.engine():
        wait_until(lambda: platform.deployment(id).phase == "completed", 60)
    step = platform.deployment(id).steps[2]
    assert step.state == "breached"
    assert step.started_at == started
    assert step.canary is not None
    assert step.canary["requests"] > before


def test_an_abort_while_no_engine_runs_is_carried_out_by_the_next(platform: Platform) -> None:
    add_version(platform.services, 3, rollout={"interval": "60s"})
    id = platform.deploy(3)
    with platform.engine():
        wait_until(lambda: platform.target.weights == {1: 95, 3: 5}, 60)
    with platform.services.database.write() as session:
        platform.services.deployments.interventions.abort(session, ADA, id, "found a bug")
    assert platform.target.weights == {1: 95, 3: 5}
    assert platform.finish(id).outcome == "aborted"
    assert platform.target.weights == {1: 100}
    assert platform.target.running == [1]


def test_two_engines_share_one_database(platform: Platform) -> None:
    """One works, the other stands by, and takes over when the first is killed."""
    add_version(platform.services, 3, rollout={"interval": "3s", "steps": [10, 100]})
    id = platform.deploy(3)
    with platform.engine() as first, platform.engine():
        wait_until(lambda: platform.deployment(id).phase == "progressing", 60)
        kill(first)
        wait_until(lambda: platform.deployment(id).phase == "completed", 60)
    assert platform.deployment(id).outcome == "promoted"
    assert platform.events(id).count("traffic.shifted") == 3


@on_one_database
def test_an_experiment_goes_on_where_it_was_killed(platform: Platform) -> None:
    wish = ExperimentIn(kind="shadow", model="wine", environment="lab", version=2, percent=50, reason="try it")  # type: ignore[arg-type]
    with platform.services.database.write() as session:
        id = platform.services.experiments.request(session, ADA, wish).id

    def experiment() -> Experiment:
        with platform.services.database.read() as session:
            return platform.services.experiments.get(session, id)

    # Once after each thing that it writes down or tells the proxy, one behind the other, and once from outside.
    for kill_at in ("commit:1", "commit:2", "apply:1", "commit:1"):
        with platform.engine(kill_at) as pid:
            killed(pid, lambda: "traffic" in experiment().figures)
    with platform.engine() as pid:
        wait_until(lambda: platform.target.state["routes"][0]["experiment"] == [id, 2, 50, None], 60)
        wait_until(lambda: experiment().figures.get("traffic", {}).get("canary", {}).get("requests", 0) > 10, 60)
        os.kill(pid, signal.SIGKILL)
    with platform.services.database.write() as session:
        platform.services.experiments.stop(session, ADA, id, "seen enough")
    with platform.engine():
        wait_until(lambda: platform.target.running == [1], 60)
        wait_until(lambda: platform.target.state["routes"][0]["experiment"] is None, 60)
    with platform.services.database.read() as session:
        from backend.audit.models import AuditRow

        rows = session.query(AuditRow).filter(AuditRow.subject.endswith(f"/experiments/{id}")).order_by(AuditRow.seq)
        types = [json.loads(row.event)["type"].rpartition(".")[2] for row in rows]
    assert types == ["requested", "started", "ended"]
    assert platform.audit_is_intact()
