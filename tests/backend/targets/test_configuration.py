"""The rendered configuration, judged by the real Envoy and by its own laws."""

import json
import math
import subprocess
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.deployments.targets.base import ReplicaState, Route, VersionKey
from backend.deployments.targets.local.envoy import (
    bootstrap,
    clusters,
    failover_name,
    failover_order,
    histogram_buckets,
    route_configuration,
    versioned,
)
from backend.deployments.targets.local.plan import living_weights, plan_traffic
from backend.deployments.targets.local.samples import LATENCY_BOUNDS, parse_cluster, upper_bound
from backend.local.platform import envoy_binary

NAMES = st.from_regex(r"[a-z0-9]{1,12}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)


@st.composite
def routes(draw: st.DrawFn) -> Route:
    versions = draw(st.lists(st.integers(1, 500), min_size=1, max_size=5, unique=True))
    weighted = versions[: draw(st.integers(1, len(versions)))]
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(weighted) - 1, max_size=len(weighted) - 1)))
    shares = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
    mirror = draw(st.none() | st.tuples(st.sampled_from(versions), st.integers(1, 100)))
    return Route(
        environment=draw(NAMES),
        model=draw(NAMES),
        weights=tuple(zip(weighted, shares, strict=True)),
        mirror=mirror,
        warm=tuple(versions[len(weighted) :]),
        request_timeout=timedelta(milliseconds=draw(st.integers(1, 600_000))),
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Route], dict[VersionKey, tuple[int, ...]], list[ReplicaState]]:
    found = draw(st.lists(routes(), max_size=3, unique_by=lambda route: (route.environment, route.model)))
    ports: dict[VersionKey, tuple[int, ...]] = {}
    replicas: list[ReplicaState] = []
    for route in found:
        for version in {version for version, _ in route.weights} | set(route.warm):
            key = VersionKey(route.environment, route.model, version)
            ports[key] = tuple(draw(st.lists(st.integers(1024, 65_535), max_size=3, unique=True)))
            for index, port in enumerate(ports[key]):
                phase = draw(st.sampled_from(["starting", "ready", "failed"]))
                replicas.append(ReplicaState(key, index, phase, port, None, None))  # type: ignore[arg-type]
    return found, ports, replicas


