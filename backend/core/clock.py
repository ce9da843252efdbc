"""Time, injected: nothing in the backend asks the operating system by itself."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the backend gets the time from."""

    def now(self) -> datetime:
        """Return the present, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present, aware and in UTC."""
        return datetime.now(UTC)
