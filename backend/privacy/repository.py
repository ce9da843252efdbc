"""Queries on holds, retention runs, certificates and data-subject requests."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.core.database import Base
from backend.core.errors import NotFound
from backend.privacy.models import (
    Certificate,
    ItemState,
    JobState,
    LegalHold,
    RequestState,
    RetentionItem,
    RetentionRun,
    SubjectFinding,
    SubjectRequest,
)

OPEN = (JobState.PENDING, JobState.RUNNING)
TO_DO = (ItemState.PLANNED, ItemState.DELETING)
TO_WORK_ON = (RequestState.SEARCHING, RequestState.ERASING)
UNFINISHED = (*TO_WORK_ON, RequestState.FOUND, RequestState.AWAITING_CONFIRMATION)

Row = TypeVar("Row", bound=Base)


def get(session: Session, kind: type[Row], id: str, word: str, *, lock: bool = False) -> Row:
    """Return a row by its id, as it is in the database now.

    Raises:
        NotFound: there is none; ``word`` says what it would be.
    """
    row = session.get(kind, id, populate_existing=True, with_for_update=lock)
    if row is None:
        raise NotFound(f"there is no {word} {id[:40]!r}")
    return row


def holds(session: Session, subjects: Collection[str] | None = None) -> Sequence[LegalHold]:
    """Return the holds that are in force, on these subjects only if any are given."""
    query = select(LegalHold).where(LegalHold.released_at.is_(None))
    if subjects is not None:
        query = query.where(LegalHold.subject.in_(subjects))
    return session.execute(query.order_by(LegalHold.id)).scalars().all()


def page_holds(session: Session, *, released: bool, after: str | None, limit: int) -> Sequence[LegalHold]:
    """Return holds, newest first, and one more than ``limit``."""
    query = select(LegalHold)
    if not released:
        query = query.where(LegalHold.released_at.is_(None))
    return _page(session, query, LegalHold.id, after, limit)


def open_runs(session: Session) -> Sequence[str]:
    """Return the ids of retention runs that are not over."""
    query = select(RetentionRun.id).where(RetentionRun.state.in_(OPEN))
    return session.execute(query.order_by(RetentionRun.id)).scalars().all()


def last_requested(session: Session, *, scheduled: bool | None = None) -> datetime | None:
    """Return when a run was asked for last."""
    query = select(func.max(RetentionRun.requested_at))
    if scheduled is not None:
        query = query.where(RetentionRun.scheduled.is_(scheduled))
    found: datetime | None = session.execute(query).scalar_one_or_none()
    return found


def page_runs(session: Session, *, after: str | None, limit: int) -> Sequence[RetentionRun]:
    """Return runs, newest first, and one more than ``limit``."""
    return _page(session, select(RetentionRun), RetentionRun.id, after, limit)


def items(session: Session, run_id: str, *, after: int, limit: int) -> Sequence[RetentionItem]:
    """Return a run's items behind an index."""
    query = select(RetentionItem).where(RetentionItem.run_id == run_id, RetentionItem.index > after)
    return session.execute(query.order_by(RetentionItem.index).limit(limit)).scalars().all()


def next_item(session: Session, run_id: str) -> RetentionItem | None:
    """Return the first of a run's items that nothing has become of yet."""
    query = select(RetentionItem).where(RetentionItem.run_id == run_id, RetentionItem.state.in_(TO_DO))
    return session.execute(query.order_by(RetentionItem.index).limit(1)).scalar_one_or_none()


def count_items(session: Session, run_ids: Collection[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many items there are by run, kind and state."""
    has = RetentionItem
    query = select(has.run_id, has.kind, has.state, func.count()).where(has.run_id.in_(run_ids))
    found: dict[str, dict[str, dict[str, int]]] = {id: {} for id in run_ids}
    for run_id, kind, state, count in session.execute(query.group_by(has.run_id, has.kind, has.state)):
        found[run_id].setdefault(kind, {})[state] = count
    return found


def certificate_of(session: Session, about: str) -> Certificate | None:
    """Return the certificate about a run or a request."""
    return session.execute(select(Certificate).where(Certificate.about == about)).scalar_one_or_none()


def certificates_of_request(session: Session, id: str) -> Sequence[Certificate]:
    """Return the certificates about a data-subject request, newest first: one for each attempt to erase the person."""
    about = f"subject-request:{id}"
    query = select(Certificate).where((Certificate.about == about) | Certificate.about.startswith(f"{about}/"))
    return session.execute(query.order_by(Certificate.id.desc())).scalars().all()


def page_certificates(session: Session, *, after: str | None, limit: int) -> Sequence[Certificate]:
    """Return certificates, newest first, and one more than ``limit``."""
    return _page(session, select(Certificate), Certificate.id, after, limit)


def requests_to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of data-subject requests that the platform is at."""
    query = select(SubjectRequest.id).where(SubjectRequest.state.in_(TO_WORK_ON))
    return session.execute(query.order_by(SubjectRequest.id)).scalars().all()


def page_requests(
    session: Session, *, overdue_at: datetime | None, after: str | None, limit: int
) -> Sequence[SubjectRequest]:
    """Return data-subject requests, newest first, and one more than ``limit``; only overdue ones if a time is given."""
    query = select(SubjectRequest)
    if overdue_at is not None:
        query = query.where(SubjectRequest.state.in_(UNFINISHED), SubjectRequest.due_at < overdue_at)
    return _page(session, query, SubjectRequest.id, after, limit)


def unfinished_requests(session: Session) -> Sequence[SubjectRequest]:
    """Return the data-subject requests that are not finished, oldest first."""
    query = select(SubjectRequest).where(SubjectRequest.state.in_(UNFINISHED)).order_by(SubjectRequest.id)
    return session.execute(query).scalars().all()


def findings(session: Session, request_id: str) -> Sequence[SubjectFinding]:
    """Return where a person was found."""
    query = select(SubjectFinding).where(SubjectFinding.request_id == request_id).order_by(SubjectFinding.index)
    return session.execute(query.execution_options(populate_existing=True)).scalars().all()


def next_finding(session: Session, request_id: str) -> SubjectFinding | None:
    """Return the first place from which the person is still to be erased."""
    query = select(SubjectFinding).where(
        SubjectFinding.request_id == request_id, SubjectFinding.state == ItemState.PLANNED
    )
    return session.execute(query.order_by(SubjectFinding.index).limit(1)).scalar_one_or_none()


def _page(session: Session, query: Any, id: Any, after: str | None, limit: int) -> Sequence[Any]:
    if after is not None:
        query = query.where(id < after)
    found: Sequence[Any] = session.execute(query.order_by(id.desc()).limit(limit + 1)).scalars().all()
    return found
