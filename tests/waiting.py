"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(
    reached: Callable[[], Any], timeout: float, show: Callable[[], str] = lambda: "", *, every: float = 0.02
) -> Any:
    """Return what ``reached`` returns as soon as that is true; where it is not in time, fail with what ``show`` says."""
    until = time.monotonic() + timeout
    while not (found := reached()):
        assert time.monotonic() < until, f"not within {timeout} s: {show()}"
        time.sleep(every)
    return found
