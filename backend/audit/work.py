"""Publishing checkpoints as durable work."""

import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.audit import repository
from backend.audit.models import PublicationState
from backend.audit.publication import Publications
from backend.core.container import Services
from backend.core.workflows import Steps

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class PublicationWork:
    """The :class:`~backend.core.workflows.Work` of the audit log."""

    name: ClassVar[str] = "audit-publication"
    most: ClassVar[int | None] = 4

    def __init__(self, services: Services) -> None:
        self._services = services
        self.publications = Publications(services)
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the publications that are not over."""
        return repository.open_publications(session)

    def run(self, steps: Steps, id: str) -> None:
        """Publish once."""
        steps.run("publish", self.publications.publish, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a publication whose place does not answer; the next one is tried after the interval."""
        self.publications.end(id, PublicationState.FAILED, reason)

    def beat(self, *, changed: bool) -> None:
        """Begin what is due."""
        if not self._services.settings.audit.publication.targets or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            with self._services.database.read() as session:
                due = self.publications.due(session)
            if due:
                with self._services.database.write() as session:
                    self.publications.begin(session, due)
        except OperationalError:
            raise
        except Exception:  # other work must go on
            _log.exception("no checkpoint could be published; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""
