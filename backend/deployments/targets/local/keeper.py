"""Starts and stops model servers: brings what supervisord runs in line with the records of what should run."""

import fcntl
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend.core.errors import Conflict
from backend.deployments.targets.base import ReplicaSetSpec, VersionKey
from backend.deployments.targets.local.logs import log_path
from backend.deployments.targets.local.supervisor import Program, ProgramState, Supervisor, render_program
from backend.deployments.targets.local.versions import (
    Version,
    VersionFiles,
    parse_program,
    port_is_free,
    program_name,
)
from backend.local.folders import Folders

_TRY_AGAIN_AFTER = 10.0
"""Seconds between a replica's final failure and a new attempt by :meth:`Keeper.start`."""
_STARTS_AGAIN = 3
_SPARE_STOP_SECONDS = 5
_FAILED = frozenset({"FATAL", "EXITED", "UNKNOWN"})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """How model servers are run on this machine."""

    launcher: tuple[str, ...]
    """Command that starts ``launch.py``."""
    port_range: tuple[int, int]
    python: Path | None = None
    command: tuple[str, ...] = ()
    log_bytes: int = 10_000_000
    log_backups: int = 5
    collector: str | None = None
    """Where spans are sent, and lines of logs."""
    logs_too: bool = True
    sample_ratio: float = 0.0
    """Part of the requests without a usable trace of their own that spans are made of."""


