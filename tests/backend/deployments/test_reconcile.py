"""Where traffic goes when versions die, and who is allowed to say so."""

import queue
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from backend.core.container import Services
from backend.core.database import Database
from backend.core.workflows.lock import runtime_lock
from backend.deployments import reconcile, repository
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.places import Share
from backend.deployments.reconcile import Reconciler, effective_weights
from backend.deployments.targets.base import TargetUnavailable, VersionKey
from tests.backend.deployments.conftest import add_version
from tests.backend.deployments.scripted import ScriptedTarget
from tests.waiting import wait_until


def share(version: int, weight: int, state: str) -> Share:
    return Share(VersionKey("lab", "wine", version), weight, None, 0, state, False, 1)


def effective(shares: list[Share], *ready: int) -> dict[int, int]:
    found = effective_weights(shares, {VersionKey("lab", "wine", version) for version in ready})
    return {key.version: weight for key, weight in found.items()}


LIVE, CANARY, WARM = share(1, 95, "live"), share(2, 5, "canary"), share(3, 0, "warm")


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        ((1, 2, 3), {1: 95, 2: 5, 3: 0}),
        ((1, 3), {1: 100, 2: 0, 3: 0}),
        ((2, 3), {1: 0, 2: 5, 3: 95}),
        ((2,), {1: 0, 2: 100, 3: 0}),
        ((3,), {1: 0, 2: 0, 3: 100}),
        ((), {1: 95, 2: 5, 3: 0}),
    ],
)
def test_a_dead_versions_weight_goes_to_the_best_proven_one(ready: tuple[int, ...], expected: dict[int, int]) -> None:
    assert effective([LIVE, CANARY, WARM], *ready) == expected


@given(
    weight=st.integers(0, 100),
    states=st.lists(st.sampled_from(list(TrafficState)), min_size=2, max_size=5),
    ready=st.sets(st.integers(0, 4)),
)
def test_no_weight_is_lost_and_none_stays_on_a_dead_version(
    weight: int, states: list[TrafficState], ready: set[int]
) -> None:
    weights = [100 - weight, weight, *[0] * (len(states) - 2)]
    shares = [share(number, one, state) for number, (one, state) in enumerate(zip(weights, states, strict=True))]
    alive = ready & set(range(len(states)))
    found = effective(shares, *alive)
    assert sum(found.values()) == 100
    if alive:
        assert all(version in alive for version, one in found.items() if one)


def test_other_models_do_not_stand_in() -> None:
    other = Share(VersionKey("lab", "beer", 1), 100, None, 0, "live", False, 1)
    found = effective_weights([LIVE, CANARY, other], {other.key})
    assert found == {LIVE.key: 95, CANARY.key: 5, other.key: 100}


def test_one_engine_per_database(database_url: str, tmp_path: Path) -> None:
    database, same = Database(database_url), Database(database_url)
    first, second = runtime_lock(database), runtime_lock(same)
    assert first.acquire()
    assert first.held()
    assert not second.acquire()
    assert not second.held()
    first.release()
    assert not first.held()
    assert second.acquire()
    second.release()
    for one in (database, same):
        one.close()


def test_retiring_and_rolling_back_take_turns(services: Services) -> None:
    """Else a version that a rollback has just made live could be deleted as one that was warm for long enough."""
    now, order = services.clock.now(), queue.Queue[str]()
    with services.database.write() as session:
        warm = {"environment": "lab", "model": "wine", "version": 1, "replicas": 1, "state": "warm", "weight": 0}
        session.add(Traffic(**warm, warm_until=now))

    def roll_back() -> None:
        with services.database.write() as session:
            rows = repository.traffic(session, "lab", "wine", lock=True)
            order.put(f"rolling back finds {len(rows)}")

    with services.database.write() as session:
        (row,) = repository.expired(session, now, lock=True)
        thread = threading.Thread(target=roll_back)
        thread.start()
        thread.join(0.3)
        order.put("retired")
        session.delete(row)
    thread.join(20)
    assert [order.get(timeout=1) for _ in range(2)] == ["retired", "rolling back finds 0"]


def until_running(passes: Reconciler, target: ScriptedTarget, versions: list[int]) -> None:
    def running() -> bool:
        passes.sync()
        return target.running == versions

    wait_until(running, 10)


