"""Finds the message that takes the process along.

A message that makes the model raise is dealt with like any other failure. One that ends the process (a crash in native code,
``os._exit``, the kernel when memory is used up) leaves nothing behind but deliveries that were never acknowledged, and with
it goes everything else that was in flight. So messages that have come too often are scored one at a time, and which one it is
stands in a file meanwhile: what is found there at the next start is to blame.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ALONE_FROM = 3
"""From this delivery on a message is scored by itself."""
CAREFUL_AFTER = 2
"""After so many ends in a row that were no stops the first messages are scored by themselves: not every broker counts."""
MOST_BLAMED = 2
"""How often a message may have ended the process before it is not tried again."""
_REMEMBERED = 1_000


class Suspects:
    """The file, for one worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blamed: dict[str, int] = {}
        self._ends = 0
        found = self._read()
        if found is not None:
            self._blamed, scoring, running, ends = found
            self._ends = ends + 1 if running else 0
            if scoring is not None:
                self._blamed[scoring] = self._blamed.pop(scoring, 0) + 1
        self._write(None)

    @property
    def careful(self) -> bool:
        """Whether messages are scored by themselves for now."""
        return self._ends >= CAREFUL_AFTER

    def survived(self) -> None:
        """Be careful no longer."""
        self._ends = 0
        self._write(None)

    def stopped(self) -> None:
        """Have it known that the process was asked to end."""
        self._write(None, running=False)

    def blamed(self, message: str) -> int:
        """Return how often the process has ended while it was scoring this message by itself."""
        return self._blamed.get(message, 0)

    @contextmanager
    def scoring(self, message: str) -> Iterator[None]:
        """Have it known that this message is being scored."""
        self._write(message)
        yield
        self._write(None)

    def _read(self) -> tuple[dict[str, int], str | None, bool, int] | None:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            blamed = {str(message): int(times) for message, times in document["blamed"].items()}
            scoring, running, ends = document["scoring"], bool(document["running"]), int(document["ends"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return blamed, None if scoring is None else str(scoring), running, ends

    def _write(self, scoring: str | None, *, running: bool = True) -> None:
        # Not flushed to the disk: the file has to outlive this process, and no more.
        self._blamed = dict(list(self._blamed.items())[-_REMEMBERED:])
        document = {"running": running, "ends": self._ends, "scoring": scoring, "blamed": self._blamed}
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(self._path)
