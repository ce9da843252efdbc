"""All queries on the support domain's tables."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.support.models import RequestState, SupportEntry, SupportRequest, SurveyAnswer


def find(session: Session, id: str) -> SupportRequest | None:
    """Return a request."""
    return session.get(SupportRequest, id, populate_existing=True)


def page(
    session: Session,
    *,
    state: str | None,
    priority: str | None,
    asked_by: str | None,
    overdue_at: datetime | None,
    after: tuple[str] | None,
    limit: int,
) -> Sequence[SupportRequest]:
    """Return requests, newest first; with ``overdue_at`` those that should have been answered by then and are not."""
    has = SupportRequest
    query = select(has).order_by(has.id.desc()).limit(limit)
    for column, value in ((has.state, state), (has.priority, priority), (has.asked_by, asked_by)):
        if value is not None:
            query = query.where(column == value)
    if overdue_at is not None:
        query = query.where(has.state == RequestState.OPEN.value, has.due_at < overdue_at)
    if after is not None:
        query = query.where(has.id < after[0])
    return session.execute(query).scalars().all()


def newly_overdue(session: Session, now: datetime) -> Sequence[SupportRequest]:
    """Return the requests that should have been answered, of which that was not noted yet."""
    has = SupportRequest
    query = select(has).where(has.state == RequestState.OPEN.value, has.due_at < now, has.overdue_at.is_(None))
    return session.execute(query.order_by(has.due_at)).scalars().all()


def since(session: Session, since: datetime) -> Sequence[SupportRequest]:
    """Return the requests since a time, oldest first."""
    query = select(SupportRequest).where(SupportRequest.asked_at >= since).order_by(SupportRequest.id)
    return session.execute(query).scalars().all()


def entries(session: Session, request_id: str) -> Sequence[SupportEntry]:
    """Return what was said about a request, oldest first."""
    query = select(SupportEntry).where(SupportEntry.request_id == request_id).order_by(SupportEntry.seq)
    return session.execute(query).scalars().all()


def last_entry(session: Session, request_id: str) -> int:
    """Return the number of what was said last; 0 if nothing was."""
    query = select(func.max(SupportEntry.seq)).where(SupportEntry.request_id == request_id)
    return session.execute(query).scalar_one() or 0


def answer(session: Session, quarter: str, person: str) -> SurveyAnswer | None:
    """Return what a person said in a quarter."""
    return session.get(SurveyAnswer, (quarter, person), populate_existing=True)


def answers(session: Session, quarter: str) -> Sequence[SurveyAnswer]:
    """Return what people said in a quarter, in an order that says nothing about them."""
    query = select(SurveyAnswer).where(SurveyAnswer.quarter == quarter).order_by(SurveyAnswer.person)
    return session.execute(query).scalars().all()


def counts(session: Session) -> dict[str, int]:
    """Return how many people answered in each quarter."""
    query = select(SurveyAnswer.quarter, func.count()).group_by(SurveyAnswer.quarter)
    return {row[0]: row[1] for row in session.execute(query)}
