"""Queries on sealed segments, on sealings, and on what of the log is to be sealed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import CursorResult, Select, delete, func, select
from sqlalchemy.orm import Session

from backend.audit.models import AuditRow, AuditSealing, AuditSegment, AuditSegmentRemoval, SealingState


class SegmentSpan(NamedTuple):
    """Which events a segment has, from when to when they are, and when its file was deleted, if it was."""

    first: int
    last: int
    since: str
    until: str
    removed_at: datetime | None


def horizon(session: Session) -> int:
    """Return the number of the last sealed event; 0 if none is."""
    return session.execute(select(func.max(AuditSegment.last_seq))).scalar_one() or 0


def spans(session: Session, first: int, last: int) -> list[SegmentSpan]:
    """Return the segments that have any of these events, in order."""
    query = _spans().where(AuditSegment.last_seq >= first, AuditSegment.first_seq <= last)
    return [SegmentSpan(*row) for row in session.execute(query)]


def removed_in(session: Session, since: str, until: str) -> SegmentSpan | None:
    """Return the first segment with events from between two times that was deleted."""
    query = _spans().where(AuditSegment.until >= since, AuditSegment.since < until)
    row = session.execute(query.where(AuditSegmentRemoval.removed_at.is_not(None)).limit(1)).one_or_none()
    return None if row is None else SegmentSpan(*row)


def _spans() -> Select[int, int, str, str, datetime]:
    has = AuditSegment
    query = select(has.first_seq, has.last_seq, has.since, has.until, AuditSegmentRemoval.removed_at)
    joined = query.outerjoin(AuditSegmentRemoval, AuditSegmentRemoval.first_seq == has.first_seq)
    return joined.order_by(has.first_seq)


def kept_before(session: Session, time: str) -> Sequence[AuditSegment]:
    """Return the segments whose newest event is from before a time and whose files were not deleted, in order."""
    removed = select(AuditSegmentRemoval.first_seq)
    query = select(AuditSegment).where(AuditSegment.until < time, AuditSegment.first_seq.not_in(removed))
    return session.execute(query.order_by(AuditSegment.first_seq)).scalars().all()


def manifest(session: Session, first: int) -> str:
    """Return the signed manifest of the segment that begins with an event."""
    return session.execute(select(AuditSegment.manifest).where(AuditSegment.first_seq == first)).scalar_one()


def removal(session: Session, first: int) -> str:
    """Return the signed note of the deletion of the segment that begins with an event."""
    return session.execute(select(AuditSegmentRemoval.note).where(AuditSegmentRemoval.first_seq == first)).scalar_one()


def removals(session: Session, firsts: Collection[int]) -> dict[int, datetime]:
    """Return when segments were deleted, by the numbers that they begin with."""
    has = AuditSegmentRemoval
    query = select(has.first_seq, has.removed_at).where(has.first_seq.in_(firsts))
    return {row.first_seq: row.removed_at for row in session.execute(query)}


def segments(session: Session, *, before: int | None, limit: int) -> Sequence[AuditSegment]:
    """Return segments, newest first."""
    query = select(AuditSegment).order_by(AuditSegment.first_seq.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditSegment.first_seq < before)
    return session.execute(query).scalars().all()


def rows(session: Session, first: int, last: int) -> list[tuple[str, str]]:
    """Return canonical texts and hashes of the events from ``first`` to ``last`` that are in the table, in order."""
    query = select(AuditRow.event, AuditRow.hash).where(AuditRow.seq.between(first, last)).order_by(AuditRow.seq)
    return [(event, hash) for event, hash in session.execute(query)]


def first_in_from(session: Session, first: int, last: int, time: str) -> int | None:
    """Return the number of the first of some events that is dated at or after a time."""
    query = select(func.min(AuditRow.seq)).where(AuditRow.seq.between(first, last), AuditRow.time >= time)
    return session.execute(query).scalar_one()


def delete_rows(session: Session, first: int, last: int) -> int:
    """Delete the rows of sealed events; return how many there were."""
    done = session.execute(delete(AuditRow).where(AuditRow.seq.between(first, last)))
    assert isinstance(done, CursorResult)
    return done.rowcount


def open_sealings(session: Session) -> Sequence[str]:
    """Return the ids of sealings that are not over."""
    query = select(AuditSealing.id).where(AuditSealing.state == SealingState.RUNNING).order_by(AuditSealing.id)
    return session.execute(query).scalars().all()


def last_scheduled(session: Session) -> AuditSealing | None:
    """Return the newest sealing that the schedule began."""
    query = select(AuditSealing).where(AuditSealing.scheduled).order_by(AuditSealing.id.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def sealings(session: Session, *, before: str | None, limit: int) -> Sequence[AuditSealing]:
    """Return sealings, newest first."""
    query = select(AuditSealing).order_by(AuditSealing.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditSealing.id < before)
    return session.execute(query).scalars().all()
