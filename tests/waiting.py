"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import Any

_LONGEST_PAUSE = 0.2
"""Shorter than any state lasts that a test waits for, in seconds."""


def wait_until(
    reached: Callable[[], Any], timeout: float, show: Callable[[], str] = lambda: "", *, every: float = 0.02
) -> Any:
    """Return what ``reached`` returns as soon as that is true; where it is not in time, fail with what ``show`` says."""
    begun = time.monotonic()
    while not (found := reached()):
        assert time.monotonic() - begun < timeout, f"not within {timeout} s: {show()}"
        time.sleep(max(every, pause_after(begun)))
    return found


def pause_after(begun: float) -> float:
    """Return how long to pause before looking again: the longer it takes, the longer, by a twentieth of the time at most.

    Looking often costs as much processor time as what is waited for.
    """
    return min(max(0.02, (time.monotonic() - begun) / 20), _LONGEST_PAUSE)
