"""The backend as a process of its own, for :mod:`benchmarks.overview`: with its engine, over a stand-in for machines."""

import json
import sys
from collections.abc import Iterator, Sequence

import uvicorn

from backend.app import create_app
from backend.core.config import Settings
from backend.deployments import repository
from backend.deployments.engine import RolloutEngine
from backend.deployments.targets.base import ReplicaSetSpec, ReplicaState, Route, Sample, VersionKey, WarmResult
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from backend.main import answer_first
from mlplatform.spec.model import ModelSpec


class AlwaysReady:
    """A target on which everything that is wanted runs: thousands of model servers don't fit on one machine."""

    def __init__(self, running: Sequence[VersionKey]) -> None:
        self._replicas = [ReplicaState(key, 0, "ready", 20000, None, None) for key in running]

    def start(self, spec: ReplicaSetSpec) -> None:
        """Do nothing."""

    def stop(self, key: VersionKey) -> None:
        """Do nothing."""

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return one replica of each version, made anew as a look at real processes does."""
        return [
            ReplicaState(one.key, one.replica, one.state, one.port, one.pid, one.message)
            for one in self._replicas
            if key is None or one.key == key
        ]

    def apply(self, routes: Sequence[Route]) -> None:
        """Do nothing."""

    def sample(self) -> dict[VersionKey, Sample]:
        """Return nothing."""
        return {}

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Say that it is well."""
        return WarmResult(ok=True, requests=0, message="not tried")

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield nothing."""
        yield from ()


def main() -> None:
    """Serve with the settings that are given as JSON on standard input."""
    settings = Settings.model_validate(json.load(sys.stdin))
    answer_first()
    app = create_app(settings)
    services = app.state.services
    with services.database.read() as session:
        running = [VersionKey(*row[:3]) for row in repository.shares(session)]
    services.engine = RolloutEngine(services, AlwaysReady(running))
    uvicorn.run(app, port=settings.backend.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
