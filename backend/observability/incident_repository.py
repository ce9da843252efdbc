"""All queries on the tables of incidents."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.observability.models import Incident, IncidentEntry, IncidentState


def find(session: Session, id: str) -> Incident | None:
    """Return an incident."""
    return session.get(Incident, id, populate_existing=True)


def newest(session: Session, fingerprint: str) -> Incident | None:
    """Return the newest incident of a fingerprint."""
    query = select(Incident).where(Incident.fingerprint == fingerprint).order_by(Incident.id.desc()).limit(1)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def page(
    session: Session,
    *,
    model: str | None,
    environment: str | None,
    state: str | None,
    severity: str | None,
    owner: str | None,
    after: tuple[str] | None,
    limit: int,
) -> Sequence[Incident]:
    """Return incidents, newest first."""
    query = select(Incident).order_by(Incident.id.desc()).limit(limit)
    for column, value in (
        (Incident.model, model),
        (Incident.environment, environment),
        (Incident.state, state),
        (Incident.severity, severity),
        (Incident.owner, owner),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Incident.id < after[0])
    return session.execute(query).scalars().all()


def opened_since(session: Session, since: datetime) -> int:
    """Return how many incidents were opened since a time."""
    return session.execute(select(func.count()).where(Incident.opened_at >= since)).scalar_one()


def between(session: Session, since: datetime) -> Sequence[Incident]:
    """Return the incidents that were opened since a time, oldest first."""
    return session.execute(select(Incident).where(Incident.opened_at >= since).order_by(Incident.id)).scalars().all()


def of_models(session: Session, models: Sequence[str], since: datetime, until: datetime) -> Sequence[Incident]:
    """Return the incidents of models that were opened between two times, oldest first."""
    query = select(Incident).where(Incident.model.in_(models), Incident.opened_at >= since, Incident.opened_at < until)
    return session.execute(query.order_by(Incident.id)).scalars().all()


def recovered(session: Session, before: datetime) -> Sequence[Incident]:
    """Return open incidents whose alerts were over before a time."""
    query = select(Incident).where(Incident.state == IncidentState.OPEN.value, Incident.recovered_at <= before)
    return session.execute(query).scalars().all()


def entries(session: Session, incident_id: str) -> Sequence[IncidentEntry]:
    """Return an incident's timeline, oldest first."""
    query = select(IncidentEntry).where(IncidentEntry.incident_id == incident_id).order_by(IncidentEntry.seq)
    return session.execute(query).scalars().all()


def last_entry(session: Session, incident_id: str) -> int:
    """Return the number of an incident's last entry; 0 if there is none."""
    query = select(func.max(IncidentEntry.seq)).where(IncidentEntry.incident_id == incident_id)
    return session.execute(query).scalar_one() or 0


def resolved(session: Session, before: datetime) -> Sequence[Incident]:
    """Return the incidents that were resolved up to a time, oldest first."""
    query = select(Incident).where(Incident.state == IncidentState.RESOLVED.value, Incident.resolved_at <= before)
    return session.execute(query.order_by(Incident.resolved_at, Incident.id)).scalars().all()


def forget(session: Session, id: str) -> None:
    """Delete an incident, and its timeline."""
    session.execute(delete(IncidentEntry).where(IncidentEntry.incident_id == id))
    session.execute(delete(Incident).where(Incident.id == id))
