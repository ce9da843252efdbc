"""What could be saved: each kind with its amount, and what an objective does not leave room for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backend.core.container import Services
from backend.cost.recommendations import Recommendation, Withheld
from backend.cost.resources import Activity, Resource
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.targets.base import Sample, VersionKey
from backend.observability.store import SampleStore
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..conftest import SPEC
from ..deployments.scripted import EDGES, cumulative
from ..versions import put_version
from .conftest import PRICES

pytestmark = [pytest.mark.slow, on_one_database]

Use = Callable[..., None]
DAYS = range(13, 20)
"""The last seven full days before the clock's."""
VERSION = 10
LATENCY = {"name": "latency", "indicator": "latency", "objective": 99, "threshold": "0.5s"}
AVAILABILITY = {"name": "availability", "indicator": "availability", "objective": 99.9}
GPU = {"resource": "gpu", "unit": "GPU-hour"}


@pytest.fixture
def cost_settings() -> dict[str, Any]:
    more = [
        {"resource": "cpu", "unit": "core-hour", "price": "0.01", "sku": "spot"},
        {**GPU, "price": "1", "sku": "nvidia-l4"},
        {**GPU, "price": "0.25", "sku": "nvidia-l4-shared"},
    ]
    return {"prices": [*PRICES, *more]}


@pytest.fixture
def live(services: Services, tmp_path: Path) -> Callable[..., None]:
    """Have a version of a kind live in production."""

    def put(slos: list[dict[str, Any]] | None = None, **spec: Any) -> None:
        document = {**SPEC, "slos": slos or [], **spec}
        put_version(services, VERSION, document, tmp_path / "model")
        if document["type"] == "batch":
            return
        with services.database.write() as session:
            session.add(
                Traffic(
                    environment="production", model="wine", version=VERSION, weight=100, mirror=0,
                    state=TrafficState.LIVE, replicas=1,
                )
            )  # fmt: skip

    return put


def used(use: Use, resource: Resource, quantity: str, *hours: int, **more: Any) -> None:
    """Have so much used in half an hour of each of these hours, on each of the seven days."""
    for day in DAYS:
        for hour in hours:
            at = datetime(2028, 2, day, hour, tzinfo=UTC)
            use(at, quantity, resource=resource, **{"version": VERSION, "environment": "production", **more})


def found(services: Services, kind: str) -> tuple[list[Recommendation], list[Withheld]]:
    with services.database.read() as session:
        done, withheld = services.cost.recommendations.of(session, ["wine", "beer"])
    return [one for one in done if one.kind == kind], [one for one in withheld if one.kind == kind]


def answered(services: Services, clock: SetClock, fast: int, slow: int) -> None:
    """Have it on record that so many answers took 200 ms, and so many 500 ms."""
    key, store, at = VersionKey("production", "wine", VERSION), SampleStore(), clock.now().timestamp() - 86_400
    buckets = [0] * len(EDGES)
    with services.database.read() as session:
        store.load(session)
    store.take([Sample(key, 0, 0, cumulative(buckets))], at)
    buckets[EDGES.index(200.0)], buckets[EDGES.index(500.0)] = fast, slow
    store.take([Sample(key, fast + slow, 0, cumulative(buckets))], at + 10)
    with services.database.write() as session:
        store.flush(session, at + 10)


@pytest.mark.parametrize(
    ("slos", "part", "saving", "change", "checked"),
    [
        # Of 1,800 core-seconds asked for 180 are used: 1.5 times that is to stay, and 1,530 core-seconds a time are saved.
        ([], "180", "1.02", "1000m → 150m", "1.5 times its busiest hour stays free, as is due in tier 2"),
        ([LATENCY], "180", "0.93", "1000m → 250m", "for latency 99 % within 0.5s"),
        ([], "900", None, None, ""),
        ([LATENCY], "900", None, None, ""),
    ],
    ids=["idle", "idle with a latency", "half used: too little to name", "half used with a latency"],
)
def test_a_replica_gets_the_size_that_it_needs_with_room_for_its_latency(
    slos: list[dict[str, Any]],
    part: str,
    saving: str | None,
    change: str | None,
    checked: str,
    services: Services,
    use: Use,
    live: Callable[..., None],
) -> None:
    live(slos)
    for resource, quantity in ((Resource.CPU, part), (Resource.CPU_UNUSED, str(1800 - int(part)))):
        used(use, resource, quantity, 6, 14)
    done, withheld = found(services, "right-size")
    assert withheld == []
    if change is None:
        assert done == []
        return
    (one,) = done
    assert f"{one.saving:.2f}" == saving
    assert one.change == f"serving.resources.cpu: {change}"
    assert one.reason == "in its busiest hour it used 10 % of the cpu that it asks for"
    assert checked in one.checked


