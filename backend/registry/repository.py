"""Queries of the registry domain."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from backend.registry.models import AliasRow, ModelRow, VersionRow

_AT_ONCE = 500


def find_models(session: Session, *, owner: str | None, q: str | None, after: str, limit: int) -> Sequence[ModelRow]:
    """Return models by name, after a name; ``q`` is looked for in name and description."""
    query = select(ModelRow).where(ModelRow.name > after)
    if owner is not None:
        query = query.where(ModelRow.owner == owner)
    if q is not None:
        query = query.where(
            ModelRow.name.icontains(q, autoescape=True) | ModelRow.description.icontains(q, autoescape=True)
        )
    return session.execute(query.order_by(ModelRow.name).limit(limit)).scalars().all()


def find_versions(session: Session, model: str, *, before: int | None, limit: int) -> Sequence[VersionRow]:
    """Return versions, newest first, older than a number."""
    query = select(VersionRow).where(VersionRow.model == model)
    if before is not None:
        query = query.where(VersionRow.version < before)
    return session.execute(query.order_by(VersionRow.version.desc()).limit(limit)).scalars().all()


def find_same(session: Session, model: str, *, digest: str, commit: str, repository: str) -> VersionRow | None:
    """Return the version that was registered from the same content."""
    query = select(VersionRow).where(
        VersionRow.model == model,
        VersionRow.digest == digest,
        VersionRow.commit == commit,
        VersionRow.repository == repository,
    )
    return session.execute(query).scalar_one_or_none()


def versions_of(session: Session, wanted: Sequence[tuple[str, int]]) -> list[VersionRow]:
    """Return those of these versions (model and number) that there are."""
    found: list[VersionRow] = []
    for first in range(0, len(wanted), _AT_ONCE):
        part = wanted[first : first + _AT_ONCE]
        query = select(VersionRow).where(tuple_(VersionRow.model, VersionRow.version).in_(part))
        found += session.execute(query).scalars()
    return found


def newest_versions(session: Session, models: Sequence[str]) -> dict[str, int]:
    """Return the newest version number by model."""
    query = select(VersionRow.model, func.max(VersionRow.version)).where(VersionRow.model.in_(models))
    rows = session.execute(query.group_by(VersionRow.model)).all()
    return {row[0]: row[1] for row in rows}


def registered(session: Session, names: Sequence[str]) -> list[tuple[ModelRow, int | None, datetime]]:
    """Return models by name, each with its newest version and when that, or the model itself, was registered."""
    last = newest_versions(session, names)
    pairs = tuple_(VersionRow.model, VersionRow.version).in_(list(last.items()))
    times = {row[0]: row[1] for row in session.execute(select(VersionRow.model, VersionRow.created_at).where(pairs))}
    query = select(ModelRow).where(ModelRow.name.in_(names)).order_by(ModelRow.name)
    rows = session.execute(query.execution_options(populate_existing=True)).scalars()
    return [(row, last.get(row.name), times.get(row.name, row.created_at)) for row in rows]


def made_at(
    session: Session, versions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], tuple[str | None, datetime]]:
    """Return when versions were committed, as far as their lineage says so, and registered, by model and number."""
    models = {model for model, _ in versions}
    columns = (VersionRow.model, VersionRow.version, VersionRow.created_at)
    query = select(*columns, VersionRow.lineage["committedAt"].as_string()).where(VersionRow.model.in_(models))
    wanted = set(versions)
    return {
        (model, version): (committed, at)
        for model, version, at, committed in session.execute(query)
        if (model, version) in wanted
    }


def all_names(session: Session) -> Sequence[str]:
    """Return the names of all models."""
    return session.execute(select(ModelRow.name)).scalars().all()


def has_artefact(session: Session, model: str, digest: str) -> bool:
    """Say whether a version of the model has this artefact."""
    query = select(VersionRow.version).where(VersionRow.model == model, VersionRow.digest == digest).limit(1)
    return session.execute(query).first() is not None


def has_run(session: Session, run_id: str) -> bool:
    """Say whether a version came from this run of MLflow's."""
    query = select(VersionRow.version).where(VersionRow.run_id == run_id, VersionRow.deleted_at.is_(None)).limit(1)
    return session.execute(query).first() is not None


def aliases_of(session: Session, models: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return what each alias points at, by model."""
    found: dict[str, dict[str, int]] = {name: {} for name in models}
    query = select(AliasRow).where(AliasRow.model.in_(models)).order_by(AliasRow.alias)
    for row in session.execute(query).scalars():
        found[row.model][row.alias] = row.version
    return found


def all_versions(session: Session, *, type: str | None = None) -> Iterator[VersionRow]:
    """Yield all versions, or those of a type, by model and number; few of them are in memory at a time."""
    query = select(VersionRow).order_by(VersionRow.model, VersionRow.version)
    if type is not None:
        # Its own type: a model's may have been another then.
        query = query.where(VersionRow.spec["type"].as_string() == type)
    yield from session.execute(query.execution_options(populate_existing=True, yield_per=_AT_ONCE)).scalars()


def newest_specs(session: Session) -> dict[str, dict[str, Any]]:
    """Return the newest ``model.yaml`` by model."""
    newest = select(VersionRow.model, func.max(VersionRow.version)).group_by(VersionRow.model)
    query = select(VersionRow.model, VersionRow.spec).where(tuple_(VersionRow.model, VersionRow.version).in_(newest))
    return {row[0]: row[1] for row in session.execute(query)}


def first_at(session: Session) -> datetime | None:
    """Return when the first version was registered."""
    found: datetime | None = session.execute(select(func.min(VersionRow.created_at))).scalar_one_or_none()
    return found


def lock_version(session: Session, model: str, version: int) -> VersionRow | None:
    """Return a version as it is in the database, locked until the transaction ends."""
    query = select(VersionRow).where(VersionRow.model == model, VersionRow.version == version).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def bundles_in_use(session: Session) -> set[str]:
    """Return the bundles of versions that were not deleted."""
    return set(session.execute(select(VersionRow.bundle).where(VersionRow.deleted_at.is_(None))).scalars())


def aliased(session: Session) -> set[tuple[str, int]]:
    """Return the versions that an alias points at."""
    return {(row[0], row[1]) for row in session.execute(select(AliasRow.model, AliasRow.version))}


def versions_since(session: Session, since: datetime, limit: int) -> Sequence[VersionRow]:
    """Return the versions that were registered at a time or after it, in the order in which they were."""
    query = select(VersionRow).where(VersionRow.created_at >= since)
    return session.execute(query.order_by(VersionRow.created_at, VersionRow.model).limit(limit)).scalars().all()


def bundles_before(session: Session, before: datetime) -> list[tuple[str, int, str, datetime]]:
    """Return model, version, bundle and time of all versions that were registered before a time and not deleted."""
    query = select(VersionRow.model, VersionRow.version, VersionRow.bundle, VersionRow.created_at)
    query = query.where(VersionRow.created_at < before, VersionRow.deleted_at.is_(None))
    rows = session.execute(query.order_by(VersionRow.model, VersionRow.version))
    return [(model, version, bundle, at) for model, version, bundle, at in rows]
