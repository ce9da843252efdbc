"""The experiments domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class Kind(StrEnum):
    """What an experiment is."""

    SHADOW = "shadow"  # The challenger answers copies of requests; its answers are compared and thrown away.
    AB = "ab"  # The challenger answers the requests of some keys.


class Phase(StrEnum):
    """Where an experiment is. The list is closed."""

    AWAITING_APPROVAL = "awaiting_approval"  # Somebody who is not the author has to say yes.
    STARTING = "starting"  # The challenger's replicas are being started and get ready.
    RUNNING = "running"  # The challenger has its part of the traffic.
    ENDED = "ended"  # The challenger has none any more; the outcome says why.


class Outcome(StrEnum):
    """How an experiment ended."""

    CHALLENGER_BETTER = "challenger_better"
    CHALLENGER_WORSE = "challenger_worse"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"


class Source(StrEnum):
    """Where the outcomes that an A/B experiment tests come from."""

    OUTCOMES = "outcomes"  # They are reported, by the id of the prediction.
    ERRORS = "errors"  # 1 when the server failed, else 0.
    LATENCY = "latency"  # Milliseconds that the server took.


class Choice(StrEnum):
    """What was decided by an experiment."""

    PROMOTE = "promote"
    KEEP = "keep"


class Experiment(Base):
    """One try of a challenger beside the champion, what came of it, and what was decided."""

    __tablename__ = "experiments"
    __table_args__ = (
        # One at a time, whatever two requests in the same moment think.
        Index(
            "uq_experiments_in_progress",
            "environment",
            "model",
            unique=True,
            sqlite_where=text("phase <> 'ended'"),
            postgresql_where=text("phase <> 'ended'"),
        ),
        Index("ix_experiments_place", "environment", "model", "id"),
        Index("ix_experiments_model", "model", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    model: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(63))
    champion: Mapped[int] = mapped_column(Integer)
    challenger: Mapped[int] = mapped_column(Integer)
    percent: Mapped[int] = mapped_column(Integer)
    """Of keys that meet the challenger, or of requests that it gets copies of."""
    duration_seconds: Mapped[int] = mapped_column(Integer)
    tolerance: Mapped[float | None] = mapped_column(Float)
    key_header: Mapped[str | None] = mapped_column(String(63))
    metric: Mapped[str | None] = mapped_column(String(63))
    source: Mapped[str | None] = mapped_column(String(10))
    better: Mapped[str | None] = mapped_column(String(10))
    effect: Mapped[float | None] = mapped_column(Float)
    false_alarm_rate: Mapped[float | None] = mapped_column(Float)
    phase: Mapped[str] = mapped_column(String(20), index=True)
    outcome: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    requirements: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    requested_by: Mapped[str] = mapped_column(String(255))
    on_behalf_of: Mapped[str | None] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    approved_by: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What keys are hashed with; gone once it is decided, and with it any way from a key to what is stored."""
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What the proxy's counters said last, and what was made of them: what a crash must not lose."""
    decision: Mapped[str | None] = mapped_column(String(10))
    decision_reason: Mapped[str | None] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deployment: Mapped[str | None] = mapped_column(String(36))
    """The deployment that a promotion asked for."""


class WaitingAnswer(Base):
    """A version's answer in a shadow run, sealed as its server spooled it, until the other version's is there."""

    __tablename__ = "experiment_answers"

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    request: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key_id: Mapped[str] = mapped_column(String(36))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class Pair(Base):
    """Two answers to the same request, compared; the answers themselves are gone."""

    __tablename__ = "experiment_pairs"
    __table_args__ = (Index("ix_experiment_pairs_age", "experiment_id", "seq"),)

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    request: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    agrees: Mapped[bool] = mapped_column(Boolean)
    where: Mapped[str | None] = mapped_column(Text)
    champion_status: Mapped[int] = mapped_column(Integer)
    challenger_status: Mapped[int] = mapped_column(Integer)
    champion_ms: Mapped[float] = mapped_column(Float)
    challenger_ms: Mapped[float] = mapped_column(Float)


class Unit(Base):
    """Somebody in an A/B experiment, by a hash of the key, and the version that they met first."""

    __tablename__ = "experiment_units"
    __table_args__ = (Index("ix_experiment_units_split", "experiment_id", "version", "at"),)

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    unit: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    crossed: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the other version answered them, too, as when theirs was dead."""
    has_outcome: Mapped[bool] = mapped_column(Boolean, default=False)


class Prediction(Base):
    """A prediction in an A/B experiment, and its outcome once it is reported."""

    __tablename__ = "experiment_predictions"
    __table_args__ = (Index("ix_experiment_predictions_experiment", "experiment_id", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"))
    unit: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    value: Mapped[float | None] = mapped_column(Float)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
