"""Engines in processes of their own, for killing.

``python engine_process.py`` imports everything once and then forks an engine for each line it reads (a JSON list: settings
file, target folder, ``KILL_AT``), answering with its process id. ``KILL_AT`` is ``commit:N`` (right after the N-th
transaction of the engine was committed), ``before:N`` (right before that), ``apply:N`` (right after the proxy took the N-th
change over, before anybody wrote that down), or ``never``. It is a real SIGKILL of the own process: no handler, no
``finally``, no flush.
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

from scripted import ScriptedTarget

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.deployments.engine import RolloutEngine


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


def run(settings_file: str, folder: str, kill_at: str) -> None:
    """Be an engine until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    target = ScriptedTarget(Path(folder))
    write, apply = services.database.write, target.apply

    @contextmanager
    def killing_write() -> Iterator[object]:
        with write() as session:
            yield session
            killer.at("before")
        killer.at("commit")

    def killing_apply(routes: object) -> None:
        apply(routes)  # type: ignore[arg-type]
        killer.at("apply")

    services.database.write = killing_write  # type: ignore[method-assign,assignment]
    target.apply = killing_apply  # type: ignore[method-assign,assignment]
    RolloutEngine(services, target)
    services.runtime.start()
    parent = os.getppid()
    while os.getppid() == parent:  # never outlive the tests
        time.sleep(0.2)
    os._exit(0)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Fork an engine per line."""
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
