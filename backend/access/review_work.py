"""Access reviews as durable work: opened by the calendar, reminded, escalated, closed; each step is one transaction."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.access import repository
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.core.workflows import Steps

_EVERY = 1.0

_log = logging.getLogger(__name__)


class ReviewWork:
    """The :class:`~backend.core.workflows.Work` of access reviews.

    A review takes weeks, so a workflow does not wait for it: it takes the steps that are due and ends, and the next step is
    another workflow.
    """

    name: ClassVar[str] = "access review"
    most: ClassVar[int | None] = 1

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of reviews whose next step is due."""
        return repository.due_reviews(session, self._services.access.now())

    def run(self, steps: Steps, id: str) -> None:
        """Take the steps that are due."""
        while steps.run("advance", self._advance, id):
            pass

    def give_up(self, id: str, reason: str) -> None:
        """End a review that can't go on."""
        with self._services.database.write() as session:
            self._services.reviews.give_up(session, id, reason)

    def beat(self, *, changed: bool) -> None:
        """Open a review when the calendar says so."""
        now = time.monotonic()
        if now - self._looked < _EVERY or not self._services.settings.access.reviews.enabled:
            return
        self._looked = now
        try:
            self.follow_calendar()
        except OperationalError:
            raise
        except Exception:  # other work must go on
            _log.exception("the calendar of access reviews can't be followed; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""

    def follow_calendar(self) -> None:
        """Open the newest review that is due by the settings, once; one that is under way is waited for."""
        wanted = newest_due(self._services.settings.access.reviews.months, self._services.access.now())
        with self._services.database.read() as session:
            last = repository.last_scheduled(session)
            if (last is not None and last >= wanted) or repository.review_under_way(session) is not None:
                return
        with self._services.database.write() as session:
            try:
                self._services.reviews.open(session, PLATFORM, f"{wanted:%B %Y}", scheduled_for=wanted)
            except Conflict:
                _log.info("somebody opened a review in the same moment; the scheduled one waits for its end")

    def _advance(self, id: str) -> bool:
        with self._services.database.write() as session:
            return self._services.reviews.advance(session, id)


def newest_due(months: Sequence[int], now: datetime) -> datetime:
    """Return the newest first day of one of these months that is not after now.

    >>> newest_due([1, 4, 7, 10], datetime(2026, 3, 31, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00+00:00'
    >>> newest_due([2], datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2025-02-01T00:00:00+00:00'
    """
    times = (datetime(year, month, 1, tzinfo=UTC) for year in (now.year, now.year - 1) for month in months)
    return max(one for one in times if one <= now)
