"""Makers of repositories in processes of their own, for killing.

``python maker_process.py`` imports everything once and forks a maker for each line it reads (a JSON list: settings file,
``KILL_AT``), answering with its process id. ``KILL_AT`` is ``commit:N`` (right after the N-th transaction was committed),
``before:N`` (right before that), ``create:1``, ``push:1``, ``protect:1``, ``remove:1`` (right after the host has done it, before
anybody wrote that down), or ``never``. It is a real SIGKILL of the own process: no handler, no ``finally``, no flush.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import scaffolder.steps
from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.hosts.github import GitHubHost


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

    def after(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``work``, killed when it has taken effect."""

        def done(*given: Any, **options: Any) -> Any:
            result = work(*given, **options)
            self.at(kind)
            return result

        return done


def run(settings_file: str, kill_at: str) -> None:
    """Be a maker until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    write = services.database.write

    @contextmanager
    def killing_write() -> Iterator[object]:
        with write() as session:
            yield session
            killer.at("before")
        killer.at("commit")

    services.database.write = killing_write  # type: ignore[method-assign,assignment]
    for host in (EmbeddedHost, GitHubHost):
        for name in ("create", "protect", "remove"):
            setattr(host, name, killer.after(name, getattr(host, name)))
    scaffolder.steps.push = killer.after("push", scaffolder.steps.push)
    services.runtime.start()
    parent = os.getppid()
    while os.getppid() == parent:  # never outlive the tests
        time.sleep(0.2)
    os._exit(0)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a maker per line."""
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
