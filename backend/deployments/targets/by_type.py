"""One target made of several: each version runs where its type does."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from backend.core.errors import PlatformError
from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    SomeLate,
    Target,
    VersionKey,
    WarmResult,
)
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from mlplatform.spec.model import ModelSpec, ModelType


class TargetsByType:
    """Implements :class:`backend.deployments.targets.base.Target` by passing each version on to where its type runs.

    ``serving`` has what answers requests, ``others`` the remaining types. ``type_of`` says of which type a version (model and
    number) is; that never changes.
    """

    def __init__(self, serving: Target, others: Mapping[ModelType, Target], type_of: Callable[[str, int], str]) -> None:
        self._targets: dict[ModelType, Target] = {ModelType.REALTIME: serving, **others}
        self._type_of = type_of
        self._types: dict[tuple[str, int], ModelType] = {}

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
        return [replica for target in self._targets.values() for replica in target.replicas()]

    def apply(self, routes: Sequence[Route]) -> None:
        """Make this the whole traffic; a target that does not answer holds up none of the others."""
        failed: PlatformError | None = None
        late: dict[tuple[str, str], str] = {}
        for kind, target in self._targets.items():
            try:
                target.apply([route for route in routes if self._type_of_route(route) == kind])
            except SomeLate as some:
                late |= some.reasons
            except PlatformError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        if late:
            raise SomeLate(late)

    def sample(self) -> dict[VersionKey, Sample]:
        """Return the figures of all versions that are asked something."""
        return {key: sample for target in self._targets.values() for key, sample in target.sample().items()}

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Try the version out; ``None`` while that goes on."""
        return self._of(key).warm(key, spec)

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield the last lines of each replica or run, then follow."""
        return self._of(keys[0]).logs(keys, tail, follow, wanted)

    def close(self) -> None:
        """Let go of what the targets hold."""
        for target in self._targets.values():
            if (close := getattr(target, "close", None)) is not None:
                close()

    def _type_of_route(self, route: Route) -> ModelType:
        (version, _), *_ = route.weights
        return self._type(route.model, version)

    def _of(self, key: VersionKey) -> Target:
        return self._targets[self._type(key.model, key.version)]

    def _type(self, model: str, version: int) -> ModelType:
        if (model, version) not in self._types:
            self._types[model, version] = ModelType(self._type_of(model, version))
        return self._types[model, version]
