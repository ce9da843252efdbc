"""The embedded serving target: supervisord keeps the servers, Envoy moves the traffic."""

import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from backend.core.config import Settings
from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    VersionKey,
    WarmResult,
)
from backend.deployments.targets.local.admin import EnvoyAdmin
from backend.deployments.targets.local.keeper import Keeper, ServerSettings
from backend.deployments.targets.local.logs import read_logs
from backend.deployments.targets.local.plan import plan_traffic
from backend.deployments.targets.local.samples import SampleReader
from backend.deployments.targets.local.supervisor import Supervisor
from backend.deployments.targets.local.warm import AnswerRefused, send_batches, trial_batches
from backend.deployments.targets.local.watch import Watch
from backend.deployments.targets.local.xds import XdsFiles
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from backend.local.folders import Folders
from mlplatform.redaction import redact
from mlplatform.spec.model import ModelSpec

LAUNCHER = (sys.executable, "-I", "-m", "backend.deployments.targets.local.launch")


class LocalTarget:
    """Implements :class:`backend.deployments.targets.base.Target` on this machine; safe to share between threads."""

    def __init__(self, folders: Folders, servers: ServerSettings, *, admin_port: int) -> None:
        folders.make()
        self._folders = folders
        self._supervisor = Supervisor(folders.socket)
        self._admin = EnvoyAdmin(admin_port)
        self._xds = XdsFiles(folders.xds, self._admin)
        self._keeper = Keeper(folders, self._supervisor, servers)
        self._watch = Watch(folders, self._supervisor, self._keeper)
        self._samples = SampleReader(self._admin)
        self._applying = threading.Lock()
        self._sampling = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the target that the settings describe."""
        return cls(Folders(settings.home), server_settings(settings), admin_port=settings.ingress.admin_port)

    def start(self, spec: ReplicaSetSpec, stream: tuple[str, ...] | None = None) -> None:
        """Have the version running; return at once. With ``stream`` its servers consume one, as these arguments say."""
        self._keeper.start(spec, stream)
        self._watch.look()
        self._watch.wake()

    @property
    def supervisor(self) -> Supervisor:
        """The keeper of all processes."""
        return self._supervisor

    def consuming(self) -> set[VersionKey]:
        """Return the versions whose servers consume a stream."""
        return {key for key, version in self._keeper.files.all().items() if version.stream is not None}

    def environment_of(self, key: VersionKey) -> Path | None:
        """Return the folder with a version's ``model.yaml``, if it was started."""
        version = self._keeper.files.get(key)
        return None if version is None else version.environment

    def stop(self, key: VersionKey) -> None:
        """Drain and stop all replicas of the version."""
        self._keeper.stop(key)
        self._watch.look()
        self._watch.wake()

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return all replicas (of one version), at most half a second old."""
        found = self._watch.replicas()
        return [replica for replica in found if key is None or replica.key == key]

    def apply(self, routes: Sequence[Route]) -> None:
        """Make this the whole traffic and return when Envoy has taken it over."""
        with self._applying:
            ports = {key: version.ports for key, version in self._keeper.files.all().items()}
            self._watch.look()
            plans = plan_traffic(routes, ports, self._watch.replicas())
            self._xds.apply(plans)

    def acknowledged(self) -> bool:
        """Tell whether Envoy is up and runs on the traffic that was applied last."""
        return self._xds.acknowledged()

    def sample(self) -> dict[VersionKey, Sample]:
        """Return the figures of all versions that Envoy knows; they only grow as long as this object lives."""
        with self._sampling:
            return self._samples.read()

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult:
        """Send trial requests to each replica directly and check the answers."""
        self._watch.look()
        version = self._keeper.files.get(key)
        replicas = self.replicas(key)
        missing = [replica.replica for replica in replicas if replica.state != "ready"]
        if version is None or not replicas or missing:
            which = f"replica {missing[0]} of {key} is" if missing else f"{key} is"
            return WarmResult(ok=False, requests=0, message=f"{which} not ready")
        batches = trial_batches(spec, version.artefact_dir / "model")
        sent = 0
        for replica in replicas:
            if replica.port is None:
                continue
            try:
                sent += send_batches(replica.port, spec, batches)
            except AnswerRefused as fault:
                message = f"replica {replica.replica} of {key}: {redact(str(fault))}"
                return WarmResult(ok=False, requests=sent, message=message)
        return WarmResult(
            ok=True, requests=sent, message=f"{sent} trial requests to {len(replicas)} replicas were answered well"
        )

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield the last lines of each replica, then follow; logs of stopped versions are kept."""

        def running() -> bool:
            return any(self._keeper.files.get(key) is not None for key in keys)

        return read_logs(self._folders, keys, tail=tail, follow=follow, running=running, wanted=wanted)

    def close(self) -> None:
        """Let go of threads and connections; nothing that runs is stopped."""
        self._watch.close()
        self._supervisor.close()
        self._admin.close()


def server_settings(settings: Settings) -> ServerSettings:
    """Return how the settings want model servers to be run."""
    python: Path | None = settings.serving.python
    return ServerSettings(
        launcher=LAUNCHER,
        port_range=settings.serving.port_range,
        python=python,
        command=tuple(settings.serving.command or ()),
        log_bytes=settings.serving.log_bytes,
        log_backups=settings.serving.log_backups,
        collector=settings.telemetry.otlp.endpoint if settings.telemetry.otlp else None,
        logs_too=settings.telemetry.otlp is None or settings.telemetry.otlp.logs,
        sample_ratio=settings.telemetry.sample_ratio,
    )
