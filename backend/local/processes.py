"""Processes that outlive whoever started them: known by pid and start time, so that a reused pid is never hit.

Standard library only: the launcher of every model server imports this.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRecord:
    """A process that was started: ``started`` tells it from a later one with the same pid."""

    name: str
    pid: int
    started: str

    def alive(self) -> bool:
        """Tell whether that very process still runs."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> str | None:
    """Return when a process started, in a form that is only good for comparison; ``None`` if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _start_time_elsewhere(pid)
    except ProcessLookupError:
        return None
    # The name in parentheses may hold spaces and parentheses; the fields after it do not.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return f"{_boot_id()}:{fields[19]}"


def _start_time_elsewhere(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _boot_id() -> str:
    # Start times count from boot: after a reboot another process may have the same pid and the same figure.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def record(folder: Path, name: str, pid: int | None = None) -> ProcessRecord:
    """Write down that a process (this one by default) goes by that name from now on."""
    pid = os.getpid() if pid is None else pid
    entry = ProcessRecord(name, pid, start_time(pid) or "")
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{pid}"
    temporary.write_text(json.dumps({"pid": entry.pid, "started": entry.started}), encoding="utf-8")
    temporary.replace(folder / f"{name}.json")
    return entry


def recorded(folder: Path) -> list[ProcessRecord]:
    """Return the recorded processes that still run, and forget those that don't."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            one = ProcessRecord(path.stem, int(entry["pid"]), str(entry["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if one.alive():
            found.append(one)
        else:
            path.unlink(missing_ok=True)
    return found


def stop_all(processes: Iterable[ProcessRecord], *, patience: float) -> list[ProcessRecord]:
    """Ask processes to end, kill their process groups when they have not after ``patience`` seconds.

    Returns those which had to be killed.
    """
    left = [one for one in processes if one.alive()]
    for one in left:
        _signal(one, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [one for one in left if one.alive()]
    for one in left:
        _signal(one, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(one.alive() for one in left) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return left


def _signal(process: ProcessRecord, number: signal.Signals) -> None:
    try:
        leads_group = os.getpgid(process.pid) == process.pid
        if number == signal.SIGKILL and leads_group:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return
