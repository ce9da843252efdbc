"""Requests to a host again and again inside a budget: what passes is waited for, what does not is told.

A host may ask for a pause (``Retry-After``, a rate limit's reset); otherwise the pauses double, with full jitter so that many
repositories' requests don't come back in step.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from scaffolder.errors import HostUnavailable

Result = TypeVar("Result")


class Passing(Exception):
    """A request failed for a reason that passes: a rate limit, a 5xx, a timeout, a connection that broke.

    ``retry_after`` is the pause in seconds that the host asks for. ``unknown`` says that the effect may have happened
    although the answer was lost, so whoever asks again has to look first.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.unknown = unknown


@dataclass(frozen=True)
class RetryBudget:
    """How long and how often a request is tried."""

    seconds: float = 120.0
    """All attempts and pauses together."""
    attempts: int = 8
    first_pause: float = 0.5
    longest_pause: float = 20.0


@dataclass
class Retrying:
    """Runs requests to one host within a budget each."""

    host: str
    budget: RetryBudget = RetryBudget()
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def run(self, request: Callable[[], Result], *, look: Callable[[], Result | None] | None = None) -> Result:
        """Return what ``request`` returns, trying again while it raises :class:`Passing`.

        After an attempt whose effect is unknown, ``look`` is asked first for what may have come of it.

        Raises:
            HostUnavailable: the budget is used up, or the host asks for a longer pause than is left of it.
        """
        until = self.monotonic() + self.budget.seconds
        unknown = False
        for attempt in range(1, self.budget.attempts + 1):
            try:
                if unknown and look is not None and (found := look()) is not None:
                    return found
                return request()
            except Passing as failed:
                unknown = unknown or failed.unknown
                pause = self._pause(attempt, failed)
                if attempt == self.budget.attempts or self.monotonic() + pause > until:
                    raise self._given_up(failed, attempt, pause) from failed
            self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, attempt: int, failed: Passing) -> float:
        if failed.retry_after is not None:
            return max(failed.retry_after, 0.0)
        ceiling = min(self.budget.first_pause * float(2 ** (attempt - 1)), self.budget.longest_pause)
        return ceiling * (0.5 + self.jitter() / 2)

    def _given_up(self, failed: Passing, attempts: int, pause: float) -> HostUnavailable:
        tries = "once" if attempts == 1 else f"{attempts} times"
        message = f"{self.host} can't be used at the moment: {failed.reason} (tried {tries})"
        if failed.retry_after is not None:
            again = datetime.now(UTC) + timedelta(seconds=pause)
            return HostUnavailable(message, fix=f"Try again after {again:%H:%M:%S} UTC.", retry_after=pause)
        return HostUnavailable(message, fix=f"See whether {self.host} is up, then try again.")
