"""The deployments domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.core.database import Base, UtcDateTime


class Phase(StrEnum):
    """Where a deployment is. The list is closed; each phase in a sentence."""

    AWAITING_APPROVAL = "awaiting_approval"  # Somebody who is not the author has to say yes.
    PENDING = "pending"  # Admitted; the engine has not taken it up yet.
    STARTING = "starting"  # Replicas are being started and get ready.
    WARMING = "warming"  # Replicas answer trial requests, or a batch version scores a day for trial.
    COMPARING = "comparing"  # Old and new batch version score the same days for trial; nothing is published.
    SHADOWING = "shadowing"  # Users' requests are mirrored; the answers are thrown away.
    PROGRESSING = "progressing"  # The version has part of the traffic and is judged.
    HELD = "held"  # As progressing, but there is too little traffic to judge by.
    PROMOTING = "promoting"  # All traffic goes to the version.
    ROLLING_BACK = "rolling_back"  # All traffic goes back to the former version.
    COMPLETED = "completed"  # Over; the outcome says how it ended.


class Outcome(StrEnum):
    """How a deployment ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    HELD = "held"
    ABORTED = "aborted"
    FAILED = "failed"
    REJECTED = "rejected"
    REFUSED = "refused"


class Kind(StrEnum):
    """What a deployment is: a rollout with analysis, or the way back to a version that was live before."""

    ROLLOUT = "rollout"
    ROLLBACK = "rollback"


class StepKind(StrEnum):
    """What happens in a step."""

    START = "start"
    WARM = "warm"
    COMPARE = "compare"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTE = "promote"


class StepState(StrEnum):
    """How far a step is."""

    PENDING = "pending"
    RUNNING = "running"
    PASSED = "passed"
    BREACHED = "breached"
    HELD = "held"


class TrafficState(StrEnum):
    """The role of a version in an environment."""

    LIVE = "live"
    CANARY = "canary"
    WARM = "warm"


ENDED = (Phase.ROLLING_BACK, Phase.COMPLETED)
"""Phases in which a rollout is decided: its steps have nothing more to do."""


class Deployment(Base):
    """One wish to have a version live in an environment, and what became of it."""

    __tablename__ = "deployments"
    __table_args__ = (
        # One at a time, whatever two requests in the same moment think.
        Index(
            "uq_deployments_in_progress",
            "environment",
            "model",
            unique=True,
            sqlite_where=text("phase <> 'completed'"),
            postgresql_where=text("phase <> 'completed'"),
        ),
        Index("ix_deployments_place", "environment", "model", "id"),
        Index("ix_deployments_model", "model", "environment", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), default=Kind.ROLLOUT)
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    environment: Mapped[str] = mapped_column(String(63))
    digest: Mapped[str] = mapped_column(String(64))
    phase: Mapped[str] = mapped_column(String(20), index=True)
    outcome: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(Text)
    previous_version: Mapped[int | None] = mapped_column(Integer)
    requested_by: Mapped[str] = mapped_column(String(255))
    on_behalf_of: Mapped[str | None] = mapped_column(String(255))
    """Who started the CI job that asked for it."""
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requirements: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    break_glass_reason: Mapped[str | None] = mapped_column(Text)
    promote_requested_by: Mapped[str | None] = mapped_column(String(255))
    promote_reason: Mapped[str | None] = mapped_column(Text)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The analysis between two ticks, and the counters it was last told: what a crash must not lose."""

    steps: Mapped[list["DeploymentStep"]] = relationship(order_by="DeploymentStep.index", lazy="raise")
    approvals: Mapped[list["Approval"]] = relationship(order_by="Approval.at", lazy="raise")

    @property
    def is_decided(self) -> bool:
        """Whether it is settled how it ends, though traffic may still be moving."""
        return self.phase in ENDED or self.outcome is not None


class DeploymentStep(Base):
    """One step of a rollout, with the figures it was judged by."""

    __tablename__ = "deployment_steps"

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    weight: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20), default=StepState.PENDING)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    canary: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    primary: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    checks: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    reason: Mapped[str | None] = mapped_column(Text)


class DeploymentSample(Base):
    """What the versions had done in a step up to a moment, and the limits that held then."""

    __tablename__ = "deployment_samples"

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    step: Mapped[int] = mapped_column(Integer)
    canary: Mapped[dict[str, Any]] = mapped_column(JSON)
    primary: Mapped[dict[str, Any]] = mapped_column(JSON)
    limits: Mapped[dict[str, float]] = mapped_column(JSON)
    """By check."""


class Approval(Base):
    """What an approver said."""

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), index=True)
    by: Mapped[str] = mapped_column(String(255))
    decision: Mapped[str] = mapped_column(String(10))
    comment: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class Traffic(Base):
    """The desired traffic: one row per version that is up in an environment. Everything else follows from this table."""

    __tablename__ = "traffic"

    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    weight: Mapped[int] = mapped_column(Integer, default=0)
    """Percent of requests that it should answer."""
    served: Mapped[int | None] = mapped_column(Integer)
    """Percent that the proxy last confirmed: differs while a change is under way, or while the version is dead."""
    mirror: Mapped[int] = mapped_column(Integer, default=0)
    """Percent of requests that it gets a copy of."""
    state: Mapped[str] = mapped_column(String(10))
    warm_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replicas: Mapped[int] = mapped_column(Integer)
    failed_over: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether its weight is with another version because it is dead."""
    experiment: Mapped[str | None] = mapped_column(String(36))
    """The experiment that it is the challenger of."""
    key_header: Mapped[str | None] = mapped_column(String(63))
    """The header by which that experiment assigns requests; without one they are mirrored."""
