"""Incidents that were resolved, each with its timeline and whom it was told: as old as their resolution."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.observability.records import IncidentRecords
from backend.privacy.holdings.base import Over
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since


class Incidents:
    """The :class:`~backend.privacy.holdings.base.Holding` of incidents. One that is open is never over."""

    kind = Kind.INCIDENT

    def __init__(self, services: Services) -> None:
        self._services, self._records = services, IncidentRecords(services)

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield incidents, oldest first."""
        keep = self._services.settings.retention.incidents
        if keep is None:
            return
        for one in self._records.resolved_before(session, now - keep):
            if is_over(one.resolved_at, keep, now):
                refs = [f"kind:{self.kind}", f"incident:{one.id}"]
                refs += [f"environment:{one.environment}"] if one.environment else []
                refs += [f"model:{one.model}"] if one.model else []
                since = over_since(one.resolved_at, keep)
                yield Over(self.kind, one.id, tuple(refs), one.resolved_at, since, one.bytes, one.digest)

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete an incident."""
        with self._services.database.write() as session:
            self._records.forget(session, item.name)
