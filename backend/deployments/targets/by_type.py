"""One target made of several: model servers for what answers requests, runs for batch versions."""

from collections.abc import Callable, Iterator, Sequence

from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    Target,
    VersionKey,
    WarmResult,
)
from mlplatform.spec.model import ModelSpec, ModelType


class TargetsByType:
    """Implements :class:`backend.deployments.targets.base.Target` by passing each version on to where its type runs.

    ``type_of`` says of which type a version (model and number) is; that never changes.
    """

    def __init__(self, serving: Target, batch: Target, type_of: Callable[[str, int], str]) -> None:
        self.serving, self.batch = serving, batch
        self._type_of = type_of
        self._types: dict[tuple[str, int], str] = {}

    def start(self, spec: ReplicaSetSpec) -> None:
        """Have the version running; return at once."""
        self._of(spec.key).start(spec)

    def stop(self, key: VersionKey) -> None:
        """Stop the version."""
        self._of(key).stop(key)

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return all replicas (of one version)."""
        if key is not None:
            return self._of(key).replicas(key)
        return [*self.serving.replicas(), *self.batch.replicas()]

    def apply(self, routes: Sequence[Route]) -> None:
        """Make this the whole traffic of the model servers."""
        self.serving.apply([route for route in routes if self._is_served(route)])

    def sample(self) -> dict[VersionKey, Sample]:
        """Return the figures of all versions that are asked something."""
        return {**self.serving.sample(), **self.batch.sample()}

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Try the version out; ``None`` while that goes on."""
        return self._of(key).warm(key, spec)

    def logs(self, key: VersionKey, tail: int, follow: bool) -> Iterator[str]:
        """Yield the last lines of each replica or run, then follow."""
        return self._of(key).logs(key, tail, follow)

    def close(self) -> None:
        """Let go of what the targets hold."""
        for target in (self.serving, self.batch):
            if (close := getattr(target, "close", None)) is not None:
                close()

    def _is_served(self, route: Route) -> bool:
        (version, _), *_ = route.weights
        return self._of(VersionKey(route.environment, route.model, version)) is self.serving

    def _of(self, key: VersionKey) -> Target:
        version = (key.model, key.version)
        if version not in self._types:
            self._types[version] = self._type_of(*version)
        return self.batch if self._types[version] == ModelType.BATCH else self.serving
