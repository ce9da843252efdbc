"""The cost domain's tables."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Date, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime
from backend.cost.fixed import Money, Quantity


class UsageRecord(Base):
    """What a meter said. Only added to; kept for as long as the same record may be sent again."""

    __tablename__ = "usage_records"

    source: Mapped[str] = mapped_column(String(255), primary_key=True)
    """Who reported it: nobody can take another's ids."""
    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    """0 where it is of no version."""
    environment: Mapped[str] = mapped_column(String(63))
    """Empty where it is of none."""
    activity: Mapped[str] = mapped_column(String(20))
    resource: Mapped[str] = mapped_column(String(20))
    sku: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[Decimal] = mapped_column(Quantity())
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class UsageHour(Base):
    """What was used in an hour: the sum of all records, each with its share of the hour."""

    __tablename__ = "usage_hours"

    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    activity: Mapped[str] = mapped_column(String(20), primary_key=True)
    resource: Mapped[str] = mapped_column(String(20), primary_key=True)
    sku: Mapped[str] = mapped_column(String(100), primary_key=True)
    quantity: Mapped[Decimal] = mapped_column(Quantity())


class Meter(Base):
    """A counter that only grows, as it was last read: what a crash must not lose or count twice."""

    __tablename__ = "usage_meters"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[Decimal] = mapped_column(Quantity())
    read_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class CostDay(Base):
    """A line of a day's cost. The lines of a day are made anew together until its month is closed."""

    __tablename__ = "cost_days"
    __table_args__ = (Index("ix_cost_days_model", "model", "day"), Index("ix_cost_days_owner", "owner", "day"))

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    """Empty for shared cost on a day without any other."""
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    activity: Mapped[str] = mapped_column(String(20), primary_key=True)
    resource: Mapped[str] = mapped_column(String(63), primary_key=True)
    """A metered resource; the service of a bill; the name of a shared cost."""
    sku: Mapped[str] = mapped_column(String(100), primary_key=True)
    origin: Mapped[str] = mapped_column(String(20), primary_key=True)
    """``meter``, ``bill``, ``opencost`` or ``settings``."""
    shared: Mapped[bool] = mapped_column(Boolean, primary_key=True)
    owner: Mapped[str] = mapped_column(String(190))
    cost_centre: Mapped[str] = mapped_column(String(50))
    quantity: Mapped[Decimal] = mapped_column(Quantity())
    unit_price: Mapped[Decimal | None] = mapped_column(Money())
    """In the currency of the settings; null where no price covers it."""
    pricing_unit: Mapped[str] = mapped_column(String(30))
    list_cost: Mapped[Decimal] = mapped_column(Money())
    """By the price list."""
    cost: Mapped[Decimal] = mapped_column(Money())
    """What is charged: 0 for metered usage whose month is charged by a bill."""


class DirtyDay(Base):
    """A day whose lines have to be made anew."""

    __tablename__ = "cost_dirty_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)


class CostMonth(Base):
    """A month that is closed: its lines stay as they are."""

    __tablename__ = "cost_months"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    total: Mapped[Decimal] = mapped_column(Money())
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CostJob(Base):
    """Long work: a month being closed, OpenCost being asked, artefacts being measured."""

    __tablename__ = "cost_jobs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    period: Mapped[str] = mapped_column(String(10))
    """The month or the day that it is about."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it came to nothing."""


class Bill(Base):
    """A month's bill of one provider, as it was last imported."""

    __tablename__ = "cost_bills"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    origin: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[Decimal] = mapped_column(Money())
    imported_by: Mapped[str] = mapped_column(String(255))
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BillDay(Base):
    """What a bill says of a day, added up by what it is for."""

    __tablename__ = "cost_bill_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    """Empty for what names no model: it is shared."""
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), index=True)
    origin: Mapped[str] = mapped_column(String(20))
    cost: Mapped[Decimal] = mapped_column(Money())


class Budget(Base):
    """What a team or model may cost in a month, as somebody set it over the API."""

    __tablename__ = "cost_budgets"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(190), primary_key=True)
    monthly: Mapped[Decimal] = mapped_column(Money())
    enforce: Mapped[bool] = mapped_column(Boolean)
    set_by: Mapped[str] = mapped_column(String(255))
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BudgetNotice(Base):
    """That somebody was told about a budget; once a month for each mark."""

    __tablename__ = "cost_budget_notices"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(190), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    mark: Mapped[str] = mapped_column(String(20), primary_key=True)
    """``forecast``, or percent of the budget."""
    message: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class CostAnomaly(Base):
    """A day on which a model cost far more than on the days before, and what grew."""

    __tablename__ = "cost_anomalies"
    __table_args__ = (Index("ix_cost_anomalies_day", "day", "model"),)

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    cost: Mapped[Decimal] = mapped_column(Money())
    expected: Mapped[Decimal] = mapped_column(Money())
    cause: Mapped[str] = mapped_column(Text)
    grown: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
