"""All queries on the observability domain's tables but those of incidents."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from backend.observability.models import SampleChunk, SampleSeries, SloStanding

SeriesKey = tuple[str, str, int, str]
"""Environment, model, version and measure."""
_AT_ONCE = 150


def all_series(session: Session) -> Sequence[SampleSeries]:
    """Return every series."""
    return session.execute(select(SampleSeries)).scalars().all()


def chunks(
    session: Session, keys: Collection[tuple[str, str, int, str, int, int]]
) -> dict[tuple[str, str, int, str, int, int], bytes]:
    """Return chunks by series, step and start."""
    has = SampleChunk
    columns = (has.environment, has.model, has.version, has.measure, has.step, has.start)
    found = {}
    wanted = sorted(keys)
    for first in range(0, len(wanted), _AT_ONCE):
        query = select(*columns, has.data).where(tuple_(*columns).in_(wanted[first : first + _AT_ONCE]))
        for environment, model, version, measure, step, start, data in session.execute(query):
            found[environment, model, version, measure, step, start] = data
    return found


def replace_chunks(session: Session, packed: Sequence[dict[str, object]]) -> None:
    """Put chunks in the place of those of the same key."""
    _replace(session, SampleChunk, packed)


def replace_series(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Put series in the place of those of the same key."""
    _replace(session, SampleSeries, rows)


def drop_chunks(session: Session, step: int, before: int) -> None:
    """Delete chunks of a step that began before a time."""
    session.execute(delete(SampleChunk).where(SampleChunk.step == step, SampleChunk.start < before))


def drop_series(session: Session, before: datetime) -> None:
    """Delete series that were last read before a time."""
    session.execute(delete(SampleSeries).where(SampleSeries.at < before))


def chunks_of(
    session: Session, environment: str, model: str, measure: str, step: int, since: int, *, before: int | None = None
) -> list[tuple[int, int, bytes]]:
    """Return version, start and data of a model's chunks, all versions together, that begin at a time or later.

    With ``before`` only those that begin before that.
    """
    has = SampleChunk
    query = select(has.version, has.start, has.data).where(
        has.environment == environment,
        has.model == model,
        has.measure == measure,
        has.step == step,
        has.start >= since,
    )
    if before is not None:
        query = query.where(has.start < before)
    return [(version, start, data) for version, start, data in session.execute(query)]


def heard(session: Session, environment: str, model: str) -> dict[tuple[int, str], datetime]:
    """Return when each series of a model was read last, by version and measure."""
    has = SampleSeries
    query = select(has.version, has.measure, has.at).where(has.environment == environment, has.model == model)
    return {(version, measure): at for version, measure, at in session.execute(query)}


def standings(session: Session, models: Collection[str]) -> Sequence[SloStanding]:
    """Return the standings of models' objectives, by environment and name."""
    query = select(SloStanding).where(SloStanding.model.in_(models))
    query = query.order_by(SloStanding.model, SloStanding.environment, SloStanding.slo)
    return session.execute(query.execution_options(populate_existing=True)).scalars().all()


def all_standings(session: Session) -> Sequence[SloStanding]:
    """Return the standings of all models' objectives, by model, environment and name."""
    has = SloStanding
    return session.execute(select(has).order_by(has.model, has.environment, has.slo)).scalars().all()


def standing_keys(session: Session) -> set[tuple[str, str, str]]:
    """Return environment, model and objective of all standings."""
    rows = session.execute(select(SloStanding.environment, SloStanding.model, SloStanding.slo))
    return {(environment, model, slo) for environment, model, slo in rows}


def drop_standings(session: Session, keys: Iterable[tuple[str, str, str]]) -> None:
    """Delete standings by environment, model and objective."""
    has = SloStanding
    for environment, model, slo in keys:
        session.execute(delete(has).where(has.environment == environment, has.model == model, has.slo == slo))


def _replace(
    session: Session, table: type[SampleChunk] | type[SampleSeries], rows: Sequence[dict[str, object]]
) -> None:
    """Insert or update by the primary key, which both databases can do in one statement."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as upsert
    else:
        from sqlalchemy.dialects.sqlite import insert as upsert  # type: ignore[assignment]
    primary = [column.name for column in table.__table__.primary_key]
    for first in range(0, len(rows), _AT_ONCE):
        statement = upsert(table).values(list(rows[first : first + _AT_ONCE]))
        others = {name: statement.excluded[name] for name in rows[first] if name not in primary}
        session.execute(statement.on_conflict_do_update(index_elements=primary, set_=others))
