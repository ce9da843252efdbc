"""The batch domain's tables."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Date, Float, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class Cause(StrEnum):
    """Why a day is scored."""

    SCHEDULE = "schedule"
    BACKFILL = "backfill"
    MANUAL = "manual"
    TRIAL = "trial"  # For a rollout; into a folder of its own, so that nothing is published.


class RunState(StrEnum):
    """Where a run is."""

    PENDING = "pending"  # Waits for its turn, or for the next attempt.
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # The partition was replaced.
    UNCHANGED = "unchanged"  # The partition is as this version would make it of this input.
    FAILED = "failed"
    CANCELLED = "cancelled"


class BackfillState(StrEnum):
    """Where a backfill is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # All of its days are over, and some of them failed.
    CANCELLED = "cancelled"


ACTIVE = (RunState.PENDING, RunState.RUNNING)
GOOD = (RunState.SUCCEEDED, RunState.UNCHANGED)
_ACTIVE_SQL = "state IN ('pending', 'running') AND cause <> 'trial'"


class Backfill(Base):
    """A wish to have all days of a range scored by one version."""

    __tablename__ = "backfills"
    __table_args__ = (Index("ix_backfills_place", "environment", "model", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    environment: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    first: Mapped[date] = mapped_column(Date)
    last: Mapped[date] = mapped_column(Date)
    scored_by: Mapped[int | None] = mapped_column(Integer)
    """Only days that this version has scored."""
    parallelism: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10), index=True)
    days: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The days to be scored, as they were when it was asked for, rising."""
    skipped: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    """How many days of the range are not scored, by why."""
    position: Mapped[int] = mapped_column(Integer, default=0)
    """How many of ``days`` have been given a run."""
    message: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BatchRun(Base):
    """A day of a model in an environment, to be scored by one version."""

    __tablename__ = "batch_runs"
    __table_args__ = (
        # One at a time, whatever two requests in the same moment think.
        Index(
            "uq_batch_runs_active",
            "environment",
            "model",
            "day",
            unique=True,
            sqlite_where=text(_ACTIVE_SQL),
            postgresql_where=text(_ACTIVE_SQL),
        ),
        # A time of the schedule has one run, whatever the clock does.
        Index("uq_batch_runs_scheduled", "environment", "model", "scheduled_for", unique=True),
        Index("ix_batch_runs_place", "environment", "model", "id"),
        Index("ix_batch_runs_day", "environment", "model", "day"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    environment: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    day: Mapped[date] = mapped_column(Date)
    cause: Mapped[str] = mapped_column(String(10))
    backfill_id: Mapped[str | None] = mapped_column(ForeignKey("backfills.id"), index=True)
    deployment_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """For a trial: the rollout that it is for."""
    scheduled_for: Mapped[datetime | None] = mapped_column(UtcDateTime)
    force: Mapped[bool] = mapped_column(Boolean, default=False)
    state: Mapped[str] = mapped_column(String(10), index=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the next attempt is due."""
    rows: Mapped[int | None] = mapped_column(BigInteger)
    rejected: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    input_digest: Mapped[str | None] = mapped_column(String(64))
    output_digest: Mapped[str | None] = mapped_column(String(64))
    model_seconds: Mapped[float | None] = mapped_column(Float)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Rules that rows were rejected by, with counts; no values."""
    message: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BatchSchedule(Base):
    """How far the schedule of a model in an environment has been followed."""

    __tablename__ = "batch_schedules"

    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    followed_until: Mapped[datetime] = mapped_column(UtcDateTime)
    """Times up to this one have their runs, or were left out."""
