"""Keeps an eye on the model servers in the background, so that asking for their state costs nothing."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from backend.deployments.targets.base import ReplicaPhase, ReplicaState, TargetUnavailable, VersionKey
from backend.deployments.targets.local.keeper import Keeper
from backend.deployments.targets.local.logs import last_message, log_path
from backend.deployments.targets.local.probe import probe_all
from backend.deployments.targets.local.supervisor import ProgramState, Supervisor
from backend.deployments.targets.local.versions import Version
from backend.local.folders import Folders
from backend.local.processes import recorded

_BUSY_SECONDS = 0.1
"""Between two looks while something starts or stops."""
_QUIET_SECONDS = 0.4
_STALE_SECONDS = 3.0
_MISSES = 3
"""Unanswered probes in a row until a server that was ready counts as not ready: a full machine is no dead server."""

log = logging.getLogger(__name__)


@dataclass
class _Health:
    pid: int
    ready: bool = False
    misses: int = 0
    status: int | None = None


class Watch:
    """Snapshots of all replicas, renewed by one daemon thread."""

    def __init__(self, folders: Folders, supervisor: Supervisor, keeper: Keeper) -> None:
        self._folders = folders
        self._supervisor = supervisor
        self._keeper = keeper
        self._health: dict[tuple[VersionKey, int], _Health] = {}
        self._messages: dict[tuple[VersionKey, int, int], str | None] = {}
        self._replicas: list[ReplicaState] = []
        self._taken = float("-inf")
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False

    def replicas(self) -> list[ReplicaState]:
        """Return the last snapshot; take one if there is no recent one."""
        self._ensure_thread()
        if time.monotonic() - self._taken > _STALE_SECONDS:
            self.look()
        return self._replicas

    def look(self) -> None:
        """Take a snapshot now."""
        with self._lock:
            versions = self._keeper.files.all()
            try:
                states: Mapping[str, ProgramState] | None = self._supervisor.states()
            except TargetUnavailable:
                # Servers live on without their keeper; its records of pids then say which.
                states = None
            pids = _pids(states) if states is not None else self._recorded_pids()
            running = [
                (version, replica)
                for version in versions.values()
                for replica, name in version.programs.items()
                if name in pids
            ]
            statuses = probe_all(version.ports[replica] for version, replica in running)
            for version, replica in running:
                self._note(version, replica, pids[version.programs[replica]], statuses[version.ports[replica]])
            self._replicas = [
                self._state(version, replica, name, pids, states)
                for version in versions.values()
                for replica, name in version.programs.items()
            ]
            self._taken = time.monotonic()

    def wake(self) -> None:
        """Have the thread look at once."""
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._run, name="serving-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closing:
            busy = True
            try:
                self.look()
                busy = any(replica.state in {"starting", "stopped"} for replica in self._replicas)
                states = self._supervisor.states()
                if not self._keeper.settled(states):
                    busy = True
                    self._keeper.converge(states)
            except TargetUnavailable:
                busy = False  # the keeper is down; whoever needs it now gets the error
            except Exception:
                log.exception("watching the model servers failed; going on")
            self._wake.wait(_BUSY_SECONDS if busy else _QUIET_SECONDS)
            self._wake.clear()

    def _recorded_pids(self) -> dict[str, int]:
        return {process.name: process.pid for process in recorded(self._folders.pids)}

    def _note(self, version: Version, replica: int, pid: int, status: int | None) -> None:
        health = self._health.get((version.key, replica))
        if health is None or health.pid != pid:
            health = self._health[version.key, replica] = _Health(pid)
        health.status = status
        health.misses = 0 if status is not None else health.misses + 1
        if status is not None:
            health.ready = status == 200
        elif health.misses >= _MISSES:
            health.ready = False
        if health.ready and replica not in version.was_ready:
            with self._keeper.locked():
                self._keeper.files.mark_ready(version.key, replica)

    def _state(
        self,
        version: Version,
        replica: int,
        name: str,
        pids: Mapping[str, int],
        states: Mapping[str, ProgramState] | None,
    ) -> ReplicaState:
        pid = pids.get(name)
        program = states.get(name) if states is not None else None
        phase, message = self._judge(version, replica, pid, program)
        return ReplicaState(
            key=version.key, replica=replica, state=phase, port=version.ports[replica], pid=pid, message=message
        )

    def _judge(
        self, version: Version, replica: int, pid: int | None, program: ProgramState | None
    ) -> tuple[ReplicaPhase, str | None]:
        if version.wanted == "stopped":
            return "stopped", "draining" if pid is not None else None
        health = self._health.get((version.key, replica))
        was_ready = replica in version.was_ready
        if pid is not None and health is not None and health.pid == pid:
            if health.ready:
                return "ready", None
            was_ready = was_ready or health.ready
        ended = program is not None and program.stopped > 0
        if ended and program is not None and (pid is None or not was_ready):
            # A server that ended before it was ever ready has failed, however often supervisord tries it again.
            return "failed", self._why(version, replica, program)
        if pid is None:
            return "starting", None
        if was_ready and health is not None:
            answer = "does not answer" if health.status is None else f"answers {health.status}"
            return "starting", f"readiness {answer}"
        return "starting", None

    def _why(self, version: Version, replica: int, program: ProgramState) -> str:
        # The log is read once per failure, not at every look.
        memo = (version.key, replica, program.stopped)
        if memo not in self._messages:
            said = last_message(log_path(self._folders, version.key, replica)) or "it wrote nothing to its log"
            self._messages[memo] = said
        status = f" with status {program.exit_status}" if program.exit_status > 0 else ""
        if replica not in version.was_ready:
            return f"the model server ended{status} before it was ready; its last words: {self._messages[memo]}"
        return f"the model server ended{status}: {self._messages[memo]}"


def _pids(states: Mapping[str, ProgramState]) -> dict[str, int]:
    return {name: state.pid for name, state in states.items() if state.runs}
