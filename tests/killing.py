"""Processes that die by a real SIGKILL where a test wants it: no handler, no ``finally``, no flush.

A test starts a :class:`Forker` with a script. The script calls :func:`serve`, imports everything once, and forks a process
quickly for each list of arguments that it is sent; :class:`Killer` counts in there.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Killer:
    """Counts, and kills at the right count: ``KIND:N`` is the N-th time that ``KIND`` happens, ``never`` is never."""

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

    def around(self, write: Callable[[], AbstractContextManager[Any]]) -> Callable[[], AbstractContextManager[Any]]:
        """Return transactions like ``write``'s, killed right ``before`` or right after a ``commit``."""

        @contextmanager
        def killing_write() -> Iterator[Any]:
            with write() as session:
                yield session
                self.at("before")
            self.at("commit")

        return killing_write


def stay() -> None:
    """Be there until killed, and never outlive the tests."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def serve(run: Callable[..., None]) -> None:
    """Fork a process for each line of standard input, a JSON list of ``run``'s arguments; answer with its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that the dead are gone, not zombies
    _say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(*json.loads(line))
        _say(pid)


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Forker:
    """Starts processes of a module that calls :func:`serve`."""

    def __init__(self, module: str) -> None:
        self._forker = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._said() == "ready"

    @contextmanager
    def process(self, *arguments: str) -> Iterator[int]:
        """Start one and give its process id; it is dead and gone when the block ends."""
        assert self._forker.stdin is not None
        self._forker.stdin.write(json.dumps(arguments) + "\n")
        self._forker.stdin.flush()
        pid = int(self._said())
        try:
            yield pid
        finally:
            kill(pid)

    def close(self) -> None:
        self._forker.kill()
        self._forker.wait()

    def _said(self) -> str:
        assert self._forker.stdout is not None
        return self._forker.stdout.readline().strip()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(pid: int) -> None:
    """Kill a process and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < until, f"{pid} does not end"
        time.sleep(0.02)
