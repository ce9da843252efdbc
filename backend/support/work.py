"""What follows the clock: requests that were not answered in time."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from backend.core.workflows import Steps
from backend.support import repository

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK_SECONDS = 5.0


class SupportWork:
    """A :class:`~backend.core.workflows.Work` without rows, by which it learns whether this process is the one that works.

    What is overdue is noted and told in one transaction, so nothing hangs on one look.
    """

    name: ClassVar[str] = "support"
    most: ClassVar[int | None] = None

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """There are no rows."""
        return ()

    def run(self, steps: Steps, id: str) -> None:
        """There are no rows."""

    def give_up(self, id: str, reason: str) -> None:
        """There are no rows."""

    def beat(self, *, changed: bool) -> None:
        """Look for requests that were not answered in time."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with self._services.database.read() as session:
            if not repository.newly_overdue(session, self._services.clock.now()):
                return
        with self._services.database.write() as session:
            self._services.support.note_overdue(session)

    def close(self) -> None:
        """There is nothing to let go of."""
