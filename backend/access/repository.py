"""All queries on the access domain's tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, or_, select
from sqlalchemy.orm import Session

from backend.access.models import (
    ClockRow,
    Grant,
    GrantKind,
    GrantState,
    ItemState,
    PolicySetRow,
    Review,
    ReviewItem,
    ReviewState,
)

_grants = Grant.__table__.c
_COVERING = select(_grants.id, _grants.kind, _grants.ends_at).where(
    _grants.person == bindparam("person"),
    _grants.action == bindparam("action"),
    or_(_grants.scope == bindparam("scope"), _grants.scope == bindparam("wider")),
    _grants.state == GrantState.ACTIVE.value,
    _grants.purpose == bindparam("purpose"),
    _grants.starts_at <= bindparam("now"),
    _grants.ends_at > bindparam("now"),
)
"""Made once, since it is part of every decision that no policy allows by itself."""


def newest_policy_set(session: Session) -> PolicySetRow | None:
    """Return the policy set that was activated last."""
    return session.execute(select(PolicySetRow).order_by(PolicySetRow.id.desc()).limit(1)).scalar_one_or_none()


def policy_set(session: Session, digest: str) -> PolicySetRow | None:
    """Return a policy set that held at some time."""
    query = select(PolicySetRow).where(PolicySetRow.digest == digest).order_by(PolicySetRow.id.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def clock(session: Session) -> ClockRow | None:
    """Return the latest time that was seen."""
    return session.get(ClockRow, 1)


def covering(
    session: Session, *, person: str, action: str, scopes: Sequence[str], purpose: str, now: datetime
) -> tuple[str, str, datetime] | None:
    """Return id, kind and end of a grant that covers a request now; of several the one that lasts longest.

    ``scopes`` is the resource itself, and what is wider if there is something.
    """
    place = {"scope": scopes[0], "wider": scopes[-1]}
    values = {**place, "person": person, "action": action, "purpose": purpose, "now": now}
    found = [(id, kind, ends_at) for id, kind, ends_at in session.connection().execute(_COVERING, values)]
    return max(found, key=lambda one: one[2], default=None)


def grant(session: Session, id: str, *, lock: bool = False) -> Grant | None:
    """Return a grant; with ``lock`` nobody else changes it until the transaction ends."""
    query = select(Grant).where(Grant.id == id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def waiting_twin(session: Session, like: Grant) -> Grant | None:
    """Return the request that waits for the same already."""
    return session.execute(
        select(Grant).where(
            Grant.person == like.person,
            Grant.action == like.action,
            Grant.scope == like.scope,
            Grant.purpose == like.purpose,
            Grant.state == GrantState.REQUESTED,
        )
    ).scalar_one_or_none()


def grants(
    session: Session,
    *,
    persons: Sequence[str] | None = None,
    owners: Sequence[str] | None = None,
    state: str | None = None,
    kind: str | None = None,
    scope: str | None = None,
    to_look_at: bool = False,
    after: str | None = None,
    limit: int,
) -> Sequence[Grant]:
    """Return grants, newest first; ``owners`` are those who decide about them."""
    query = select(Grant)
    if persons is not None:
        query = query.where(Grant.person.in_(persons))
    if owners is not None:
        query = query.where(Grant.owner.in_(owners))
    for column, value in ((Grant.state, state), (Grant.kind, kind), (Grant.scope, scope)):
        if value is not None:
            query = query.where(column == value)
    if to_look_at:
        query = query.where(Grant.kind == GrantKind.BREAK_GLASS, Grant.looked_at.is_(None))
    if after is not None:
        query = query.where(Grant.id < after)
    return session.execute(query.order_by(Grant.id.desc()).limit(limit)).scalars().all()


def grants_between(session: Session, since: datetime, until: datetime) -> Sequence[Grant]:
    """Return the grants that were asked for or decided in a period, oldest first."""
    query = select(Grant).where(
        or_(
            (Grant.requested_at >= since) & (Grant.requested_at < until),
            (Grant.decided_at >= since) & (Grant.decided_at < until),
        )
    )
    return session.execute(query.order_by(Grant.id)).scalars().all()


def active_grants(session: Session) -> Sequence[Grant]:
    """Return what is granted and has not ended."""
    return session.execute(select(Grant).where(Grant.state == GrantState.ACTIVE).order_by(Grant.id)).scalars().all()


def over(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of grants and requests whose time is over, those first that ended first."""
    query = select(Grant.id).where(Grant.state.in_([GrantState.ACTIVE, GrantState.REQUESTED]), Grant.ends_at <= now)
    return session.execute(query.order_by(Grant.ends_at).limit(1000)).scalars().all()


def review(session: Session, id: str, *, lock: bool = False) -> Review | None:
    """Return a review; with ``lock`` nobody else changes it until the transaction ends."""
    query = select(Review).where(Review.id == id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def review_under_way(session: Session) -> Review | None:
    """Return the review that is not closed."""
    return session.execute(select(Review).where(Review.under_way == 1)).scalar_one_or_none()


def last_scheduled(session: Session) -> datetime | None:
    """Return for when the newest review that opened by schedule was due."""
    return session.execute(select(func.max(Review.scheduled_for))).scalar_one()


def due_reviews(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of reviews whose next step is due."""
    query = select(Review.id).where(Review.under_way == 1, Review.next_at <= now)
    return session.execute(query.order_by(Review.id)).scalars().all()


def reviews(session: Session, *, after: str | None = None, limit: int) -> Sequence[Review]:
    """Return reviews, newest first."""
    query = select(Review) if after is None else select(Review).where(Review.id < after)
    return session.execute(query.order_by(Review.id.desc()).limit(limit)).scalars().all()


def counts(session: Session, review_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many items are in which state, by review."""
    found: dict[str, dict[str, int]] = {id: {} for id in review_ids}
    query = select(ReviewItem.review_id, ReviewItem.state, func.count()).where(ReviewItem.review_id.in_(review_ids))
    for id, state, number in session.execute(query.group_by(ReviewItem.review_id, ReviewItem.state)):
        found[id][state] = number
    return found


def item(session: Session, id: str, *, lock: bool = False) -> ReviewItem | None:
    """Return an item; with ``lock`` nobody else changes it until the transaction ends."""
    query = select(ReviewItem).where(ReviewItem.id == id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def items(
    session: Session,
    review_id: str,
    *,
    state: str | None = None,
    owners: Sequence[str] | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Sequence[ReviewItem]:
    """Return a review's items, in the order in which they were collected."""
    wanted: list[ColumnElement[Any]] = [ReviewItem.review_id == review_id]
    if state is not None:
        wanted.append(ReviewItem.state == state)
    if owners is not None:
        wanted.append(ReviewItem.owner.in_(owners))
    if after is not None:
        wanted.append(ReviewItem.id > after)
    return session.execute(select(ReviewItem).where(*wanted).order_by(ReviewItem.id).limit(limit)).scalars().all()


def pending_of(session: Session, owners: Sequence[str] | None) -> Sequence[ReviewItem]:
    """Return what is still to be decided in the review that is open, of these owners or of all."""
    query = (
        select(ReviewItem)
        .join(Review, Review.id == ReviewItem.review_id)
        .where(Review.state == ReviewState.OPEN, ReviewItem.state == ItemState.PENDING)
    )
    if owners is not None:
        query = query.where(ReviewItem.owner.in_(owners))
    return session.execute(query.order_by(ReviewItem.id)).scalars().all()
