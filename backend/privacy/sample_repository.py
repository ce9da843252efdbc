"""Queries on payload samples."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from backend.privacy.models import PayloadSample

# Not by the id alone: where that follows from a message's own id, it says nothing about the time.
_NEWEST_FIRST = (PayloadSample.at.desc(), PayloadSample.id.desc())


def _before(at: datetime, id: str) -> ColumnElement[bool]:
    return or_(PayloadSample.at < at, and_(PayloadSample.at == at, PayloadSample.id < id))


def known(session: Session, ids: Collection[str]) -> set[str]:
    """Return which of these samples there are."""
    return set(session.execute(select(PayloadSample.id).where(PayloadSample.id.in_(ids))).scalars())


def of_ids(session: Session, environment: str, model: str, ids: Collection[str]) -> list[PayloadSample]:
    """Return those of these samples that there are of a model."""
    pieces = _pieces(environment, model, ids)
    return [row for piece in pieces for row in session.scalars(select(PayloadSample).where(piece))]


def there(session: Session, environment: str, model: str, ids: Collection[str]) -> set[str]:
    """Return the ids of those of these samples that there are of a model."""
    pieces = _pieces(environment, model, ids)
    return {id for piece in pieces for id in session.scalars(select(PayloadSample.id).where(piece))}


def _pieces(environment: str, model: str, ids: Collection[str]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together ask for all ids, as many at a time as a query bears."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        yield and_(
            PayloadSample.environment == environment,
            PayloadSample.model == model,
            PayloadSample.id.in_(wanted[start : start + 500]),
        )


def drop_beyond(session: Session, environment: str, model: str, most: int) -> None:
    """Delete a model's oldest samples until there are at most so many."""
    mine = (PayloadSample.environment == environment, PayloadSample.model == model)
    newest = select(PayloadSample.at, PayloadSample.id).where(*mine).order_by(*_NEWEST_FIRST).offset(most - 1).limit(1)
    if (last := session.execute(newest).one_or_none()) is not None:
        session.execute(delete(PayloadSample).where(*mine, _before(last.at, last.id)))


def piece(
    session: Session,
    environment: str,
    model: str,
    *,
    version: int | None,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[PayloadSample]:
    """Return a model's samples behind a time and an id, oldest first."""
    query = select(PayloadSample).where(PayloadSample.environment == environment, PayloadSample.model == model)
    if after is not None:
        at, id = after
        query = query.where(or_(PayloadSample.at > at, and_(PayloadSample.at == at, PayloadSample.id > id)))
    if version is not None:
        query = query.where(PayloadSample.version == version)
    if since is not None:
        query = query.where(PayloadSample.at >= since)
    if until is not None:
        query = query.where(PayloadSample.at < until)
    return session.execute(query.order_by(PayloadSample.at, PayloadSample.id).limit(limit)).scalars().all()


def page(
    session: Session, environment: str, model: str, *, after: tuple[Any, ...] | None, limit: int
) -> Sequence[PayloadSample]:
    """Return a model's samples, newest first, and one more than ``limit``."""
    query = select(PayloadSample).where(PayloadSample.environment == environment, PayloadSample.model == model)
    if after is not None:
        query = query.where(_before(*after))
    return session.execute(query.order_by(*_NEWEST_FIRST).limit(limit + 1)).scalars().all()


def sealed_by_others(session: Session, key_id: str, *, limit: int) -> Sequence[PayloadSample]:
    """Return samples that another key has sealed."""
    query = select(PayloadSample).where(PayloadSample.key_id != key_id).order_by(PayloadSample.id)
    return session.execute(query.limit(limit)).scalars().all()


def count_sealed_by_others(session: Session, key_id: str) -> int:
    """Return how many samples another key has sealed."""
    query = select(func.count()).select_from(PayloadSample).where(PayloadSample.key_id != key_id)
    return session.execute(query).scalar_one()


def places(session: Session) -> list[tuple[str, str]]:
    """Return the environments and models that there are samples of."""
    query = select(PayloadSample.environment, PayloadSample.model).distinct()
    return [(row[0], row[1]) for row in session.execute(query.order_by(*query.selected_columns))]


def older(session: Session, environment: str, model: str, before: datetime) -> tuple[int, datetime | None, int]:
    """Return how many of a model's samples are older, when the oldest was taken, and their bytes."""
    query = select(
        func.count(), func.min(PayloadSample.at), func.coalesce(func.sum(func.length(PayloadSample.sealed)), 0)
    ).where(PayloadSample.environment == environment, PayloadSample.model == model, PayloadSample.at < before)
    count, oldest, size = session.execute(query).one()
    return count, oldest, size


def ids_older(session: Session, environment: str, model: str, before: datetime) -> list[str]:
    """Return the ids of a model's samples that are older."""
    query = select(PayloadSample.id).where(
        PayloadSample.environment == environment, PayloadSample.model == model, PayloadSample.at < before
    )
    return list(session.execute(query.order_by(PayloadSample.id)).scalars())


def forget(session: Session, ids: Collection[str]) -> int:
    """Delete samples."""
    wanted, gone = sorted(ids), 0
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        gone += session.execute(delete(PayloadSample).where(PayloadSample.id.in_(some))).rowcount  # type: ignore[attr-defined]
    return gone
