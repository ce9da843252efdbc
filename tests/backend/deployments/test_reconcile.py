"""Where traffic goes when versions die, and who is allowed to say so."""

import queue
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.container import Services
from backend.core.database import Database
from backend.core.workflows.lock import runtime_lock
from backend.deployments import repository
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.reconcile import Share, effective_weights
from backend.deployments.targets.base import VersionKey


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
