"""Batch jobs: processes that outlive the backend, known by a lock that the system lets go of when they die.

A job is a file that says what to run, another that the process writes its events to, and a lock that it holds for as long as
it lives. So a backend that was killed finds its jobs again, whoever started them, and two that start the same job at the
same moment have it run once: the second process finds the lock taken and goes.
"""

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.local.folders import Folders
from backend.local.processes import recorded, stop_all

LAUNCHER = (sys.executable, "-I", "-m", "backend.batch.launch")
RECORD = "job--"
"""What the names of jobs begin with among the records of processes."""
_TAIL = 65_536
_PATIENCE = 2.0
"""Seconds that a job has to end by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to run: a module of the toolkit in the environment of an artefact, or only to make that environment."""

    name: str
    artefact: Path
    """The bundle's folder, with ``model/`` and ``environment/``."""
    module: str | None
    arguments: tuple[str, ...]
    log: Path
    variables: tuple[str, ...] = ()
    """Names of environment variables that the process gets besides the harmless ones."""


@dataclass(frozen=True)
class JobState:
    """A job as it is now. One that does not run and has not said a last word was killed, if it had begun."""

    runs: bool
    begun: bool
    progress: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None


@dataclass
class Jobs:
    """The jobs under one HOME. Safe to share between threads."""

    folders: Folders
    python: Path | None = None
    """Interpreter for all jobs, instead of an environment per lock file."""
    collector: str | None = None
    """OpenTelemetry collector that their logs are sent to; none if null."""
    _children: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, job: Job) -> None:
        """Start a job; one that runs already goes on."""
        for folder in (self.folders.jobs, job.log.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {
            "artefact": str(job.artefact),
            "module": job.module,
            "arguments": list(job.arguments),
            "log": str(job.log),
            "variables": list(job.variables),
            "python": str(self.python) if self.python else None,
            "collector": self.collector,
        }
        path = self._path(job.name, "json")
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(path)
        with self._lock:
            self._children[job.name] = subprocess.Popen(
                [*LAUNCHER, str(self.folders.home), job.name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folders.jobs,
            )

    def state(self, name: str) -> JobState:
        """Return a job as it is now."""
        # Asked before the events are read: what has ended by then has said its last word.
        runs = self._runs(name)
        progress: Mapping[str, Any] | None = None
        last: Mapping[str, Any] | None = None
        begun = False
        for event in _events(self._path(name, "events")):
            begun = True
            if event["event"] == "progress":
                progress = event
            elif event["event"] in ("ended", "failed"):
                last = event
        return JobState(runs, begun, progress, last)

    def kill(self, name: str) -> None:
        """End a job, with all that it has started, and return when it is gone."""
        deadline = time.monotonic() + 10
        while self._runs(name) and time.monotonic() < deadline:
            mine = [one for one in recorded(self.folders.pids) if one.name == f"{RECORD}{name}"]
            stop_all(mine, patience=_PATIENCE)
            if not mine:
                time.sleep(0.02)  # its launcher has not written its pid down yet
        if self._runs(name):
            _log.error("the job %s does not end", name)

    def forget(self, name: str) -> None:
        """Remove what is kept of a job that is over; its log stays."""
        with self._lock:
            child = self._children.pop(name, None)
        if child is not None:
            child.wait(timeout=5)
        for kind in ("json", "events", "lock"):
            self._path(name, kind).unlink(missing_ok=True)
        (self.folders.pids / f"{RECORD}{name}.json").unlink(missing_ok=True)
        shutil.rmtree(scratch_of(self.folders, name), ignore_errors=True)

    def known(self, name: str) -> bool:
        """Say whether a job was asked for."""
        return self._path(name, "json").exists()

    def _runs(self, name: str) -> bool:
        with self._lock:
            child = self._children.get(name)
            if child is not None and child.poll() is None:
                return True
        return is_locked(self._path(name, "lock"))

    def _path(self, name: str, kind: str) -> Path:
        return self.folders.jobs / f"{name}.{kind}"


def scratch_of(folders: Folders, name: str) -> Path:
    """Return a job's working folder."""
    return folders.scratch / f"{RECORD}{name}"


def is_locked(path: Path) -> bool:
    """Say whether a process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _events(path: Path) -> list[dict[str, Any]]:
    """Return the newest events; what is no event is passed over: a model's native code may print anything."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _TAIL))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            found.append(event)
    return found
