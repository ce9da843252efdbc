"""What is on record of incidents that are over, and its end by retention."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy.orm import Session

from backend.core.database import lock_for_transaction
from backend.observability import incident_repository as repository
from backend.observability.notices import subject_of

if TYPE_CHECKING:
    from backend.core.container import Services


@dataclass(frozen=True)
class Record:
    """An incident that was resolved, with its timeline and whom it was told."""

    id: str
    model: str | None
    environment: str | None
    resolved_at: datetime
    bytes: int
    digest: str
    """SHA-256 of all of it."""


class IncidentRecords:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def resolved_before(self, session: Session, before: datetime) -> Iterator[Record]:
        """Yield the incidents that were resolved before a time, oldest first."""
        for incident in repository.resolved(session, before):
            if incident.resolved_at is None:
                continue
            parts = [
                incident,
                *repository.entries(session, incident.id),
                *self._services.notifications.about(session, subject_of(incident)),
            ]
            text = b"\n".join(orjson.dumps(_columns(one), option=orjson.OPT_SORT_KEYS) for one in parts)
            digest = hashlib.sha256(text).hexdigest()
            place = (incident.id, incident.model, incident.environment)
            yield Record(*place, incident.resolved_at, len(text), digest)

    def forget(self, session: Session, id: str) -> None:
        """Delete an incident with all that belongs to it; one that is gone already is no error.

        The audit log keeps what was done about it.
        """
        incident = repository.find(session, id)
        if incident is None:
            return
        lock_for_transaction(session, f"incident:{incident.fingerprint}")
        self._services.notifications.forget(session, subject_of(incident))
        repository.forget(session, id)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__table__.columns}
