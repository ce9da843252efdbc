"""All queries on the catalog's tables."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from catalog.models import EntityRow, Location, Refresh

PLATFORM_HOST = "platform"
_KEPT_REFRESHES = 20


def entity(session: Session, ref: str) -> EntityRow | None:
    """Return an entity that is there now."""
    row = session.get(EntityRow, ref)
    return row if row is not None and row.document is not None else None


def present(session: Session, refs: Sequence[str]) -> Sequence[EntityRow]:
    """Return those of these entities that are there now."""
    query = select(EntityRow).where(EntityRow.ref.in_(refs), EntityRow.document.is_not(None))
    return session.execute(query).scalars().all()


def trace(session: Session, ref: str) -> EntityRow | None:
    """Return an entity, or the trace of one that is gone."""
    return session.get(EntityRow, ref)


def entities(
    session: Session,
    *,
    kind: str | None = None,
    type: str | None = None,
    owner: str | None = None,
    system: str | None = None,
    q: str | None = None,
    after: str = "",
    limit: int,
) -> Sequence[EntityRow]:
    """Return entities by reference, after one."""
    query = select(EntityRow).where(EntityRow.document.is_not(None), EntityRow.ref > after)
    for column, value in ((EntityRow.type, type), (EntityRow.owner, owner), (EntityRow.system, system)):
        if value is not None:
            query = query.where(column == value)
    if kind is not None:
        query = query.where(func.lower(EntityRow.kind) == kind.lower())
    if q is not None:
        columns = (EntityRow.name, EntityRow.title, EntityRow.description)
        found = columns[0].icontains(q, autoescape=True)
        for column in columns[1:]:
            found = found | column.icontains(q, autoescape=True)
        query = query.where(found)
    return session.execute(query.order_by(EntityRow.ref).limit(limit)).scalars().all()


def of_location(session: Session, location_id: str) -> Sequence[EntityRow]:
    """Return the entities that a location declares."""
    query = select(EntityRow).where(EntityRow.location_id == location_id, EntityRow.document.is_not(None))
    return session.execute(query.order_by(EntityRow.ref)).scalars().all()


def changes(session: Session, *, after: int, limit: int) -> Sequence[tuple[EntityRow, Location | None]]:
    """Return what changed after a number, oldest change first, each with its location.

    Entities that are gone have neither a document nor a location.
    """
    query = select(EntityRow, Location).outerjoin(Location, Location.id == EntityRow.location_id)
    rows = session.execute(query.where(EntityRow.seq > after).order_by(EntityRow.seq).limit(limit))
    return [(row, location) for row, location in rows]


def last_change(session: Session) -> int:
    """Return the number of the newest change."""
    return session.execute(select(func.max(EntityRow.seq))).scalar_one() or 0


def location(session: Session, location_id: str) -> Location | None:
    """Return a location."""
    return session.get(Location, location_id)


def location_at(session: Session, host: str, org: str, repository: str, path: str) -> Location | None:
    """Return the location of a file."""
    query = select(Location).where(
        Location.host == host, Location.org == org, Location.repository == repository, Location.path == path
    )
    return session.execute(query).scalar_one_or_none()


def locations(
    session: Session, *, state: str | None = None, host: str | None = None, after: str = "", limit: int
) -> Sequence[Location]:
    """Return locations by id, after one."""
    query = select(Location).where(Location.id > after)
    if state is not None:
        query = query.where(Location.state == state)
    if host is not None:
        query = query.where(Location.host == host)
    return session.execute(query.order_by(Location.id).limit(limit)).scalars().all()


def due(session: Session, before: datetime, limit: int) -> Sequence[str]:
    """Return the ids of the locations that were not read since, those first that wait longest."""
    query = select(Location.id).where(Location.host != PLATFORM_HOST, Location.read_at < before)
    return session.execute(query.order_by(Location.read_at).limit(limit)).scalars().all()


def open_refreshes(session: Session) -> Sequence[str]:
    """Return the ids of the passes that are not finished."""
    return session.execute(select(Refresh.id).where(Refresh.finished_at.is_(None)).order_by(Refresh.id)).scalars().all()


def drop_old_refreshes(session: Session) -> None:
    """Forget all passes but the last ones."""
    kept: Iterable[str] = session.execute(
        select(Refresh.id).order_by(Refresh.id.desc()).limit(_KEPT_REFRESHES)
    ).scalars()
    oldest = min(kept, default=None)
    if oldest is not None:
        session.execute(delete(Refresh).where(Refresh.id < oldest))
