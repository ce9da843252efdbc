"""All queries on the outbox."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from backend.notifications.models import Notification, NotificationState


def find(session: Session, id: str) -> Notification | None:
    """Return an attempt."""
    return session.get(Notification, id, populate_existing=True)


def about(session: Session, subject: str) -> Sequence[Notification]:
    """Return the attempts to tell somebody about a subject, oldest first."""
    query = select(Notification).where(Notification.subject == subject).order_by(Notification.id)
    return session.execute(query).scalars().all()


def forget(session: Session, subject: str) -> None:
    """Delete the attempts to tell somebody about a subject."""
    session.execute(delete(Notification).where(Notification.subject == subject))


def is_told(session: Session, subject: str, event: str, target: str) -> bool:
    """Say whether a target was to be told of an event before."""
    has = Notification
    query = select(exists().where(has.subject == subject, has.event == event, has.target == target))
    return bool(session.execute(query).scalar_one())


def due(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of attempts whose time has come."""
    query = select(Notification.id).where(
        Notification.state == NotificationState.PENDING.value, Notification.due_at <= now
    )
    return session.execute(query.order_by(Notification.due_at).limit(100)).scalars().all()


def page(
    session: Session, *, kind: str | None, state: str | None, target: str | None, after: tuple[str] | None, limit: int
) -> Sequence[Notification]:
    """Return attempts, newest first."""
    query = select(Notification).order_by(Notification.id.desc()).limit(limit)
    for column, value in ((Notification.kind, kind), (Notification.state, state), (Notification.target, target)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Notification.id < after[0])
    return session.execute(query).scalars().all()