@pytest.mark.parametrize(
    ("spec", "objective"),
    [
        ({}, None),
        ({"tier": 1}, "it is of tier 1: customers are hurt while it starts"),
        ({"slos": [LATENCY]}, "latency 99 % within 0.5s, and a start takes up to 1m"),
        ({"slos": [AVAILABILITY]}, "availability 99.9 %: requests time out after 10s, and a start takes up to 1m"),
    ],
    ids=["nothing against it", "tier 1", "latency", "availability"],
)
def test_what_nobody_asks_is_scaled_to_zero_unless_a_start_hurts(
    spec: dict[str, Any], objective: str | None, services: Services, use: Use, live: Callable[..., None]
) -> None:
    live(**spec)
    used(use, Resource.CPU_UNUSED, "1800", 6, 10, 14, 18)
    used(use, Resource.REQUESTS, "100", 6)
    done, withheld = found(services, "scale-to-zero")
    # In three of four hours nobody asked: 28 times half a core-hour at 0.04, three quarters of it, for 30 of 7 days.
    amount = Decimal("0.04") * 14 * 3 / 4 * 30 / 7
    assert amount == Decimal("1.8")
    if objective is not None:
        assert done == []
        assert [(one.saving, one.objective) for one in withheld] == [(amount, objective)]
        return
    (one,) = done
    assert (withheld, one.saving) == ([], amount)
    assert one.change.startswith("serving.autoscaling: {by: requests, minReplicas: 0")
    assert one.reason == "nobody asked it anything in 75 % of the hours in which it was up"


def test_what_is_asked_all_the_time_stays_up(services: Services, use: Use, live: Callable[..., None]) -> None:
    live()
    used(use, Resource.CPU_UNUSED, "1800", 6, 7, 8, 9)
    used(use, Resource.REQUESTS, "100", 6, 7, 8, 9)
    assert found(services, "scale-to-zero") == ([], [])


@pytest.mark.parametrize(
    ("spec", "objective"),
    [
        ({}, None),
        ({"slos": [AVAILABILITY], "serving": {"replicas": 2}}, None),
        ({"serving": {"spot": True}}, ""),
        ({"tier": 1}, "it is of tier 1: customers are hurt while a replica is missing"),
        ({"slos": [AVAILABILITY]}, "availability 99.9 %, and there is one replica"),
    ],
    ids=["nothing against it", "another replica is there", "it is on spot", "tier 1", "availability"],
)
def test_spot_machines_are_for_what_may_be_away_for_a_moment(
    spec: dict[str, Any], objective: str | None, services: Services, use: Use, live: Callable[..., None]
) -> None:
    live(**spec)
    used(use, Resource.CPU, "7200", 6)
    done, withheld = found(services, "spot")
    # Two core-hours a day at 0.01 instead of 0.04, for thirty days.
    expected = [] if objective == "" else [Decimal("1.8")]
    if objective:
        assert (done, [(one.saving, one.objective) for one in withheld]) == ([], [(expected[0], objective)])
    else:
        assert ([one.saving for one in done], withheld) == (expected, [])
        assert [one.change for one in done] == ["serving.spot: true"] * len(expected)


@pytest.mark.parametrize(
    ("spec", "answers", "objective"),
    [
        ({}, None, None),
        ({"slos": [LATENCY]}, (995, 5), None),
        ({"serving": {"gpu": {"shared": True}}}, None, ""),
        ({"tier": 1}, None, "it is of tier 1: customers are hurt while a neighbour has its turn"),
        ({"slos": [LATENCY]}, None, "latency 99 % within 0.5s, and nothing was measured in the last 7 days"),
        (
            {"slos": [LATENCY]},
            (980, 20),
            "latency 99 % within 0.5s, and only 98 % were answered within half of that",
        ),
    ],
    ids=["nothing against it", "fast enough", "shared already", "tier 1", "not measured", "too slow"],
)
def test_a_gpu_is_shared_where_answers_may_take_twice_as_long(
    spec: dict[str, Any],
    answers: tuple[int, int] | None,
    objective: str | None,
    services: Services,
    use: Use,
    live: Callable[..., None],
    clock: SetClock,
) -> None:
    live(**{"serving": {"gpu": {"shared": False}}, **spec})
    used(use, Resource.GPU, "1800", 6, sku="nvidia-l4")
    if answers is not None:
        answered(services, clock, *answers)
    done, withheld = found(services, "share-gpu")
    # Half a GPU-hour a day at 0.25 instead of 1, for thirty days.
    amount = Decimal("11.25")
    if objective:
        assert (done, [(one.saving, one.objective) for one in withheld]) == ([], [(amount, objective)])
    else:
        assert withheld == []
        assert [(one.saving, one.change) for one in done] == (
            [] if objective == "" else [(amount, "serving.gpu: {shared: true}")]
        )


def test_training_can_always_be_on_spot_machines_and_what_is_gone_is_not_looked_at(
    services: Services, use: Use, live: Callable[..., None], clock: SetClock
) -> None:
    live(tier=1)
    used(use, Resource.CPU, "7200", 6, activity=Activity.TRAINING, environment="")
    used(use, Resource.CPU, "7200", 6, version=1)  # not live any more
    done, withheld = found(services, "spot")
    assert [(one.version, one.saving, one.change) for one in done] == [
        (VERSION, Decimal("1.8"), "train on spot machines")
    ]
    assert withheld == []
    clock.moment += timedelta(days=8)
    assert found(services, "spot") == ([], [])
