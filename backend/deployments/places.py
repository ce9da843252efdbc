"""What is wanted and what runs, sorted by model and environment, so that a pass looks at those where something changed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.deployments.targets.base import ReplicaState, VersionKey

PlaceKey = tuple[str, str]
"""Environment and model."""


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
    experiment: str | None = None
    key_header: str | None = None

    @property
    def is_shadow(self) -> bool:
        """Whether it only ever gets copies of requests, since a shadow run is all that it is here for."""
        return self.experiment is not None and self.key_header is None


@dataclass(frozen=True)
class Place:
    """A model in an environment: its versions' shares, and what runs there."""

    shares: tuple[Share, ...] = ()
    replicas: tuple[ReplicaState, ...] = ()


@dataclass
class Places:
    """All places as they were seen last."""

    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _rows_at: dict[PlaceKey, list[tuple[Any, ...]]] = field(default_factory=dict)
    _replicas: list[ReplicaState] = field(default_factory=list)
    _replicas_at: dict[PlaceKey, list[ReplicaState]] = field(default_factory=dict)

    def keys(self) -> set[PlaceKey]:
        """Return where anything is wanted or runs."""
        return self._rows_at.keys() | self._replicas_at.keys()

    def at(self, place: PlaceKey) -> Place:
        """Return what is known of a place."""
        shares = tuple(_share(row) for row in self._rows_at.get(place, ()))
        return Place(shares, tuple(self._replicas_at.get(place, ())))

    def want(self, rows: Sequence[tuple[Any, ...]]) -> set[PlaceKey]:
        """Take the desired traffic over, as :func:`repository.shares` reads it; return where it is another one."""
        if rows == self._rows:
            return set()
        found: dict[PlaceKey, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            found[row[0], row[1]].append(row)
        changed = _differences(self._rows_at, found)
        self._rows, self._rows_at = list(rows), dict(found)
        return changed

    def see(self, replicas: Sequence[ReplicaState]) -> set[PlaceKey]:
        """Take over what runs; return where it is not what ran before."""
        if replicas == self._replicas:
            return set()
        found: dict[PlaceKey, list[ReplicaState]] = defaultdict(list)
        for one in replicas:
            found[one.key.environment, one.key.model].append(one)
        changed = _differences(self._replicas_at, found)
        self._replicas, self._replicas_at = list(replicas), dict(found)
        return changed


def _differences(before: dict[PlaceKey, Any], now: dict[PlaceKey, Any]) -> set[PlaceKey]:
    return {place for place in before.keys() | now.keys() if before.get(place) != now.get(place)}


def _share(row: tuple[Any, ...]) -> Share:
    environment, model, version, *rest = row
    return Share(VersionKey(environment, model, version), *rest)
