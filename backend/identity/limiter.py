"""Keeps a stranger from filling the audit log with refusals."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_SOURCES = 4096


@dataclass
class _Bucket:
    tokens: float
    at: float
    suppressed: int = 0


class EventLimiter:
    """A token bucket per source: a burst is recorded in full, then one event in a while, which counts the others."""

    def __init__(
        self, *, burst: int = 20, every_seconds: float = 10.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._every, self._monotonic = burst, every_seconds, monotonic
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, source: str) -> int | None:
        """Return how many events were left out since the last one, or ``None`` if this one is left out too."""
        with self._lock:
            now = self._monotonic()
            bucket = self._buckets.pop(source, None) or _Bucket(float(self._burst), now)
            self._buckets[source] = bucket
            if len(self._buckets) > _MOST_SOURCES:
                self._buckets.popitem(last=False)
            bucket.tokens = min(float(self._burst), bucket.tokens + (now - bucket.at) / self._every)
            bucket.at = now
            if bucket.tokens < 1:
                bucket.suppressed += 1
                return None
            bucket.tokens -= 1
            left_out, bucket.suppressed = bucket.suppressed, 0
            return left_out
