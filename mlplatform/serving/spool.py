"""A folder that a server writes lines to for the platform: by a thread, so that no request waits for a disk.

When the thread falls behind, or nobody takes the spool over, what is too much is left out.
"""

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

SEALED = ".sealed"
_MOST_BYTES = 64 << 20
"""Of all servers' spools in the folder together."""

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Spool(Generic[Item]):
    """Writes what was taken as lines, some of it at a time; ``lines`` may return none of them.

    The thread begins with the first that is taken, which is always by the same thread.
    """

    def __init__(
        self,
        folder: Path,
        what: str,
        lines: Callable[[Sequence[Item]], Sequence[bytes]],
        *,
        most_waiting: int,
        flush_seconds: float,
    ) -> None:
        self._folder, self._what, self._lines = folder, what, lines
        self._most_waiting, self._flush_seconds = most_waiting, flush_seconds
        self._waiting: queue.Queue[Item] = queue.Queue(most_waiting)
        self._enough = threading.Event()
        self._written = 0
        self._thread: threading.Thread | None = None

    @property
    def full(self) -> bool:
        """Whether what is taken now would be left out."""
        return self._waiting.full()

    def take(self, item: Item) -> None:
        """Hand something over; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._what, daemon=True)
            self._thread.start()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(item)
        if self._waiting.qsize() * 2 >= self._most_waiting:
            self._enough.set()

    def flush(self, patience: float) -> None:
        """Wait until what was taken is spooled."""
        until = time.monotonic() + patience
        self._enough.set()
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)

    def _work(self) -> None:
        while True:
            taken = [self._waiting.get()]
            # Not woken for each of them: that would take the interpreter away from a request each time.
            self._enough.wait(self._flush_seconds)
            self._enough.clear()
            with contextlib.suppress(queue.Empty):
                while len(taken) < self._most_waiting:
                    taken.append(self._waiting.get_nowait())
            try:
                self._write(taken)
            except Exception as error:
                # Also a full disk: predictions are answered all the same.
                _logger.warning("%s could not be spooled: %s", self._what, type(error).__name__)
            for _ in taken:
                self._waiting.task_done()

    def _write(self, taken: Sequence[Item]) -> None:
        if sum(file.stat().st_size for file in self._folder.glob(f"*{SEALED}")) > _MOST_BYTES:
            return
        lines = self._lines(taken)
        if not lines:
            return
        self._written += 1
        name = f"{time.time_ns():020d}-{os.getpid()}-{self._written}"
        temporary = self._folder / f".{name}"
        with temporary.open("wb") as file:
            file.writelines(line + b"\n" for line in lines)
        temporary.rename(self._folder / f"{name}{SEALED}")


def spooled(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a spooled file; what is no JSON object is left out."""
    for line in file.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
