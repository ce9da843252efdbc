"""Queries on the audit log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.audit.models import (
    AuditCheckpoint,
    AuditHead,
    AuditNode,
    AuditPublication,
    AuditRow,
    PublicationState,
)
from backend.core.schemas import utc

_FEW = 50
_MOST_SUBJECTS = 500


@dataclass(frozen=True)
class EventFilter:
    """Which events; ``None`` is all."""

    subject: str | None = None
    type: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def find_events(
    session: Session,
    wanted: EventFilter,
    *,
    after: int | None,
    limit: int,
    newest_first: bool = False,
    above: int = 0,
) -> Sequence[AuditRow]:
    """Return the events in the table that match, oldest or newest first, behind a sequence number in that order.

    ``subject`` also finds what belongs to it (``model:wine`` finds ``model:wine/versions/3``), and ``type`` may end with
    ``.`` to find all of a domain.
    """
    query = select(AuditRow)
    if above:
        query = query.where(AuditRow.seq > above)
    if after is not None:
        query = query.where(AuditRow.seq < after if newest_first else AuditRow.seq > after)
    if wanted.subject is not None:
        below = AuditRow.subject.startswith(f"{wanted.subject}/", autoescape=True)
        query = query.where((AuditRow.subject == wanted.subject) | below)
    if wanted.type is not None:
        of_domain = wanted.type.endswith(".")
        query = query.where(
            AuditRow.type.startswith(wanted.type, autoescape=True) if of_domain else AuditRow.type == wanted.type
        )
    if wanted.actor is not None:
        query = query.where(AuditRow.actor == wanted.actor)
    if wanted.since is not None:
        query = query.where(AuditRow.time >= utc(wanted.since))
    if wanted.until is not None:
        query = query.where(AuditRow.time < utc(wanted.until))
    order = AuditRow.seq.desc() if newest_first else AuditRow.seq
    return session.execute(query.order_by(order).limit(limit)).scalars().all()


def first_time(session: Session) -> str | None:
    """Return the time of the first event in the table."""
    return session.execute(select(AuditRow.time).order_by(AuditRow.seq).limit(1)).scalar_one_or_none()


def last_seq(session: Session) -> int:
    """Return the sequence number of the newest event; 0 if there is none."""
    return session.execute(select(AuditHead.seq)).scalar_one_or_none() or 0


def head(session: Session) -> AuditHead | None:
    """Return the end of the log."""
    return session.execute(select(AuditHead)).scalar_one_or_none()


def checkpoint(session: Session, seq: int) -> AuditCheckpoint | None:
    """Return the checkpoint at an event, which there is only where a transaction ended."""
    return session.get(AuditCheckpoint, seq)


def texts(session: Session, first: int, last: int) -> list[str]:
    """Return the canonical texts of the events from ``first`` to ``last`` that are in the table, in order."""
    query = select(AuditRow.event).where(AuditRow.seq.between(first, last)).order_by(AuditRow.seq)
    return list(session.execute(query).scalars())


def nodes(session: Session, level: int, first: int, last: int) -> list[str]:
    """Return the kept hashes of a level of the tree, in order."""
    query = select(AuditNode.hash).where(AuditNode.level == level, AuditNode.position.between(first, last))
    return list(session.execute(query.order_by(AuditNode.position)).scalars())


def first_from(session: Session, time: str, above: int) -> int | None:
    """Return the number of the first event in the table, above a number, that is dated at or after a time."""
    query = select(func.min(AuditRow.seq)).where(AuditRow.time >= time, AuditRow.seq > above)
    return session.execute(query).scalar_one()


def last_before(session: Session, time: str, above: int) -> int:
    """Return the number of the last event in the table, above a number, that is dated before a time; 0 if there is none."""
    query = select(func.max(AuditRow.seq)).where(AuditRow.time < time, AuditRow.seq > above)
    return session.execute(query).scalar_one() or 0


def checkpoint_from(session: Session, seq: int) -> int | None:
    """Return the number of the first event from ``seq`` on at which there is a checkpoint."""
    return session.execute(select(func.min(AuditCheckpoint.seq)).where(AuditCheckpoint.seq >= seq)).scalar_one()


def texts_of_types(
    session: Session, types: Collection[str], after: int, last: int, limit: int
) -> Sequence[tuple[int, str]]:
    """Return numbers and canonical texts of the next events of some types, in order."""
    query = select(AuditRow.seq, AuditRow.event).where(
        AuditRow.type.in_(types), AuditRow.seq > after, AuditRow.seq <= last
    )
    return [(seq, event) for seq, event in session.execute(query.order_by(AuditRow.seq).limit(limit))]


def texts_about(
    session: Session, subjects: Collection[str], types: Collection[str], before: int, above: int
) -> list[tuple[int, str]]:
    """Return numbers and canonical texts of the events in the table about some subjects between two numbers, in order."""
    found: list[tuple[int, str]] = []
    names = list(subjects)
    for start in range(0, len(names), _MOST_SUBJECTS):
        some = names[start : start + _MOST_SUBJECTS]
        query = select(AuditRow.seq, AuditRow.event).where(
            AuditRow.subject.in_(some), AuditRow.seq < before, AuditRow.seq > above
        )
        if types:
            query = query.where(AuditRow.type.in_(types))
        found += [(seq, event) for seq, event in session.execute(query)]
    return sorted(found)


def open_publications(session: Session) -> Sequence[str]:
    """Return the ids of publications that are not over."""
    query = select(AuditPublication.id).where(AuditPublication.finished_at.is_(None)).order_by(AuditPublication.id)
    return session.execute(query).scalars().all()


def last_publication(session: Session, target: str, state: PublicationState | None = None) -> AuditPublication | None:
    """Return the newest publication to a target, or the newest that ended so."""
    query = select(AuditPublication).where(AuditPublication.target == target)
    if state is not None:
        query = query.where(AuditPublication.state == state)
    return session.execute(query.order_by(AuditPublication.id.desc()).limit(1)).scalar_one_or_none()


def publications(session: Session, *, before: str | None, limit: int) -> Sequence[AuditPublication]:
    """Return publications, newest first."""
    query = select(AuditPublication).order_by(AuditPublication.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditPublication.id < before)
    return session.execute(query).scalars().all()


def newest_other_than(session: Session, types: str) -> int:
    """Return the number of the newest event of another kind, as far as it is among the newest few; else 0."""
    newest = session.execute(select(AuditRow.seq, AuditRow.type).order_by(AuditRow.seq.desc()).limit(_FEW))
    return next((seq for seq, type in newest if not type.startswith(types)), 0)
