"""Streaming versions on this machine: kept as model servers are, with a share of a stream instead of one of requests."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backend.core.config import Settings
from backend.core.config_streams import BrokerSettings
from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    SomeLate,
    TargetUnavailable,
    VersionKey,
    WarmResult,
)
from backend.deployments.targets.local.launch import IN_HOME
from backend.deployments.targets.local.target import LocalTarget
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from backend.deployments.targets.streaming.figures import WorkerFigures
from backend.deployments.targets.streaming.shares import move_shares
from backend.deployments.targets.streaming.workers import Worker
from backend.local import nats
from backend.local.brokers import broker_of, is_own, missing
from backend.local.folders import Folders
from mlplatform.spec.load import SpecError, load_spec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.quantities import memory_bytes


class StreamingTarget:
    """Implements :class:`backend.deployments.targets.base.Target` for streaming versions.

    Their processes are those of a :class:`LocalTarget`, which tells of them when it is asked for all replicas.
    """

    def __init__(self, settings: Settings, servers: LocalTarget) -> None:
        self._settings, self._servers = settings, servers
        self._folders = Folders(settings.home)
        self._figures = WorkerFigures()

    def start(self, spec: ReplicaSetSpec) -> None:
        """Have the version running; return at once. What it answers for is decided by :meth:`apply`."""
        streaming = spec.spec.streaming
        assert streaming is not None
        environment = spec.key.environment
        broker = broker_of(self._settings, environment, streaming.broker)
        if broker is None:
            said, fix = missing(environment, streaming.broker)
            raise TargetUnavailable(said, fix=fix)
        if is_own(self._settings, broker):
            nats.ensure(self._folders, self._settings, self._servers.supervisor)
        control = self._folders.streams / control_name(environment, spec.key.model)
        arguments = ["--control", self._in_home(control), *self._arguments(broker)]
        self._servers.start(spec, stream=tuple(arguments))

    def stop(self, key: VersionKey) -> None:
        """Drain and stop all replicas of the version."""
        self._servers.stop(key)

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return the replicas of one version, with what keeps them from being ready. The keeper of all tells of all."""
        if key is None:
            return []
        return [self._told(replica) for replica in self._servers.replicas(key)]

    def apply(self, routes: Sequence[Route]) -> None:
        """Make this the shares of all streams; a model whose broker is away holds up no other."""
        late: dict[tuple[str, str], str] = {}
        for route in routes:
            path = self._folders.streams / control_name(route.environment, route.model)
            try:
                move_shares(path, route, self._workers(route), latest=self._begins_late(route))
            except TargetUnavailable as error:
                late[route.environment, route.model] = error.detail
            except OSError as error:
                late[route.environment, route.model] = f"{path.name} can't be written: {error.strerror or error}"
        if late:
            raise SomeLate(late)

    def sample(self) -> dict[VersionKey, Sample]:
        """Return the figures that the workers themselves keep."""
        consuming = self._servers.consuming()
        workers = [
            worker for replica in self._servers.replicas() if replica.key in consuming for worker in _ready(replica)
        ]
        return self._figures.read(workers)

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Send trial requests to each replica directly: a worker answers them as a model server does."""
        return self._servers.warm(key, spec)

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield the last lines of each replica, then follow."""
        return self._servers.logs(keys, tail, follow, wanted)

    def _arguments(self, broker: BrokerSettings) -> list[str]:
        arguments = {
            "--broker": broker.url,
            "--subject-prefix": broker.prefix,
            "--retention": f"{round(broker.retention.total_seconds())}s",
            "--stream-bytes": str(memory_bytes(broker.stream_bytes) // 1024) + "Ki",
            "--duplicate-window": f"{round(broker.duplicate_window.total_seconds())}s",
        }
        if broker.credentials is not None:
            arguments["--broker-credentials"] = self._in_home(broker.credentials)
        parts = [part for pair in arguments.items() for part in pair]
        return parts if broker.create else [*parts, "--existing"]

    def _in_home(self, path: Path) -> str:
        home = self._folders.home
        return f"{IN_HOME}{path.relative_to(home)}" if path.is_relative_to(home) else str(path)

    def _workers(self, route: Route) -> list[Worker]:
        versions = [version for version, _ in route.weights] + list(route.warm)
        if route.mirror is not None:
            versions.append(route.mirror[0])
        keys = [VersionKey(route.environment, route.model, version) for version in dict.fromkeys(versions)]
        return [worker for key in keys for replica in self._servers.replicas(key) for worker in _ready(replica)]

    def _begins_late(self, route: Route) -> bool:
        version = max(route.weights, key=lambda pair: pair[1])[0]
        folder = self._servers.environment_of(VersionKey(route.environment, route.model, version))
        if folder is None:
            return False
        try:
            streaming = load_spec(folder / "model.yaml").streaming
        except (OSError, SpecError):
            return False
        return streaming is not None and streaming.begin == "latest"

    def _told(self, replica: ReplicaState) -> ReplicaState:
        if replica.state != "starting" or replica.port is None or replica.pid is None:
            return replica
        state = Worker(replica.key, replica.replica, replica.port).assignment()
        trouble = state.get("trouble") if state is not None else None
        return replace(replica, message=str(trouble)) if trouble else replica


def control_name(environment: str, model: str) -> str:
    """Return the file name of a model's control file."""
    return f"{environment}--{model}.json"


def _ready(replica: ReplicaState) -> list[Worker]:
    if replica.state != "ready" or replica.port is None:
        return []
    return [Worker(replica.key, replica.replica, replica.port)]
