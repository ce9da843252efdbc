"""Makes the real traffic the desired one, again and again: level-triggered, so it does not matter what was missed.

What is desired is the ``traffic`` table. What is real are the target's replicas and what the proxy confirmed last. A pass
starts what is missing, sends weight past dead versions, tells the proxy when anything differs, and stops what nobody
wants any more. It never decides about a rollout.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.deployments import repository
from backend.deployments.artefacts import VerifiedArtefacts
from backend.deployments.lifecycle import EVENT
from backend.deployments.models import Traffic, TrafficState
from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    SomeLate,
    Target,
    TargetUnavailable,
    VersionKey,
)
from backend.registry.models import VersionRow
from mlplatform.spec.model import ModelSpec, ModelType

_APPLY_AGAIN = 10.0
"""Seconds after which the proxy is told again although nothing changed: somebody may have deleted its files."""
_START_AGAIN = 5.0
"""Seconds between attempts to bring back a version with failed or missing replicas."""

_USUAL_TIMEOUT = timedelta(seconds=10)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """A version's part of the traffic, as plain values."""

    key: VersionKey
    weight: int
    served: int | None
    mirror: int
    state: str
    failed_over: bool
    replicas: int


class Reconciler:
    """Brings target and table together; passes are taken one at a time."""

    def __init__(self, services: Services, target: Target) -> None:
        self._services, self._target = services, target
        self.artefacts = VerifiedArtefacts(services.registry, services.runtime.wake)
        self._turn = threading.Lock()
        self._versions: dict[VersionKey, VersionRow] = {}
        self._specs: dict[VersionKey, ModelSpec] = {}
        self._applied: object = None
        self._applied_at = float("-inf")
        self._started: dict[VersionKey, float] = {}
        self._late: dict[tuple[str, str], str] = {}

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
            replicas = self._target.replicas()
            with self._services.database.read() as session:
                shares = [_share(row) for row in repository.traffic(session)]
                self._remember_specs(session, shares)
            late = self._start_missing(shares, replicas)
            effective = effective_weights(shares, self._alive(replicas))
            self._apply(shares, effective, replicas)
            self._confirm(shares, effective)
            self._stop_unwanted(shares, replicas)
            if late is not None:
                raise late

    def _alive(self, replicas: Sequence[ReplicaState]) -> set[VersionKey]:
        """Return the versions that can take their weight. A batch version always can: nobody waits for an answer."""
        ready = {one.key for one in replicas if one.state == "ready"}
        return ready | {key for key, spec in self._specs.items() if spec.type is ModelType.BATCH}

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

    def _remember_specs(self, session: Session, shares: Sequence[Share]) -> None:
        for key in (share.key for share in shares):
            if key not in self._specs:
                version = self._services.registry.get_version(session, key.model, key.version)
                self._versions[key], self._specs[key] = version, ModelSpec.model_validate(version.spec)

    def _start_missing(self, shares: Sequence[Share], replicas: Sequence[ReplicaState]) -> PlatformError | None:
        """Start what is missing; what goes wrong is returned, for traffic must not wait for it."""
        late: PlatformError | None = None
        up: dict[VersionKey, list[ReplicaState]] = defaultdict(list)
        for replica in replicas:
            if replica.state != "stopped":
                up[replica.key].append(replica)
        for share in shares:
            present = up[share.key]
            failed = any(replica.state == "failed" for replica in present)
            # A canary that failed is judged by its rollout. What serves or stands by is brought back.
            again = failed and share.state != TrafficState.CANARY
            if len(present) >= share.replicas and not again:
                continue
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

    def _apply(
        self, shares: Sequence[Share], effective: Mapping[VersionKey, int], replicas: Sequence[ReplicaState]
    ) -> None:
        routes = self._routes(shares, effective)
        ready = frozenset((one.key, one.replica, one.port, one.pid) for one in replicas if one.state == "ready")
        wanted = (tuple(routes), ready)
        if wanted == self._applied and time.monotonic() - self._applied_at < _APPLY_AGAIN:
            return
        self._applied = None
        late: dict[tuple[str, str], str] = {}
        try:
            self._target.apply(routes)
        except SomeLate as some:
            late = some.reasons
        self._say_late(late)
        if not late:
            self._applied, self._applied_at = wanted, time.monotonic()

    def _say_late(self, late: dict[tuple[str, str], str]) -> None:
        for (environment, model), reason in late.items():
            if self._late.get((environment, model)) != reason:
                _log.warning("the shares of %s in %s are not as they should be yet: %s", model, environment, reason)
        self._late = late

    def _routes(self, shares: Sequence[Share], effective: Mapping[VersionKey, int]) -> list[Route]:
        places: dict[tuple[str, str], list[Share]] = defaultdict(list)
        for share in shares:
            places[share.key.environment, share.key.model].append(share)
        routes = []
        for (environment, model), members in sorted(places.items()):
            weights = tuple((one.key.version, effective[one.key]) for one in members if effective[one.key])
            if not weights:
                continue  # the first version here is still starting
            weighted = {version for version, _ in weights}
            timeouts = [self._specs[one.key].serving.request_timeout for one in members if one.key.version in weighted]
            routes.append(
                Route(
                    environment=environment,
                    model=model,
                    weights=weights,
                    mirror=next(((one.key.version, one.mirror) for one in members if one.mirror), None),
                    warm=tuple(one.key.version for one in members if one.key.version not in weighted),
                    request_timeout=max(timeouts, default=_USUAL_TIMEOUT),
                )
            )
        return routes

    def _confirm(self, shares: Sequence[Share], effective: Mapping[VersionKey, int]) -> None:
        """Write down what the proxy does now, and record when that is not what was wanted."""
        changed = [
            share
            for share in shares
            if (share.key.environment, share.key.model) not in self._late
            and (share.served != effective[share.key] or share.failed_over != (effective[share.key] < share.weight))
        ]
        if not changed:
            return
        with self._services.database.write() as session:
            rows = {_key(row): row for row in repository.traffic(session, lock=True)}
            for share in changed:
                row = rows.get(share.key)
                if row is None or row.weight != share.weight:
                    continue  # changed meanwhile; the next pass sees to it
                row.served = effective[share.key]
                dead = effective[share.key] < share.weight
                if dead and not row.failed_over:
                    others = _others(share, shares, effective)
                    reason = f"v{row.version} has no live replica; its {row.weight} % of traffic went to {others}"
                    _log.warning("%s", reason)
                    self._record(session, "traffic.failed_over", share.key, reason)
                elif row.failed_over and not dead:
                    reason = f"v{row.version} is back and has its {row.weight} % of traffic again"
                    self._record(session, "traffic.restored", share.key, reason)
                row.failed_over = dead

    def _stop_unwanted(self, shares: Sequence[Share], replicas: Sequence[ReplicaState]) -> None:
        wanted = {share.key for share in shares}
        for key in sorted({replica.key for replica in replicas if replica.state != "stopped"} - wanted):
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
        alive = [one for one in shares if one.key in ready and (one.key.environment, one.key.model) == place]
        if not alive:
            continue
        best = min(alive, key=lambda one: (order[TrafficState(one.state)], -one.key.version))
        effective[best.key] += effective[share.key]
        effective[share.key] = 0
    return effective


def _key(row: Traffic) -> VersionKey:
    return VersionKey(row.environment, row.model, row.version)


def _share(row: Traffic) -> Share:
    return Share(_key(row), row.weight, row.served, row.mirror, row.state, row.failed_over, row.replicas)


def _others(dead: Share, shares: Sequence[Share], effective: Mapping[VersionKey, int]) -> str:
    place = (dead.key.environment, dead.key.model)
    names = [
        f"v{one.key.version}"
        for one in shares
        if (one.key.environment, one.key.model) == place and effective[one.key] and one.key != dead.key
    ]
    return ", ".join(names)
