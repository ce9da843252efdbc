"""supervisord as the keeper of all processes: its configuration, and what is asked of it over its socket."""

import contextlib
import http.client
import os
import shlex
import socket
import threading
import xmlrpc.client
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from backend.deployments.targets.base import TargetUnavailable
from backend.local.folders import Folders

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Program:
    """A process that supervisord keeps running.

    An exit within ``start_seconds`` is a failed start, tried again after 1 s, 2 s, … up to ``start_retries`` times; a
    later exit is followed by a new start at once.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    log: Path
    priority: int = 500
    start_seconds: int = 1
    start_retries: int = 3
    stop_seconds: int = 10
    log_bytes: int = 10_000_000
    log_backups: int = 5


@dataclass(frozen=True)
class ProgramState:
    """A process as supervisord sees it; times are seconds since the epoch and 0 for never."""

    name: str
    state: str
    pid: int
    started: int
    stopped: int
    exit_status: int
    trouble: str

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self.state in {"STARTING", "RUNNING", "STOPPING"} and self.pid > 0


def render_program(program: Program) -> str:
    """Return the program's section of supervisord's configuration."""
    lines = [
        f"[program:{program.name}]",
        f"command={_value(shlex.join(program.command))}",
        f"directory={_value(program.directory)}",
        f"priority={program.priority}",
        "autostart=true",
        "autorestart=true",
        f"startsecs={program.start_seconds}",
        f"startretries={program.start_retries}",
        "stopsignal=TERM",
        f"stopwaitsecs={program.stop_seconds}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(program.log)}",
        f"stdout_logfile_maxbytes={program.log_bytes}",
        f"stdout_logfile_backups={program.log_backups}",
    ]
    return "\n".join(lines) + "\n"


def render_config(folders: Folders, programs: Sequence[Program]) -> str:
    """Return supervisord's whole configuration; model servers are included from ``conf.d``."""
    lines = [
        "[unix_http_server]",
        f"file={_value(folders.socket)}",
        "chmod=0600",
        "",
        "[supervisord]",
        f"logfile={_value(folders.logs / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={_value(folders.supervisor_pid)}",
        f"directory={_value(folders.run)}",
        # supervisord closes that many files, one by one, in each process that it starts, and a SIGTERM that comes in
        # meanwhile is lost. Programs that need more raise their own limit, see backend.local.exec.
        "minfds=1024",
        "umask=077",
        "nodaemon=false",
        *(["user=root"] if os.geteuid() == 0 else []),  # says that running as root is meant
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[include]",
        "files=conf.d/*.ini",  # relative to this file: patterns are split at spaces, and HOME may have some
        "",
    ]
    return "\n".join(lines) + "\n" + "\n".join(render_program(program) for program in programs)


def check_path(path: Path) -> None:
    """Refuse a path that supervisord's configuration has no way to write.

    Raises:
        ValueError: saying which characters are in the way.
    """
    # Comments begin at a blank and ; or #. Some values are expanded twice, so that no number of % signs is right.
    for sequence in ("\n", "\r", " ;", " #", "\t;", "\t#", "%"):
        if sequence in str(path):
            raise ValueError(f"{str(path)!r} holds {sequence!r}, which supervisord can't take literally")


def _value(value: object) -> str:
    text = str(value)
    check_path(Path(text))
    return text


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


class _Transport(SupervisorTransport):  # type: ignore[misc]
    def __init__(self, path: Path) -> None:
        super().__init__(serverurl=f"unix://{path}")
        self._get_connection = lambda: _UnixConnection(path)  # supervisor's own has no timeout


class Supervisor:
    """What is asked of a running supervisord. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._transport = _Transport(path)
        self._rpc = xmlrpc.client.ServerProxy("http://localhost", transport=self._transport).supervisor

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Any]:
        with self._lock:
            try:
                yield self._rpc
            except xmlrpc.client.Fault:
                raise
            except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as fault:
                self._transport.close()
                raise TargetUnavailable(
                    f"the process keeper does not answer at {self._path} ({fault or type(fault).__name__})",
                    fix="Start it with `platform up`.",
                ) from fault

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._transport.close()

    def pid(self) -> int:
        """Return supervisord's own pid."""
        with self._asking() as rpc:
            return int(rpc.getPID())

    def states(self) -> dict[str, ProgramState]:
        """Return all processes by name."""
        with self._asking() as rpc:
            answer = rpc.getAllProcessInfo()
        return {
            str(one["name"]): ProgramState(
                name=str(one["name"]),
                state=str(one["statename"]),
                pid=int(one["pid"]),
                started=int(one["start"]),
                stopped=int(one["stop"]),
                exit_status=int(one["exitstatus"]),
                trouble=str(one["spawnerr"]),
            )
            for one in answer
        }

    def reread(self) -> None:
        """Read the configuration files again; nothing is started or stopped by that."""
        with self._asking() as rpc:
            rpc.reloadConfig()

    def add(self, name: str) -> None:
        """Take a program of the configuration in, which starts it."""
        with self._asking() as rpc, _forgiving(Faults.ALREADY_ADDED):
            rpc.addProcessGroup(name)

    def remove(self, name: str) -> None:
        """Forget a program that has stopped."""
        with self._asking() as rpc, _forgiving(Faults.BAD_NAME, Faults.STILL_RUNNING):
            rpc.removeProcessGroup(name)

    def start(self, name: str) -> None:
        """Start a program that has stopped or failed."""
        with self._asking() as rpc, _forgiving(Faults.ALREADY_STARTED, Faults.SPAWN_ERROR):
            rpc.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Ask a program to end; return at once."""
        with self._asking() as rpc, _forgiving(Faults.NOT_RUNNING, Faults.BAD_NAME):
            rpc.stopProcess(name, False)

    def shut_down(self) -> None:
        """End supervisord with everything that it still keeps."""
        with self._asking() as rpc, _forgiving(Faults.SHUTDOWN_STATE):
            rpc.shutdown()


@contextlib.contextmanager
def _forgiving(*codes: int) -> Iterator[None]:
    """Take faults that say that what was asked for is so already."""
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise TargetUnavailable(f"the process keeper refused: {fault.faultString}") from fault
