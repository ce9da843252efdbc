"""Sending as durable work: one row for each attempt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from backend.core.workflows import Steps
from backend.notifications import repository

if TYPE_CHECKING:
    from backend.core.container import Services


class NotificationWork:
    """The :class:`~backend.core.workflows.Work` of telling people."""

    name: ClassVar[str] = "incident-notification"  # as it was when only incidents were told of: DBOS knows it by that
    most: ClassVar[int | None] = 4

    def __init__(self, services: "Services") -> None:
        self._services = services
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the attempts whose time has come."""
        return repository.due(session, self._services.clock.now())

    def run(self, steps: Steps, id: str) -> None:
        """Make one attempt."""
        steps.run("send", self._services.notifications.make, id)

    def give_up(self, id: str, reason: str) -> None:
        """End an attempt that can't be made."""
        self._services.notifications.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """There is nothing else to do."""

    def close(self) -> None:
        """There is nothing to let go of."""
