"""What traces and logs have in common on their way to a collector."""

import logging
import os
import threading
import time
from collections.abc import Callable

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TIMEOUT = 5.0
"""Seconds that a collector may take for one request."""
QUEUE = 2048
"""Most spans, or lines, that wait to be sent; beyond that the oldest are given up."""
DELAY = 1000
"""Milliseconds that they wait for others to be sent with."""
LAST = 2.0
"""Seconds that those which are left may take at the end."""
_LIBRARIES = ("opentelemetry.exporter.otlp", "opentelemetry.sdk._shared_internal", "urllib3.connectionpool")

_logger = logging.getLogger(__name__)


class Reach:
    """Tells once that a collector can't be reached, and once that it can again."""

    def __init__(self, what: str, endpoint: str, without: str) -> None:
        for name in _LIBRARIES:
            # They say at each attempt what is said here once.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._what, self._endpoint, self._without = what, endpoint, without
        self._failing = False
        self._until: float | None = None

    @property
    def over(self) -> bool:
        """Whether the time for the last ones is over."""
        return self._until is not None and time.monotonic() > self._until

    def close(self) -> None:
        """Say nothing more, and let only so much time pass."""
        self._until = time.monotonic() + LAST

    def tell(self, *, taken: bool) -> None:
        """Take note of whether an attempt came through."""
        if self._until is None and not taken and not self._failing:
            _logger.warning("%s can't be sent to %s; %s", self._what, self._endpoint, self._without)
        elif self._until is None and self._failing and taken:
            _logger.info("%s are sent to %s again", self._what, self._endpoint)
        self._failing = not taken


class LastWords:
    """Does something at the end and waits for it a moment: in a thread of its own, since none can be begun by then."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._asked, self._done = threading.Event(), threading.Event()
        threading.Thread(target=self._wait, name="last-words", daemon=True).start()

    def say(self) -> None:
        """Have it done, for a moment at most."""
        self._asked.set()
        self._done.wait(LAST)

    def _wait(self) -> None:
        self._asked.wait()
        try:
            self._work()
        finally:
            self._done.set()


def endpoint_for(signal: str) -> str | None:
    """Return where this process' environment has a signal (``traces``, ``logs``) sent; ``None`` if nowhere.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
    """
    if os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") == "none":
        return None
    own, common = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"), os.environ.get(ENDPOINT)
    return own or (place(common, signal) if common else None)


def place(endpoint: str, signal: str) -> str:
    """Return a collector's address for a signal."""
    return f"{endpoint.rstrip('/')}/v1/{signal}"