def as_static(document: dict[str, Any], plans: Any) -> dict[str, Any]:
    """Put what Envoy would be given later into the static part, since only that is looked at by ``--mode validate``."""
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"], document["dynamic_resources"]
    manager["route_config"] = {name: value for name, value in route_configuration(plans).items() if name != "@type"} | {
        "validate_clusters": True
    }
    document["static_resources"]["clusters"] = [
        {name: value for name, value in cluster.items() if name != "@type"} for cluster in clusters(plans)
    ]
    return document


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(situation=situations())
def test_envoy_accepts_whatever_is_rendered(situation: Any, tmp_path: Path) -> None:
    plans = plan_traffic(*situation)
    document = bootstrap(host="127.0.0.1", port=10_000, admin_port=10_001, xds=tmp_path)
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(as_static(document, plans)))
    said = subprocess.run(
        [envoy_binary(), "--mode", "validate", "-c", path, "--log-level", "error"], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr


@given(situation=situations())
def test_traffic_goes_to_the_living_and_sums_to_100(situation: Any) -> None:
    found, ports, replicas = situation
    alive = {replica.key for replica in replicas if replica.state == "ready"}
    for route, plan in zip(found, plan_traffic(found, ports, replicas), strict=True):
        shares = dict(plan.weights)
        members = {plan.key(version) for version in plan.ports}
        weighted = {
            VersionKey(route.environment, route.model, v) for v, share in route.weights if share and v in plan.ports
        }
        if members & alive & (weighted | {plan.key(version) for version in route.warm}):
            assert {plan.key(version) for version in shares} <= alive
            assert sum(shares.values()) == 100
        names = {cluster["name"] for cluster in clusters([plan])}
        assert {failover_name(plan.key(version)) for version in shares} <= names


@given(situation=situations())
def test_the_same_traffic_is_the_same_version(situation: Any) -> None:
    found, ports, replicas = situation
    one, other = plan_traffic(found, ports, replicas), plan_traffic(found[::-1], ports, replicas[::-1])
    assert versioned(clusters(one)) == versioned(clusters(other))
    assert versioned([route_configuration(one)]) == versioned([route_configuration(other)])


def test_moving_weights_leaves_the_clusters_as_they_are() -> None:
    key = {version: VersionKey("production", "wine", version) for version in (1, 2)}
    ports = {key[1]: (18_001,), key[2]: (18_002,)}
    replicas = [ReplicaState(key[version], 0, "ready", ports[key[version]][0], 1, None) for version in (1, 2)]
    seen = set()
    for share in (1, 5, 50, 99):
        route = Route("production", "wine", ((1, 100 - share), (2, share)), None, (), timedelta(seconds=1))
        seen.add(versioned(clusters(plan_traffic([route], ports, replicas)))["version_info"])
    assert len(seen) == 1


def test_older_versions_stand_in_first() -> None:
    assert failover_order(3, [1, 2, 4, 5]) == [3, 2, 1, 4, 5]
    assert failover_order(1, [3, 2]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "standby", "alive", "expected"),
    [
        ([(1, 95), (2, 5)], (), {1, 2}, ((1, 95), (2, 5))),
        ([(1, 95), (2, 5)], (), {2}, ((2, 100),)),
        ([(1, 50), (2, 30), (3, 20)], (), {1, 3}, ((1, 72), (3, 28))),
        ([(1, 100)], (2, 3), {2, 3}, ((3, 100),)),
        ([(1, 100)], (2,), set(), ((1, 100),)),
        ([], (2,), {2}, ((2, 100),)),
        ([], (), set(), ()),
    ],
)
def test_weights_of_the_dead_go_to_the_living(weights: Any, standby: Any, alive: Any, expected: Any) -> None:
    assert living_weights(weights, standby, alive) == expected


def test_wrong_routes_are_refused() -> None:
    route = Route("production", "wine", ((1, 60), (2, 30)), None, (), timedelta(seconds=1))
    with pytest.raises(ValueError, match="do not sum to 100"):
        plan_traffic([route], {}, [])
    whole = Route("production", "wine", ((1, 100),), None, (), timedelta(seconds=1))
    with pytest.raises(ValueError, match="more than one route for production/wine"):
        plan_traffic([whole, whole], {}, [])


def test_bounds_are_close_together_and_rise() -> None:
    buckets = histogram_buckets()
    assert (buckets[0], buckets[-1]) == (0.5, 60_000)
    assert all(1 < later / earlier <= 1.25 for earlier, later in pairwise(buckets[:-1]))
    finite = [bound for bound in LATENCY_BOUNDS if bound >= 10 and math.isfinite(bound)]
    assert all(1 < later / earlier <= 1.11 for earlier, later in pairwise(finite[:-1]))
    assert {100.0, 250.0 - 10, 500.0, 1000.0} <= set(LATENCY_BOUNDS)


@given(st.floats(0, 60_000))
def test_a_duration_is_never_filed_under_a_bound_below_it(milliseconds: float) -> None:
    whole = math.floor(milliseconds)  # what Envoy keeps
    width = 0.1 if whole < 10 else 10 ** (len(str(whole)) - 2)
    lower = math.floor(whole / width + 1e-9) * width if whole >= 10 else float(whole)
    assert upper_bound(lower, width) > milliseconds


def test_foreign_clusters_are_no_versions() -> None:
    assert parse_cluster("production/wine/v3/failover") == VersionKey("production", "wine", 3)
    assert parse_cluster("production/wine/v3") == VersionKey("production", "wine", 3)
    assert parse_cluster("jwks") is None
    assert parse_cluster("production/wine/v3/x") is None
