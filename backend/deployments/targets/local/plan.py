"""Decides where traffic goes, from what is wanted and what is alive. Pure."""

from collections.abc import Mapping, Sequence

from backend.deployments.targets.base import ReplicaState, Route, VersionKey
from backend.deployments.targets.local.envoy import TrafficPlan


def plan_traffic(
    routes: Sequence[Route], ports: Mapping[VersionKey, tuple[int, ...]], replicas: Sequence[ReplicaState]
) -> list[TrafficPlan]:
    """Return one plan per route.

    Raises:
        ValueError: weights don't sum to 100, or two routes are for the same model and environment.
    """
    alive = {replica.key for replica in replicas if replica.state == "ready"}
    plans = [_plan(route, ports, alive) for route in routes]
    places = [(plan.environment, plan.model) for plan in plans]
    twice = sorted({place for place in places if places.count(place) > 1})
    if twice:
        raise ValueError(f"more than one route for {', '.join('/'.join(place) for place in twice)}")
    return plans


def _plan(route: Route, ports: Mapping[VersionKey, tuple[int, ...]], alive: set[VersionKey]) -> TrafficPlan:
    def key(version: int) -> VersionKey:
        return VersionKey(route.environment, route.model, version)

    if sum(weight for _, weight in route.weights) != 100:
        raise ValueError(f"the weights of {route.environment}/{route.model} do not sum to 100: {route.weights}")
    named = [version for version, _ in route.weights] + list(route.warm)
    if route.mirror is not None:
        named.append(route.mirror[0])
    known = {version: ports[key(version)] for version in named if ports.get(key(version))}
    experiment = route.experiment
    if experiment is not None and (experiment.challenger not in known or key(experiment.challenger) not in alive):
        experiment = None
    shadow = None if route.experiment is None or route.experiment.key_header else route.experiment.challenger
    # The challenger of a shadow run stands in for nobody: users never get its answers.
    standby = tuple(version for version in route.warm if version in known and version != shadow)
    weights = living_weights(
        [(version, weight) for version, weight in route.weights if version in known],
        standby,
        {version for version in known if key(version) in alive},
    )
    mirror = route.mirror
    if mirror is not None and (mirror[0] not in known or key(mirror[0]) not in alive):
        mirror = None
    return TrafficPlan(
        environment=route.environment,
        model=route.model,
        ports=known,
        weights=weights,
        mirror=mirror,
        # A version that the weights pass over stays a member, so that its clusters (and figures) stay, too.
        standby=tuple(dict.fromkeys([*standby, *(version for version, _ in route.weights if version in known)])),
        request_timeout=route.request_timeout,
        experiment=experiment,
    )


def living_weights(
    weights: Sequence[tuple[int, int]], standby: Sequence[int], alive: set[int]
) -> tuple[tuple[int, int], ...]:
    """Take weight from versions without a ready server and give it to the others in proportion.

    When no weighted version is alive the newest living stand-in gets everything. When nothing is alive the weights stay:
    Envoy then answers with 503, and serves again the moment that a server comes back.
    """
    weighted = [(version, weight) for version, weight in weights if weight > 0]
    living = [(version, weight) for version, weight in weighted if version in alive]
    if not living:
        stand_ins = [version for version in standby if version in alive]
        living = [(max(stand_ins), 100)] if stand_ins else weighted
    total = sum(weight for _, weight in living)
    if not total:
        return ()
    shares = [(version, weight * 100 // total) for version, weight in living]
    rest = 100 - sum(share for _, share in shares)
    largest = max(range(len(shares)), key=lambda index: shares[index][1])
    shares[largest] = (shares[largest][0], shares[largest][1] + rest)
    return tuple(share for share in shares if share[1] > 0)
