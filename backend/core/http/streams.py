"""Answers that wait for something to happen: read in threads of their own, and bounded in number.

Starlette reads a blocking iterator in the pool that all requests share, so a few dozen people who follow a log would use up
the threads that answer everybody else.
"""

import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TypeVar

import anyio
from anyio.to_thread import run_sync

from backend.core.config_limits import LimitSettings
from backend.core.errors import PlatformError
from backend.identity.principal import Principal

Result = TypeVar("Result")


class TooManyStreams(PlatformError):
    """The caller, or all callers together, follow too much at the same time."""

    status: ClassVar[int] = 429
    slug: ClassVar[str] = "too-many-streams"
    title: ClassVar[str] = "Too many streams"


class Streams:
    """Hands out places for streams, and reads them."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._threads = anyio.CapacityLimiter(limits.streams)
        self._guard = threading.Lock()
        self._open: Counter[str] = Counter()

    def read(self, caller: Principal, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Return what a blocking iterator yields, without ever blocking the loop or the shared threads.

        Raises:
            TooManyStreams: the caller has as many streams as one may have, or all places are taken.
        """
        self._take(caller)
        place = _Place()
        # Also when the answer is never begun, and the generator with it is thrown away.
        weakref.finalize(place, self._close, caller.ref)
        return self._lines(place, lines)

    @contextmanager
    def place(self, caller: Principal) -> Iterator[None]:
        """Hold a place for a stream that is read by :meth:`look`.

        Raises:
            TooManyStreams: as :meth:`read`.
        """
        self._take(caller)
        try:
            yield
        finally:
            self._close(caller.ref)

    async def look(self, work: Callable[[], Result]) -> Result:
        """Return what a blocking function returns, called in a thread of the streams."""
        return await run_sync(work, limiter=self._threads)

    def _take(self, caller: Principal) -> None:
        with self._guard:
            if self._open[caller.ref] >= self._limits.streams_per_caller:
                raise TooManyStreams(
                    f"{caller.ref} follows {self._open[caller.ref]} streams already", fix="End one of them first."
                )
            if self._open.total() >= self._limits.streams:
                raise TooManyStreams("too many streams are being followed", fix="Try again in a moment.")
            self._open[caller.ref] += 1

    async def _lines(self, _place: "_Place", lines: Iterator[bytes]) -> AsyncIterator[bytes]:
        while (line := await run_sync(next, lines, None, limiter=self._threads)) is not None:
            yield line

    def _close(self, ref: str) -> None:
        with self._guard:
            self._open[ref] -= 1
            if not self._open[ref]:
                del self._open[ref]


class _Place:
    """Held by a stream as long as it lives."""