class Keeper:
    """Changes what runs. Processes and threads take turns by a lock file."""

    def __init__(self, folders: Folders, supervisor: Supervisor, settings: ServerSettings) -> None:
        self._folders = folders
        self._supervisor = supervisor
        self._settings = settings
        self._thread_lock = threading.Lock()
        self.files = VersionFiles(folders)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold everybody else off ``run/``."""
        with self._thread_lock, self._folders.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def start(self, spec: ReplicaSetSpec, stream: tuple[str, ...] | None = None) -> None:
        """Record that the version should run, and start what does not. With ``stream`` it consumes as these arguments say.

        Raises:
            Conflict: the version runs already with other content.
            TargetUnavailable: supervisord is down (it starts the version when it is up again), or no port is free.
        """
        with self.locked():
            present = self.files.get(spec.key)
            if present is not None and present.digest != spec.digest:
                raise Conflict(
                    f"{spec.key} runs already, with digest {present.digest[:12]}; a version never changes its content",
                    fix="Stop it first.",
                )
            if present is None or not present.same_as(spec, stream):
                self.files.put(self._recorded(spec, present, stream))
            version = self.files.get(spec.key)
            if version is not None:
                self._run(version, self._supervisor.states(), again=True)

    def stop(self, key: VersionKey) -> None:
        """Record that the version should not run, and ask its servers to end."""
        with self.locked():
            version = self.files.get(key)
            if version is None:
                return
            if version.wanted != "stopped":
                version = replace(version, wanted="stopped")
                self.files.put(version)
            self._unlist(version)
            self._end(version, self._supervisor.states())

    def converge(self, states: dict[str, ProgramState]) -> None:
        """Finish what :meth:`start` and :meth:`stop` began: called again and again."""
        with self.locked():
            for version in self.files.all().values():
                if version.wanted == "running":
                    self._run(version, states, again=False)
                else:
                    self._unlist(version)
                    self._end(version, states)

    def settled(self, states: dict[str, ProgramState]) -> bool:
        """Tell whether :meth:`converge` would have nothing to do."""
        versions = self.files.all().values()
        wanted = {name for one in versions if one.wanted == "running" for name in one.programs.values()}
        servers = {name for name in states if parse_program(name)}
        idle = {name for name in wanted & servers if states[name].state == "STOPPED"}
        return all(one.wanted == "running" for one in versions) and wanted == servers and not idle

    def list_all(self) -> None:
        """Write supervisord's files for all records anew; what should not run is forgotten.

        For when supervisord is not running: after this it starts all that should run. A port that someone else has
        taken meanwhile is replaced.
        """
        with self.locked():
            for path in self._folders.programs.glob("*.ini"):
                path.unlink()
            for version in self.files.all().values():
                if version.wanted != "running":
                    self._forget(version)
                    continue
                free = [port for port in version.ports if port_is_free(port)]
                if len(free) < len(version.ports):
                    ports = self.files.free_ports(len(version.ports), self._settings.port_range, keep=free)
                    version = replace(version, ports=ports)
                    self.files.put(version)
                self._list(version)

    def _recorded(self, spec: ReplicaSetSpec, present: Version | None, stream: tuple[str, ...] | None) -> Version:
        keep = present.ports if present is not None else ()
        ports = self.files.free_ports(spec.replicas, self._settings.port_range, keep=keep)
        restarted = present is None or present.wanted == "stopped"
        return Version(
            key=spec.key,
            digest=spec.digest,
            artefact_dir=spec.artefact_dir,
            ports=ports,
            startup_seconds=max(1, round(spec.spec.serving.startup_timeout.total_seconds())),
            drain_seconds=max(1, round(spec.spec.serving.drain_timeout.total_seconds())),
            was_ready=() if restarted or present is None else present.was_ready,
            stream=stream,
        )

    def _run(self, version: Version, states: dict[str, ProgramState], *, again: bool) -> None:
        names = set(version.programs.values())
        if self._list(version) or not names <= set(states):
            self._supervisor.reread()
        for name in names:
            state = states.get(name)
            if state is None:
                self._supervisor.add(name)
            elif state.state == "STOPPED":
                self._supervisor.start(name)
            elif again and state.state in _FAILED and time.time() - state.stopped >= _TRY_AGAIN_AFTER:
                # Taken out and in again rather than started, so that its earlier failures are forgotten.
                self._supervisor.remove(name)
                self._supervisor.add(name)
        surplus = {name for name in states if _belongs(name, version.key)} - names
        for name in surplus:
            self._drop(name, states[name])

    def _end(self, version: Version, states: dict[str, ProgramState]) -> None:
        mine = [state for name, state in states.items() if _belongs(name, version.key)]
        for state in mine:
            self._drop(state.name, state)
        if not mine:
            self._forget(version)

    def _drop(self, name: str, state: ProgramState) -> None:
        """Go one step towards a program's end."""
        self._ini(name).unlink(missing_ok=True)
        if state.state in {"STARTING", "RUNNING", "BACKOFF"}:
            self._supervisor.stop(name)
        elif state.state != "STOPPING":
            self._supervisor.remove(name)

    def _forget(self, version: Version) -> None:
        for replica in range(max(len(version.ports), 20)):
            name = program_name(version.key, replica)
            shutil.rmtree(self._folders.scratch / name, ignore_errors=True)
            (self._folders.pids / f"{name}.json").unlink(missing_ok=True)
        self.files.forget(version.key)

    def _unlist(self, version: Version) -> None:
        for name in version.programs.values():
            self._ini(name).unlink(missing_ok=True)

    def _list(self, version: Version) -> bool:
        """Write the version's files for supervisord; tell whether any was new or changed."""
        changed = False
        for replica, name in version.programs.items():
            text = render_program(self._program(version, replica, name))
            path = self._ini(name)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                changed = True
        return changed

    def _program(self, version: Version, replica: int, name: str) -> Program:
        settings = self._settings
        path = log_path(self._folders, version.key, replica)
        path.parent.mkdir(parents=True, exist_ok=True)
        options = ["--python", str(settings.python)] if settings.python else []
        if settings.collector:
            options += ["--collector", settings.collector, "--sample-ratio", f"{settings.sample_ratio:g}"]
            options += [] if settings.logs_too else ["--no-logs"]
        command = ["--", *settings.command] if settings.command else []
        return Program(
            name=name,
            command=(*settings.launcher, *options, str(self._folders.home), name, *command),
            directory=self._folders.run,
            log=path,
            # An exit before this counts as a failed start, and those are the ones that are not repeated for ever.
            start_seconds=version.startup_seconds,
            start_retries=_STARTS_AGAIN,
            stop_seconds=version.drain_seconds + _SPARE_STOP_SECONDS,
            log_bytes=settings.log_bytes,
            log_backups=settings.log_backups,
        )

    def _ini(self, name: str) -> Path:
        return self._folders.programs / f"{name}.ini"


def _belongs(program: str, key: VersionKey) -> bool:
    parsed = parse_program(program)
    return parsed is not None and parsed[0] == key
