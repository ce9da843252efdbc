"""Publishing checkpoints and sealing old events as durable work."""

import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.audit import repository, segment_repository
from backend.audit.models import PublicationState, SealingState
from backend.audit.publication import Publications
from backend.audit.sealing import Sealing
from backend.audit.service import PLATFORM
from backend.batch.schedule import next_time
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


class SealingWork:
    """The :class:`~backend.core.workflows.Work` of sealing old events."""

    name: ClassVar[str] = "audit-sealing"
    most: ClassVar[int | None] = 1

    def __init__(self, services: Services) -> None:
        self._services = services
        self.sealing = Sealing(services)
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the sealings that are not over."""
        return segment_repository.open_sealings(session)

    def run(self, steps: Steps, id: str) -> None:
        """Seal one segment after the other."""
        steps.run("seal", self._seal, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a sealing whose place does not answer; the segments that are sealed stay so."""
        self.sealing.end(id, SealingState.FAILED, reason)

    def beat(self, *, changed: bool) -> None:
        """Follow the schedule."""
        if self._services.settings.audit.sealing.keep is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            self._follow_schedule()
        except OperationalError:
            raise
        except Exception:  # other work must go on
            _log.exception("the audit log could not be sealed; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""

    def _seal(self, id: str) -> None:
        while self.sealing.seal_next(id):
            self._services.runtime.wait(0)  # leaves when the runtime stops

    def _follow_schedule(self) -> None:
        schedule, audit = self._services.settings.audit.sealing.schedule, self._services.audit
        if schedule is None:
            return
        with self._services.database.read() as session:
            last = segment_repository.last_scheduled(session)
            since = audit.began(session) if last is None else last.requested_at
            idle = not segment_repository.open_sealings(session)
        due = next_time(schedule, since) if since is not None else None
        if not idle or due is None or due > self._services.clock.now():
            return
        with self._services.database.write() as session:
            self.sealing.begin(session, PLATFORM, scheduled=True)
