"""The compliance domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class WaiverState(StrEnum):
    """Where a waiver is. An active one also ends by itself, at its time."""

    WAITING = "waiting"
    ACTIVE = "active"
    REFUSED = "refused"
    REVOKED = "revoked"


class CheckState(StrEnum):
    """How a check came out."""

    PASSING = "passing"
    FAILING = "failing"
    NOT_EVALUATED = "not_evaluated"  # There is nothing to check it on yet, or it could not be checked.


class Waiver(Base):
    """A failed gate that somebody lets pass: for named checks, with a reason, until a time."""

    __tablename__ = "waivers"
    __table_args__ = (Index("ix_waivers_model", "model", "gate", "state"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    model: Mapped[str] = mapped_column(String(63))
    gate: Mapped[str] = mapped_column(String(20))
    checks: Mapped[list[str]] = mapped_column(JSON)
    """Names of the gate's checks that it covers, and no others."""
    environments: Mapped[list[str]] = mapped_column(JSON)
    """Where it holds; everywhere if empty."""
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20), index=True)
    requested_by: Mapped[str] = mapped_column(String(255))
    on_behalf_of: Mapped[str | None] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CheckRow(Base):
    """What a check came to when it was last run, over everything."""

    __tablename__ = "compliance_checks"

    check: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    summary: Mapped[str] = mapped_column(Text)
    examined: Mapped[int] = mapped_column(Integer)
    """How many things it looked at."""
    exceptions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    evaluated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it last changed its state."""


class FailingModel(Base):
    """A live model about which a check found a deviation when it was last run."""

    __tablename__ = "compliance_failing_models"

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    check: Mapped[str] = mapped_column(String(100), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When a deviation was found where there was none before."""
    message: Mapped[str] = mapped_column(Text)
    """What was found then."""


class ComplianceRun(Base):
    """One evaluation of the checks that were due; worked off like any durable work."""

    __tablename__ = "compliance_runs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requested_by: Mapped[str] = mapped_column(String(255))
    everything: Mapped[bool] = mapped_column(default=False)
    """Whether checks run that are not due yet."""
    evaluated: Mapped[int] = mapped_column(Integer, default=0)
    reason: Mapped[str | None] = mapped_column(Text)
