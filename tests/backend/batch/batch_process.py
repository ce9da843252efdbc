"""Backends in processes of their own, for killing; see ``tests/backend/deployments/engine_process.py``.

Reads a JSON list a line (settings file, ``KILL_AT``), forks a backend for it and answers with its process id. ``KILL_AT`` is
``commit:N`` (right after the N-th transaction was committed), ``before:N`` (right before that), ``start:N`` (right after a
job's process was started), ``forget:N`` (right before what is kept of a job is removed), or ``never``. It is a real SIGKILL.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings


class Killer:
    """Counts, and kills at the right count."""

    def __init__(self, kill_at: str) -> None:
        self._kind, _, number = kill_at.partition(":")
        self._left = int(number or 0)
        self._guard = threading.Lock()

    def at(self, kind: str) -> None:
        with self._guard:
            if kind != self._kind:
                return
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class NothingServed:
    """In place of the rollouts, whose loop would need Envoy: nothing is rolled out here."""

    def __init__(self, services: Any) -> None:
        services.runtime._kinds.pop("rollout")


def run(settings_file: str, kill_at: str) -> None:
    """Be a backend until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    NothingServed(services)
    write, jobs = services.database.write, services.batch_work.jobs
    start, forget = jobs.start, jobs.forget

    @contextmanager
    def killing_write() -> Iterator[object]:
        with write() as session:
            yield session
            killer.at("before")
        killer.at("commit")

    def killing_start(job: Any) -> None:
        start(job)
        killer.at("start")

    def killing_forget(name: str) -> None:
        killer.at("forget")
        forget(name)

    services.database.write = killing_write  # type: ignore[method-assign,assignment]
    jobs.start = killing_start  # type: ignore[method-assign]
    jobs.forget = killing_forget  # type: ignore[method-assign]
    services.runtime.start()
    parent = os.getppid()
    while os.getppid() == parent:  # never outlive the tests
        time.sleep(0.2)
    os._exit(0)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a backend per line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the dead are gone, not zombies
    say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(*json.loads(line))
        say(pid)


if __name__ == "__main__":
    main()
