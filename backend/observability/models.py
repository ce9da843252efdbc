"""The observability domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Float, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class SloState(StrEnum):
    """How an objective stands."""

    MET = "met"
    AT_RISK = "at_risk"  # The budget burns faster than it may, or little of it is left.
    BREACHED = "breached"  # There is no budget left.
    NO_DATA = "no_data"  # Nothing was counted in its window.


class IncidentState(StrEnum):
    """Where an incident is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class SampleSeries(Base):
    """What is counted of a version, and the counters as they were read last."""

    __tablename__ = "sample_series"

    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    measure: Mapped[str] = mapped_column(String(80), primary_key=True)
    """``requests``, or ``slo:<name>`` where moments are counted."""
    last: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SampleChunk(Base):
    """A run of slots of one series at one resolution, packed (see :mod:`backend.observability.series`)."""

    __tablename__ = "sample_chunks"
    __table_args__ = (Index("ix_sample_chunks_age", "step", "start"),)

    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    measure: Mapped[str] = mapped_column(String(80), primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Seconds since the epoch, in chunks."""
    data: Mapped[bytes] = mapped_column(LargeBinary)


class SloStanding(Base):
    """How an objective of a live model stood when it was last evaluated."""

    __tablename__ = "slo_standings"

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    slo: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    indicator: Mapped[str] = mapped_column(String(20))
    meaning: Mapped[str] = mapped_column(Text)
    objective: Mapped[float] = mapped_column(Float)
    window_seconds: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    remaining: Mapped[float | None] = mapped_column(Float)
    """Part of the budget that is left: 1 is all of it, below 0 more than all is gone."""
    total: Mapped[float] = mapped_column(Float)
    bad: Mapped[float] = mapped_column(Float)
    burns: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    firing: Mapped[dict[str, str]] = mapped_column(JSON)
    """Since when each alert fires, by its name."""
    source: Mapped[str] = mapped_column(String(20))
    note: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When its state last changed."""
    evaluated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Incident(Base):
    """Something that hurts, or will soon: all alerts about a model in an environment from the first one until it is resolved."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("ix_incidents_fingerprint", "fingerprint", "id"),
        Index("ix_incidents_model", "model", "id"),
        Index("ix_incidents_state", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(63))
    severity: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20))
    owner: Mapped[str] = mapped_column(String(190))
    """The group that is called."""
    on_call: Mapped[dict[str, Any]] = mapped_column(JSON)
    runbook: Mapped[str | None] = mapped_column(String(500))
    alerts: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON)
    """What was raised, by a name of its own."""
    received: Mapped[int] = mapped_column(Integer)
    """How often an alert was said to fire, repetitions included."""
    suspects: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    roles: Mapped[dict[str, str]] = mapped_column(JSON)
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the trouble began, as the first alert says."""
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None] = mapped_column(String(255))
    recovered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the last of its alerts was over."""
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_by: Mapped[str | None] = mapped_column(String(255))
    cause: Mapped[str | None] = mapped_column(String(20))
    resolution: Mapped[str | None] = mapped_column(Text)


class IncidentEntry(Base):
    """A line of an incident's timeline."""

    __tablename__ = "incident_entries"

    incident_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
