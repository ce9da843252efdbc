"""Queries on data keys and their rotations."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.core.errors import NotFound
from backend.privacy.models import DataKeyRow, JobState, KeyRotation, KeyState

OPEN = (JobState.PENDING, JobState.RUNNING)


def get(session: Session, key_id: str) -> DataKeyRow:
    """Return a key.

    Raises:
        NotFound: there is none with that id.
    """
    row = session.get(DataKeyRow, key_id, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no data key {key_id[:40]!r}")
    return row


def active(session: Session, purpose: str, subject: str) -> DataKeyRow | None:
    """Return the key that seals for a use."""
    query = select(DataKeyRow).where(
        DataKeyRow.purpose == purpose, DataKeyRow.subject == subject, DataKeyRow.state == KeyState.ACTIVE
    )
    return session.execute(query.order_by(DataKeyRow.id.desc()).limit(1)).scalar_one_or_none()


def page(session: Session, *, after: str | None, limit: int) -> Sequence[DataKeyRow]:
    """Return keys, newest first, and one more than ``limit``."""
    query = select(DataKeyRow).order_by(DataKeyRow.id.desc())
    if after is not None:
        query = query.where(DataKeyRow.id < after)
    return session.execute(query.limit(limit + 1)).scalars().all()


def of_people(session: Session, hashes: Collection[str]) -> Sequence[DataKeyRow]:
    """Return the keys of people that can still open something."""
    query = select(DataKeyRow).where(DataKeyRow.subject.in_(hashes), DataKeyRow.state != KeyState.DESTROYED)
    return session.execute(query.order_by(DataKeyRow.id)).scalars().all()


def standing(session: Session, *, after: str, limit: int) -> Sequence[DataKeyRow]:
    """Return keys that are not destroyed, oldest first."""
    query = select(DataKeyRow).where(DataKeyRow.state != KeyState.DESTROYED, DataKeyRow.id > after)
    return session.execute(query.order_by(DataKeyRow.id).limit(limit)).scalars().all()


def count_standing(session: Session) -> int:
    """Return how many keys are not destroyed."""
    query = select(func.count()).select_from(DataKeyRow).where(DataKeyRow.state != KeyState.DESTROYED)
    return session.execute(query).scalar_one()


def retired(session: Session, purpose: str) -> Sequence[DataKeyRow]:
    """Return the keys of a use that seal nothing new and still open."""
    query = select(DataKeyRow).where(DataKeyRow.purpose == purpose, DataKeyRow.state == KeyState.RETIRED)
    return session.execute(query).scalars().all()


def open_rotations(session: Session) -> Sequence[str]:
    """Return the ids of rotations that are not over."""
    query = select(KeyRotation.id).where(KeyRotation.state.in_(OPEN))
    return session.execute(query.order_by(KeyRotation.id)).scalars().all()


def rotation(session: Session, rotation_id: str) -> KeyRotation:
    """Return a rotation.

    Raises:
        NotFound: there is none with that id.
    """
    row = session.get(KeyRotation, rotation_id, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no key rotation {rotation_id[:40]!r}")
    return row


def rotations(session: Session, *, after: str | None, limit: int) -> Sequence[KeyRotation]:
    """Return rotations, newest first, and one more than ``limit``."""
    query = select(KeyRotation).order_by(KeyRotation.id.desc())
    if after is not None:
        query = query.where(KeyRotation.id < after)
    return session.execute(query.limit(limit + 1)).scalars().all()
