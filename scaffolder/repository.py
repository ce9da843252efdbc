"""All queries on the scaffolder's tables."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scaffolder.models import ENDED, Scaffold, ScaffoldEvent, ScaffoldState


def find(session: Session, scaffold_id: str) -> Scaffold | None:
    """Return a scaffold."""
    return session.get(Scaffold, scaffold_id)


def lock(session: Session, scaffold_id: str) -> Scaffold:
    """Return a scaffold for changing it: as it is now, and nobody else's until the transaction ends."""
    query = select(Scaffold).where(Scaffold.id == scaffold_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def under_way(session: Session, name: str) -> Scaffold | None:
    """Return the scaffold of that name that is not over."""
    query = select(Scaffold).where(Scaffold.name == name, Scaffold.finished_at.is_(None))
    return session.execute(query).scalar_one_or_none()


def to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of all scaffolds that are not over, oldest first."""
    query = select(Scaffold.id).where(Scaffold.state.not_in(ENDED)).order_by(Scaffold.id)
    return session.execute(query).scalars().all()


def page(
    session: Session, *, state: ScaffoldState | None, owner: str | None, name: str | None, after: str | None, limit: int
) -> Sequence[Scaffold]:
    """Return scaffolds, newest first."""
    query = select(Scaffold)
    for column, value in ((Scaffold.state, state), (Scaffold.owner, owner), (Scaffold.name, name)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Scaffold.id < after)
    return session.execute(query.order_by(Scaffold.id.desc()).limit(limit)).scalars().all()


def events(session: Session, scaffold_id: str, *, after: int = 0) -> Sequence[ScaffoldEvent]:
    """Return a scaffold's events after a number, oldest first."""
    query = select(ScaffoldEvent).where(ScaffoldEvent.scaffold_id == scaffold_id, ScaffoldEvent.seq > after)
    return session.execute(query.order_by(ScaffoldEvent.seq)).scalars().all()


def last_event(session: Session, scaffold_id: str) -> ScaffoldEvent | None:
    """Return a scaffold's newest event."""
    query = select(ScaffoldEvent).where(ScaffoldEvent.scaffold_id == scaffold_id)
    return session.execute(query.order_by(ScaffoldEvent.seq.desc()).limit(1)).scalar_one_or_none()


def next_seq(session: Session, scaffold_id: str) -> int:
    """Return the number of a scaffold's next event; the scaffold must be locked."""
    query = select(func.max(ScaffoldEvent.seq)).where(ScaffoldEvent.scaffold_id == scaffold_id)
    return (session.execute(query).scalar_one() or 0) + 1
