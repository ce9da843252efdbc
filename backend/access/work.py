"""The end of grants as durable work, and the memory of the clock."""

import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.access import repository
from backend.core.container import Services
from backend.core.workflows import Steps

_EVERY = 1.0

_log = logging.getLogger(__name__)


class GrantWork:
    """The :class:`~backend.core.workflows.Work` of grants: what has had its time ends.

    A decision looks at the time itself, so a grant that this has not come to yet covers nothing any more.
    """

    name: ClassVar[str] = "access grant"
    most: ClassVar[int | None] = 4

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of grants and requests whose time is over."""
        return repository.over(session, self._services.access.now())

    def run(self, steps: Steps, id: str) -> None:
        """End one."""
        steps.run("expire", self._expire, id)

    def give_up(self, id: str, reason: str) -> None:
        """Leave it: it covers nothing any more, and is taken up again."""
        _log.error("the grant %s could not be ended: %s", id, reason)

    def beat(self, *, changed: bool) -> None:
        """Remember how late it was."""
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return
        self._looked = now
        try:
            self._services.access.mark()
        except OperationalError:
            raise
        except Exception:  # other work must go on
            _log.exception("the time could not be kept; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""

    def _expire(self, id: str) -> None:
        with self._services.database.write() as session:
            self._services.grants.expire(session, id)
