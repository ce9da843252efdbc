"""Reading the catalog's locations again, as durable work: a row for each pass, a bounded number of locations in each."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.core.ids import new_id
from backend.core.workflows import Steps
from catalog import repository
from catalog.models import Refresh
from catalog.own import OwnSources
from catalog.service import Place

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK_SECONDS = 2.0

_log = logging.getLogger(__name__)


class CatalogWork:
    """The :class:`~backend.core.workflows.Work` of the catalog."""

    name: ClassVar[str] = "catalog-refresh"
    most: ClassVar[int | None] = 1

    def __init__(self, services: "Services") -> None:
        self._services = services
        self.own = OwnSources(services)
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the passes that are not finished."""
        return repository.open_refreshes(session)

    def run(self, steps: Steps, id: str) -> None:
        """Read what is due."""
        steps.run("read", self._read, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a pass that can't go on; the next one begins anew."""
        self._finish(id, 0, reason)

    def beat(self, *, changed: bool) -> None:
        """Take over what the organisation says, and begin a pass when something is due."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            self.own.templates.look()
            self.own.sync()
        except OperationalError:
            raise
        except Exception:  # other work must go on
            _log.exception("the organisation's own sources could not be taken over; the next look tries again")
        settings = self._services.settings.catalog
        before = self._services.clock.now() - settings.refresh_interval
        with self._services.database.read() as session:
            idle = repository.open_refreshes(session) or not repository.due(session, before, 1)
        if not idle:
            with self._services.database.write() as session:
                session.add(Refresh(id=new_id(), started_at=self._services.clock.now(), read=0))
                repository.drop_old_refreshes(session)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _read(self, id: str) -> None:
        settings = self._services.settings.catalog
        before = self._services.clock.now() - settings.refresh_interval
        with self._services.database.read() as session:
            due = repository.due(session, before, settings.refresh_batch)
        for location_id in due:
            self._services.runtime.wait(0)  # leaves when the runtime stops
            self._read_one(location_id)
        self._finish(id, len(due), None)

    def _read_one(self, location_id: str) -> None:
        with self._services.database.read() as session:
            row = repository.location(session, location_id)
        if row is None:
            return
        found = self._services.catalog.read(Place(row.host, row.org, row.repository, row.path))
        with self._services.database.write() as session:
            row = repository.location(session, location_id)
            if row is not None:
                before = row.state
                self._services.catalog.apply(session, row, found)
                if row.state != before:
                    _log.info("location %s is %s now", location_id, row.state, extra={"faults": len(row.faults)})

    def _finish(self, id: str, read: int, reason: str | None) -> None:
        with self._services.database.write() as session:
            row = session.get(Refresh, id)
            if row is not None and row.finished_at is None:
                row.finished_at, row.read, row.reason = self._services.clock.now(), read, reason
