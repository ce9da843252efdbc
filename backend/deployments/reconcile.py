"""Makes the real traffic the desired one, again and again: level-triggered, so it does not matter what was missed.

What is desired is the ``traffic`` table. What is real are the target's replicas and what the proxy confirmed last. A pass
starts what is missing, sends weight past dead versions, tells the proxy when anything differs, and stops what nobody
wants any more. It never decides about a rollout.

A pass compares both with what the pass before saw, and works on the models where either changed or where something is
still to be done: with thousands of models that run as they should there is nothing to do. Now and then it works on all.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.deployments import repository
from backend.deployments.artefacts import VerifiedArtefacts
from backend.deployments.lifecycle import EVENT
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.places import Place, PlaceKey, Places, Share
from backend.deployments.targets.base import (
    ExperimentRoute,
    ReplicaSetSpec,
    Route,
    SomeLate,
    Target,
    TargetUnavailable,
    VersionKey,
)
from backend.registry.models import VersionRow
from mlplatform.spec.model import ModelSpec, ModelType

_WHOLE_AGAIN = 10.0
"""Seconds after which all is looked at and the proxy told again although nothing changed: somebody may have deleted its files."""
_START_AGAIN = 5.0
"""Seconds between attempts to bring back a version with failed or missing replicas."""

_USUAL_TIMEOUT = timedelta(seconds=10)

_log = logging.getLogger(__name__)


class Reconciler:
    """Brings target and table together; passes are taken one at a time."""

    def __init__(self, services: Services, target: Target) -> None:
        self._services, self._target = services, target
        self.artefacts = VerifiedArtefacts(services.registry, services.runtime.wake)
        self._turn = threading.Lock()
        self._versions: dict[VersionKey, VersionRow] = {}
        self._specs: dict[VersionKey, ModelSpec] = {}
        self._places = Places()
        self._open: set[PlaceKey] = set()
        self._version = ""
        self._routes: dict[PlaceKey, tuple[Route | None, frozenset[object]]] = {}
        self._applied = False
        self._whole_at = float("-inf")
        self._started: dict[VersionKey, float] = {}
        self._late: dict[PlaceKey, str] = {}

    def settle(self, environment: str, model: str) -> None:
        """Take a pass, and make sure of one model.

        Raises:
            TargetUnavailable: the model's traffic is not what it should be yet.
        """
        self.sync()
        if reason := self._late.get((environment, model)):
            raise TargetUnavailable(reason)

    def sync(self) -> None:
        """Take one pass.

        Raises:
            TargetUnavailable: the target did not take something over; the next pass tries again.
        """
        with self._turn:
            if not self._services.runtime.leading:
                return
            self._retire()
            # Replicas first: a version is written into the table before it is started, so what runs and is in no row
            # read afterwards is wanted by nobody.
            self._open |= self._places.see(self._target.replicas())
            self._open |= self._read()
            if time.monotonic() - self._whole_at >= _WHOLE_AGAIN:
                self._whole_at, self._applied = time.monotonic(), False
                self._open |= self._places.keys()
            elif self._applied and not self._open:
                return
            places = {key: self._places.at(key) for key in sorted(self._open)}
            self._remember_specs([share for place in places.values() for share in place.shares])
            late = self._start_missing(places.values())
            effective: dict[VersionKey, int] = {}
            for key, place in places.items():
                weights = effective_weights(place.shares, self._alive(place))
                effective |= weights
                self._take_route(key, place, weights)
            self._apply()
            self._confirm(places, effective)
            self._stop_unwanted(places.values())
            self._open = {key for key, place in places.items() if not self._is_settled(key, place, effective)}
            if late is not None:
                raise late

    def _read(self) -> set[PlaceKey]:
        """Read the desired traffic, if anything was written since it was read; return where it changed."""
        version = self._services.database.version()
        if version == self._version:
            return set()
        with self._services.database.read() as session:
            changed = self._places.want(repository.shares(session))
        self._version = version
        return changed

    def _alive(self, place: Place) -> set[VersionKey]:
        """Return the versions that can take their weight. A batch version always can: nobody waits for an answer."""
        batch = {one.key for one in place.shares if self._specs[one.key].type is ModelType.BATCH}
        return batch | {one.key for one in place.replicas if one.state == "ready"}

    def _is_settled(self, key: PlaceKey, place: Place, effective: Mapping[VersionKey, int]) -> bool:
        """Say whether there is nothing to do about a model until it changes."""
        if key in self._late or _unwanted(place):
            return False
        return not any(_is_missing(one, place) or _is_unconfirmed(one, effective) for one in place.shares)

    def _retire(self) -> None:
        """Take out versions that were kept warm long enough."""
        now = self._services.clock.now()
        with self._services.database.read() as session:
            if not repository.expired(session, now):
                return
        with self._services.database.write() as session:
            # Locked, and looked at again by that: a rollback may have made one of them live in the meantime.
            for row in repository.expired(session, now, lock=True):
                reason = f"v{row.version} was kept warm until {row.warm_until:%H:%M:%S} UTC and is stopped"
                self._record(session, "traffic.retired", _key(row), reason)
                session.delete(row)

    def _remember_specs(self, shares: Sequence[Share]) -> None:
        new = [(share.key.model, share.key.version) for share in shares if share.key not in self._specs]
        if not new:
            return
        with self._services.database.read() as session:
            found = {(one.model, one.version): one for one in self._services.registry.versions_of(session, new)}
        for key in (share.key for share in shares):
            if key not in self._specs:
                version = found[key.model, key.version]
                self._versions[key], self._specs[key] = version, ModelSpec.model_validate(version.spec)

    def _start_missing(self, places: Iterable[Place]) -> PlatformError | None:
        """Start what is missing; what goes wrong is returned, for traffic must not wait for it."""
        late: PlatformError | None = None
        for share in (share for place in places for share in place.shares if _is_missing(share, place)):
            since = time.monotonic() - self._started.get(share.key, float("-inf"))
            if since < _START_AGAIN:
                continue
            version = self._versions[share.key]
            folder = self.artefacts.folder(share.key, version)
            if folder is None:
                continue
            spec = self._specs[share.key]
            if spec.serving.samples is not None:
                self._services.privacy.samples.publish()
            try:
                self._target.start(ReplicaSetSpec(share.key, version.digest, folder, spec, share.replicas))
                self._started[share.key] = time.monotonic()
            except PlatformError as error:
                late = error
            except OSError as error:
                late = TargetUnavailable(f"{share.key} can't be started: {error.strerror or error}")
        return late

    def _take_route(self, key: PlaceKey, place: Place, effective: Mapping[VersionKey, int]) -> None:
        """Note what the proxy is to do for a model, and that it is to be told if that is not what it did."""
        if not place.shares and not place.replicas:
            self._applied = self._applied and self._routes.get(key, (None,))[0] is None
            self._routes.pop(key, None)
            return
        ready = frozenset((one.key, one.replica, one.port, one.pid) for one in place.replicas if one.state == "ready")
        wanted = (self._route(key, place.shares, effective), ready)
        if self._routes.get(key) != wanted:
            self._routes[key], self._applied = wanted, False

    def _apply(self) -> None:
        if self._applied:
            return
        late: dict[PlaceKey, str] = {}
        try:
            self._target.apply([route for _, (route, _) in sorted(self._routes.items()) if route is not None])
        except SomeLate as some:
            late = some.reasons
        self._say_late(late)
        self._applied = not late

    def _say_late(self, late: dict[PlaceKey, str]) -> None:
        for (environment, model), reason in late.items():
            if self._late.get((environment, model)) != reason:
                _log.warning("the shares of %s in %s are not as they should be yet: %s", model, environment, reason)
        self._late = late

    def _route(self, key: PlaceKey, shares: Sequence[Share], effective: Mapping[VersionKey, int]) -> Route | None:
        weights = tuple((one.key.version, effective[one.key]) for one in shares if effective[one.key])
        if not weights:
            return None  # the first version here is still starting
        weighted = {version for version, _ in weights}
        timeouts = [self._specs[one.key].serving.request_timeout for one in shares if one.key.version in weighted]
        environment, model = key
        return Route(
            environment=environment,
            model=model,
            weights=weights,
            mirror=next(((one.key.version, one.mirror) for one in shares if one.mirror and not one.experiment), None),
            warm=tuple(one.key.version for one in shares if one.key.version not in weighted),
            request_timeout=max(timeouts, default=_USUAL_TIMEOUT),
            experiment=next(
                (_experiment(one) for one in shares if one.experiment and (one.weight or one.mirror)), None
            ),
        )

    def _confirm(self, places: Mapping[PlaceKey, Place], effective: Mapping[VersionKey, int]) -> None:
        """Write down what the proxy does now, and record when that is not what was wanted."""
        changed = {
            share: key
            for key, place in places.items()
            if key not in self._late
            for share in place.shares
            if _is_unconfirmed(share, effective)
        }
        if not changed:
            return
        with self._services.database.write() as session:
            rows = {_key(row): row for row in repository.traffic_at(session, set(changed.values()))}
            for share, key in changed.items():
                row = rows.get(share.key)
                if row is None or row.weight != share.weight:
                    continue  # changed meanwhile; the next pass sees to it
                row.served = effective[share.key]
                dead = effective[share.key] < share.weight
                if dead and not row.failed_over:
                    others = _others(share, places[key].shares, effective)
                    reason = f"v{row.version} has no live replica; its {row.weight} % of traffic went to {others}"
                    _log.warning("%s", reason)
                    self._record(session, "traffic.failed_over", share.key, reason)
                elif row.failed_over and not dead:
                    reason = f"v{row.version} is back and has its {row.weight} % of traffic again"
                    self._record(session, "traffic.restored", share.key, reason)
                row.failed_over = dead

    def _stop_unwanted(self, places: Iterable[Place]) -> None:
        for key in sorted(key for place in places for key in _unwanted(place)):
            self._target.stop(key)
            self._specs.pop(key, None)
            self._versions.pop(key, None)
            self._started.pop(key, None)
            self.artefacts.forget(key)

    def _record(self, session: Session, event: str, key: VersionKey, reason: str) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{event}",
            subject=f"model:{key.model}/versions/{key.version}",
            actor=PLATFORM,
            data={"environment": key.environment, "model": key.model, "version": key.version, "reason": reason},
        )


def effective_weights(shares: Sequence[Share], ready: set[VersionKey]) -> dict[VersionKey, int]:
    """Return the weights that the proxy is to be told: the wanted ones, with those of dead versions given to live ones.

    A dead version's weight goes to the live version if that is up, else to one that is kept warm, else to the canary:
    in this order they have proven themselves. Where nothing is up the wanted weights stay, for when something comes back.
    """
    effective = {share.key: share.weight for share in shares}
    order = {TrafficState.LIVE: 0, TrafficState.WARM: 1, TrafficState.CANARY: 2}
    for share in shares:
        if not share.weight or share.key in ready:
            continue
        place = (share.key.environment, share.key.model)
        there = [one for one in shares if (one.key.environment, one.key.model) == place and not one.is_shadow]
        alive = [one for one in there if one.key in ready]
        if not alive:
            continue
        best = min(alive, key=lambda one: (order[TrafficState(one.state)], -one.key.version))
        effective[best.key] += effective[share.key]
        effective[share.key] = 0
    return effective


def _experiment(share: Share) -> ExperimentRoute:
    percent = share.weight or share.mirror
    return ExperimentRoute(str(share.experiment), share.key.version, percent, share.key_header)


def _key(row: Traffic) -> VersionKey:
    return VersionKey(row.environment, row.model, row.version)


def _is_missing(share: Share, place: Place) -> bool:
    """Say whether a version has too few replicas, or one to be brought back."""
    present = [one for one in place.replicas if one.key == share.key and one.state != "stopped"]
    # A canary that failed is judged by its rollout. What serves or stands by is brought back.
    again = share.state != TrafficState.CANARY and any(one.state == "failed" for one in present)
    return len(present) < share.replicas or again


def _is_unconfirmed(share: Share, effective: Mapping[VersionKey, int]) -> bool:
    weight = effective[share.key]
    return share.served != weight or share.failed_over != (weight < share.weight)


def _unwanted(place: Place) -> set[VersionKey]:
    """Return the versions that run and that nobody wants."""
    running = {one.key for one in place.replicas if one.state != "stopped"}
    return running - {share.key for share in place.shares}


def _others(dead: Share, shares: Sequence[Share], effective: Mapping[VersionKey, int]) -> str:
    """Return the versions of the same model that have the traffic instead."""
    return ", ".join(f"v{one.key.version}" for one in shares if effective[one.key] and one.key != dead.key)
