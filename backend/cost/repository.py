"""All queries on the cost domain's tables."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from backend.core.bulk import insert_many
from backend.cost.models import (
    Bill,
    BillDay,
    Budget,
    BudgetNotice,
    CostAnomaly,
    CostDay,
    CostJob,
    CostMonth,
    DirtyDay,
    Meter,
    UsageHour,
    UsageRecord,
)
from backend.cost.periods import Month, start_of

LineRow = Row[Any]
"""A line with the columns of :class:`CostDay`."""
BilledRow = Row[Any]
"""What a bill says of a day, with the columns of :class:`BillDay`."""
DIMENSIONS = ("model", "version", "environment", "activity", "resource", "sku")
_AT_ONCE = 500
_RECORD = ("id", *DIMENSIONS, "quantity", "started_at", "ended_at", "source", "received_at")


def records(session: Session, source: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the records of a source that are there already, by id."""
    found: dict[str, dict[str, Any]] = {}
    columns = [getattr(UsageRecord, name) for name in _RECORD]
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        query = select(*columns).where(UsageRecord.source == source, UsageRecord.id.in_(some))
        for row in session.execute(query):
            found[row.id] = dict(row._mapping)
    return found


def add_records(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add records that are known not to be there."""
    insert_many(session, insert(UsageRecord), rows)


def add_to_hours(session: Session, hours: Mapping[tuple[Any, ...], Decimal]) -> None:
    """Add quantities, by hour and dimensions, to what was used in those hours."""
    names = ("hour", *DIMENSIONS)
    # In order, so that two transactions never wait for each other in a ring.
    rows = [{**dict(zip(names, key, strict=True)), "quantity": hours[key]} for key in sorted(hours)]
    table = UsageHour.__table__
    make = pg_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    statement = make(table)  # type: ignore[arg-type]
    added = {"quantity": table.c.quantity + statement.excluded.quantity}
    # One statement for all rows: to compile one with all values in it takes longer than to run it.
    insert_many(session, statement.on_conflict_do_update(index_elements=list(names), set_=added), rows)


def mark_dirty(session: Session, days: Collection[date]) -> None:
    """Have the lines of these days made anew."""
    make = pg_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    for day in sorted(days):
        session.execute(make(DirtyDay).values(day=day).on_conflict_do_nothing())


def dirty(session: Session) -> Sequence[date]:
    """Return the days whose lines have to be made anew."""
    return session.execute(select(DirtyDay.day).order_by(DirtyDay.day)).scalars().all()


def clean(session: Session, day: date) -> None:
    """Say that the lines of a day are made anew in this transaction."""
    session.execute(delete(DirtyDay).where(DirtyDay.day == day))


def drop_records(session: Session, before: datetime) -> None:
    """Drop records that came before a time."""
    session.execute(delete(UsageRecord).where(UsageRecord.received_at < before))


def drop_hours(session: Session, before: datetime) -> None:
    """Drop hours before a time."""
    session.execute(delete(UsageHour).where(UsageHour.hour < before))


def drop_meters(session: Session, before: datetime) -> None:
    """Forget counters that were not read since a time."""
    session.execute(delete(Meter).where(Meter.read_at < before))


def closed(session: Session, months: Collection[str]) -> Sequence[str]:
    """Return which of these months are closed."""
    query = select(CostMonth.month).where(CostMonth.month.in_(months)).order_by(CostMonth.month)
    return session.execute(query).scalars().all()


def month_row(session: Session, month: str) -> CostMonth | None:
    """Return a closed month."""
    return session.get(CostMonth, month, populate_existing=True)


def used_on(session: Session, day: date) -> list[tuple[Any, ...]]:
    """Return what was used on a day: the dimensions and the quantity."""
    columns = [getattr(UsageHour, name) for name in DIMENSIONS]
    start = start_of(day)
    query = (
        select(*columns, func.sum(UsageHour.quantity, type_=UsageHour.quantity.type))
        .where(UsageHour.hour >= start, UsageHour.hour < start + timedelta(days=1))
        .group_by(*columns)
        .order_by(*columns)
    )
    return [tuple(row) for row in session.execute(query)]


def hours_of(session: Session, model: str, since: datetime, until: datetime) -> Sequence[UsageHour]:
    """Return what a model used, by the hour."""
    query = select(UsageHour).where(UsageHour.model == model, UsageHour.hour >= since, UsageHour.hour < until)
    return session.execute(query.order_by(UsageHour.hour)).scalars().all()


def replace_day(session: Session, day: date, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put these lines in the place of all lines of a day."""
    session.execute(delete(CostDay).where(CostDay.day == day))
    insert_many(session, insert(CostDay), rows)


def lines(session: Session, first: date, end: date, **only: Any) -> Sequence[LineRow]:
    """Return the lines from a day up to, and without, another.

    As plain values, named as in :class:`CostDay`: objects of the hundreds of thousands of a month take long.
    """
    query = select(*CostDay.__table__.columns).where(*_conditions(first, end, only))
    return session.execute(query.order_by(CostDay.day, CostDay.model)).all()


def sums(session: Session, by: Sequence[str], first: date, end: date, **only: Any) -> list[dict[str, Any]]:
    """Add cost up by columns of the lines."""
    columns = [getattr(CostDay, name) for name in by]
    totals = [
        func.sum(getattr(CostDay, name), type_=getattr(CostDay, name).type).label(name)
        for name in ("cost", "list_cost", "quantity")
    ]
    query = select(*columns, *totals).where(*_conditions(first, end, only)).group_by(*columns).order_by(*columns)
    return [dict(row._mapping) for row in session.execute(query)]


def _conditions(first: date, end: date, only: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [CostDay.day >= first, CostDay.day < end]
    for name, value in only.items():
        if name == "unpriced":
            found.append(CostDay.unit_price.is_(None) & (CostDay.origin == "meter"))
        elif isinstance(value, list | tuple | set):
            found.append(getattr(CostDay, name).in_(value))
        elif value is not None:
            found.append(getattr(CostDay, name) == value)
    return found


def monthly(session: Session, models: Sequence[str], month: Month) -> dict[str, Decimal]:
    """Return what each model has cost in a month; those without any lines are left out."""
    rows = sums(session, ["model"], month.first, month.end, model=list(models))
    return {row["model"]: row["cost"] for row in rows}


def oldest_day(session: Session) -> date | None:
    """Return the first day that has lines."""
    return session.execute(select(func.min(CostDay.day))).scalar_one()


def models_on(session: Session, day: date) -> set[str]:
    """Return the models that have lines on a day."""
    return set(session.execute(select(CostDay.model).where(CostDay.day == day).distinct()).scalars())


def open_jobs(session: Session) -> Sequence[str]:
    """Return the jobs that are not finished."""
    query = select(CostJob.id).where(CostJob.finished_at.is_(None)).order_by(CostJob.id)
    return session.execute(query).scalars().all()


def job(session: Session, id: str) -> CostJob | None:
    """Return a job."""
    return session.get(CostJob, id, populate_existing=True)


def last_job(session: Session, kind: str, period: str) -> CostJob | None:
    """Return the newest job of a kind for a month or day."""
    query = select(CostJob).where(CostJob.kind == kind, CostJob.period == period).order_by(CostJob.id.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def bills(session: Session, month: str | None) -> Sequence[Bill]:
    """Return the bills, newest month first."""
    query = select(Bill).order_by(Bill.month.desc(), Bill.provider)
    if month is not None:
        query = query.where(Bill.month == month)
    return session.execute(query).scalars().all()


def bill(session: Session, month: str, provider: str) -> Bill | None:
    """Return a provider's bill of a month."""
    return session.get(Bill, (month, provider), populate_existing=True)


def replace_bill(session: Session, row: Bill, days: Iterable[Mapping[str, Any]]) -> set[date]:
    """Put a bill in the place of the one before; return the days that this may change."""
    mine = (BillDay.month == row.month, BillDay.provider == row.provider)
    changed = set(session.execute(select(BillDay.day).where(*mine).distinct()).scalars())
    session.execute(delete(BillDay).where(*mine))
    if (before := bill(session, row.month, row.provider)) is not None:
        session.delete(before)
        session.flush()
    session.add(row)
    session.flush()
    lines = list(days)
    insert_many(session, insert(BillDay), lines)
    return changed | {one["day"] for one in lines}


def billed_on(session: Session, day: date) -> Sequence[BilledRow]:
    """Return what bills say of a day, as plain values named as in :class:`BillDay`."""
    query = select(*BillDay.__table__.columns).where(BillDay.day == day)
    return session.execute(query.order_by(BillDay.provider, BillDay.model, BillDay.service)).all()


def budgets(session: Session) -> Sequence[Budget]:
    """Return the budgets that were set over the API."""
    return session.execute(select(Budget).order_by(Budget.kind, Budget.name)).scalars().all()


def budget(session: Session, kind: str, name: str) -> Budget | None:
    """Return a budget that was set over the API."""
    return session.get(Budget, (kind, name), populate_existing=True)


def notices(session: Session, month: str) -> set[tuple[str, str, str]]:
    """Return kind, name and mark of what somebody was told in a month."""
    query = select(BudgetNotice.kind, BudgetNotice.name, BudgetNotice.mark).where(BudgetNotice.month == month)
    return {(kind, name, mark) for kind, name, mark in session.execute(query)}


def anomalies(session: Session, first: date, end: date, model: str | None = None) -> Sequence[CostAnomaly]:
    """Return the anomalies of some days, newest first."""
    query = select(CostAnomaly).where(CostAnomaly.day >= first, CostAnomaly.day < end)
    if model is not None:
        query = query.where(CostAnomaly.model == model)
    return session.execute(query.order_by(CostAnomaly.day.desc(), CostAnomaly.model)).scalars().all()


def meter(session: Session, id: str) -> Meter | None:
    """Return a counter as it was last read."""
    return session.get(Meter, id)


def meters(session: Session, ids: Sequence[str]) -> dict[str, Meter]:
    """Return counters as they were last read."""
    found: dict[str, Meter] = {}
    for first in range(0, len(ids), _AT_ONCE):
        for row in session.execute(select(Meter).where(Meter.id.in_(ids[first : first + _AT_ONCE]))).scalars():
            found[row.id] = row
    return found
