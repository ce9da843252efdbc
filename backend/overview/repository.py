"""All queries on the overview's tables."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, case, delete, exists, func, insert, select, tuple_
from sqlalchemy.orm import Session

from backend.drift.models import WORST_FIRST
from backend.overview.models import ModelPlace, ModelSummary

SortKey = Literal["name", "owner", "system", "type", "tier", "updated", "behind", "compliance", "slo", "drift", "cost"]
_SUMMARY = tuple(ModelSummary.__table__.columns)
_PLACE = tuple(ModelPlace.__table__.columns)
SummaryRow = Row[Any]
PlaceRow = Row[Any]
DRIFT_ORDER = (*(one.value for one in WORST_FIRST), "")
"""Drift as models are sorted by it: the worst first, and last those of which nothing is known."""
_COLUMNS: dict[str, Any] = {
    "owner": ModelSummary.owner,
    "system": ModelSummary.system,
    "type": ModelSummary.type,
    "tier": ModelSummary.tier,
    "updated": ModelSummary.updated_at,
    "behind": ModelSummary.behind,
    "compliance": ModelSummary.compliance,
    "slo": ModelSummary.budget,
    "drift": case({value: place for place, value in enumerate(DRIFT_ORDER)}, value=ModelSummary.drift),
    "cost": ModelSummary.monthly_cost,
}


@dataclass(frozen=True)
class Filter:
    """Which models; ``None`` is all."""

    q: str | None = None
    owner: str | None = None
    system: str | None = None
    type: str | None = None
    tier: int | None = None
    environment: str | None = None
    live: bool | None = None
    phase: str | None = None
    behind: bool | None = None
    compliant: bool | None = None
    slo: str | None = None
    drift: str | None = None
    cost_at_least: int | None = None
    """In cents, this month."""


def replace_rows(
    session: Session, names: Collection[str], summaries: list[dict[str, Any]], places: list[dict[str, Any]]
) -> None:
    """Put these rows in the place of all rows of these models."""
    session.execute(delete(ModelPlace).where(ModelPlace.model.in_(names)))
    session.execute(delete(ModelSummary).where(ModelSummary.name.in_(names)))
    if summaries:
        session.execute(insert(ModelSummary), summaries)
    if places:
        session.execute(insert(ModelPlace), places)


def known(session: Session) -> Sequence[str]:
    """Return the names of all models that have a row."""
    return session.execute(select(ModelSummary.name)).scalars().all()


def labelled(session: Session) -> Sequence[Row[str, str, str, int]]:
    """Return name, owner, type and tier of all models, by name."""
    has = ModelSummary
    return session.execute(select(has.name, has.owner, has.type, has.tier).order_by(has.name)).all()


def of_repository(session: Session, name: str) -> Sequence[str]:
    """Return the models whose repository has this name, whatever its organisation and host."""
    return session.execute(select(ModelSummary.name).where(ModelSummary.repository_name == name)).scalars().all()


def find(session: Session, name: str) -> ModelSummary | None:
    """Return a model's row."""
    return session.get(ModelSummary, name, populate_existing=True)


def page(
    session: Session, wanted: Filter, *, key: SortKey, descending: bool, after: tuple[Any, str] | None, limit: int
) -> Sequence[SummaryRow]:
    """Return models in order, those of the same value by name, after a value and a name.

    As plain values, named as in :class:`ModelSummary`: making objects of a page takes longer than finding it.
    """
    query = select(*_SUMMARY).where(*_conditions(wanted))
    column = _COLUMNS.get(key)
    # Both run the same way, so that one index serves both directions.
    columns = [ModelSummary.name] if column is None else [column, ModelSummary.name]
    if after is not None:
        place: Any = ModelSummary.name if column is None else tuple_(*columns)
        value: Any = after[1] if column is None else after
        query = query.where(place < value if descending else place > value)
    ordered = [one.desc() for one in columns] if descending else columns
    return session.execute(query.order_by(*ordered).limit(limit)).all()


def count(session: Session, wanted: Filter) -> int:
    """Return how many models there are."""
    query = select(func.count()).select_from(ModelSummary).where(*_conditions(wanted))
    return session.execute(query).scalar_one()


def places(session: Session, names: Collection[str]) -> dict[str, list[PlaceRow]]:
    """Return the places of models, environments by name; as plain values, named as in :class:`ModelPlace`."""
    found: dict[str, list[PlaceRow]] = {name: [] for name in names}
    query = select(*_PLACE).where(ModelPlace.model.in_(names)).order_by(ModelPlace.environment)
    for row in session.execute(query):
        found[row.model].append(row)
    return found


def values(session: Session, name: str) -> list[tuple[Any, int]]:
    """Return the values of a column, each with the number of its models."""
    column = ModelPlace.environment if name == "environment" else getattr(ModelSummary, name)
    rows = session.execute(select(column, func.count()).group_by(column).order_by(column))
    return [(value, number) for value, number in rows if value != ""]


def by_template(session: Session, template: str, now: datetime) -> list[tuple[str, bool, datetime]]:
    """Return every model, whether it came from a template, and the present: nobody knows since when."""
    rows = session.execute(select(ModelSummary.name, ModelSummary.template).order_by(ModelSummary.name))
    return [(name, of == template, now) for name, of in rows]


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    has = ModelSummary
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (has.owner, wanted.owner),
        (has.system, wanted.system),
        (has.type, wanted.type),
        (has.tier, wanted.tier),
        (has.slo, wanted.slo),
        (has.drift, wanted.drift),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.q is not None:
        found.append(
            has.name.icontains(wanted.q, autoescape=True) | has.description.icontains(wanted.q, autoescape=True)
        )
    if wanted.cost_at_least is not None:
        found.append(has.monthly_cost >= wanted.cost_at_least)
    if wanted.behind is not None:
        found.append(has.behind > 0 if wanted.behind else has.behind == 0)
    if wanted.compliant is not None:
        found.append(has.compliance == 0 if wanted.compliant else has.compliance > 0)
    there = [ModelPlace.model == has.name]
    if wanted.environment is not None:
        there.append(ModelPlace.environment == wanted.environment)
    if wanted.phase is not None:
        there.append(ModelPlace.phase == wanted.phase)
    if wanted.environment is None and wanted.live is not None:
        found.append(has.live.is_(wanted.live))
    elif wanted.live is not None:
        there.append(ModelPlace.champion.is_not(None) if wanted.live else ModelPlace.champion.is_(None))
    if len(there) > 1:
        found.append(exists().where(*there))
    return found