@pytest.fixture
def reconciler(services: Services, tmp_path: Path) -> Iterator[tuple[Reconciler, ScriptedTarget]]:
    """A reconciler whose passes a test takes itself, with wine live and its replica up."""
    add_version(services, 1)
    target = ScriptedTarget(tmp_path / "target")
    live = {"model": "wine", "version": 1, "weight": 100, "served": 100, "replicas": 1, "state": "live"}
    with services.database.write() as session:
        session.add(Traffic(environment="lab", **live))
    found = Reconciler(services, target)
    services.runtime._leading = True
    until_running(found, target, [1])
    found.sync()
    yield found, target
    found.artefacts.close()


class Counted:
    """Counts the calls of a target's method."""

    def __init__(self, target: ScriptedTarget, name: str) -> None:
        self.calls = 0
        self._method = getattr(target, name)
        setattr(target, name, self)

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        return self._method(*arguments)


def test_a_pass_over_what_is_as_it_should_be_does_nothing(
    services: Services, reconciler: tuple[Reconciler, ScriptedTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, target = reconciler
    monkeypatch.setattr(repository, "shares", lambda session: pytest.fail("the table was read"))
    applied, started = Counted(target, "apply"), Counted(target, "start")
    for _ in range(3):
        passes.sync()
    assert (applied.calls, started.calls) == (0, 0)


def test_all_is_looked_at_and_told_again_now_and_then(
    reconciler: tuple[Reconciler, ScriptedTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, target = reconciler
    monkeypatch.setattr(reconcile, "_WHOLE_AGAIN", 0.0)
    applied = Counted(target, "apply")
    passes.sync()
    assert applied.calls == 1


def test_a_proxy_that_did_not_take_it_over_is_told_in_the_next_pass(
    services: Services, reconciler: tuple[Reconciler, ScriptedTarget]
) -> None:
    passes, target = reconciler
    add_version(services, 2)
    with services.database.write() as session:
        warm = {"weight": 0, "replicas": 1, "state": "warm", "warm_until": services.clock.now() + timedelta(hours=1)}
        session.add(Traffic(environment="lab", model="wine", version=2, **warm))
    target.play(down=True)
    with pytest.raises(TargetUnavailable):
        passes.sync()
    target.play()
    passes.sync()
    assert target.state["routes"][0]["warm"] == [2]


def test_what_another_process_writes_is_seen(
    services: Services, database_url: str, reconciler: tuple[Reconciler, ScriptedTarget]
) -> None:
    passes, target = reconciler
    other = Database(database_url)
    with other.write() as session:
        session.execute(delete(Traffic))
    other.close()
    passes.sync()
    assert target.running == []
    passes.sync()
    assert target.state["routes"] == []


def test_a_version_that_dies_is_sent_past_and_gets_its_weight_back(
    services: Services, reconciler: tuple[Reconciler, ScriptedTarget]
) -> None:
    passes, target = reconciler
    add_version(services, 2)
    with services.database.write() as session:
        warm = {"weight": 0, "replicas": 1, "state": "warm", "warm_until": services.clock.now() + timedelta(hours=1)}
        session.add(Traffic(environment="lab", model="wine", version=2, **warm))
    until_running(passes, target, [1, 2])
    passes.sync()
    target.play(v1={"dead": True})
    passes.sync()
    assert target.weights == {2: 100}
    target.play()
    passes.sync()
    assert target.weights == {1: 100}
    with services.database.read() as session:
        assert [(row.version, row.served, row.failed_over) for row in repository.traffic(session)] == [
            (1, 100, False),
            (2, 0, False),
        ]


def test_the_databases_version_differs_after_every_commit(database_url: str, services: Services) -> None:
    database, seen = services.database, set()
    other = Database(database_url)
    for writer in (database, other, database):
        seen.add(database.version())
        assert database.version() in seen
        with writer.write() as session:
            session.add(
                Traffic(
                    environment="lab", model="beer", version=len(seen), weight=0, replicas=1, state=TrafficState.WARM,
                    warm_until=services.clock.now() + timedelta(hours=1),
                )
            )  # fmt: skip
    seen.add(database.version())
    assert len(seen) == 4
    other.close()
