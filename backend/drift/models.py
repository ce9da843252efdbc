"""The drift domain's tables."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, Date, Float, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, deferred, mapped_column

from backend.core.database import Base, UtcDateTime


class ReportState(StrEnum):
    """Where a report is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class DriftOutcome(StrEnum):
    """What a report says."""

    HEALTHY = "healthy"
    DRIFTED = "drifted"
    NOT_ENOUGH_ROWS = "not_enough_rows"  # Its window goes on, and the next report has more.
    NO_REFERENCE = "no_reference"  # The version was registered without one.


WORST_FIRST = (DriftOutcome.DRIFTED, DriftOutcome.NO_REFERENCE, DriftOutcome.NOT_ENOUGH_ROWS, DriftOutcome.HEALTHY)


class DriftReport(Base):
    """A live version's window, held against its training reference."""

    __tablename__ = "drift_reports"
    __table_args__ = (
        Index("ix_drift_reports_place", "model", "environment", "id"),
        Index("ix_drift_reports_state", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    model: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10))
    scheduled: Mapped[bool] = mapped_column(Boolean)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    labels_since: Mapped[datetime] = mapped_column(UtcDateTime)
    """Labels that came from then on are new to it, whenever their predictions were made."""
    outcome: Mapped[str | None] = mapped_column(String(20))
    rows: Mapped[int] = mapped_column(Integer, default=0)
    labelled: Mapped[int] = mapped_column(Integer, default=0)
    alpha: Mapped[float | None] = mapped_column(Float)
    """The error rate that it spent."""
    data_drifted: Mapped[bool | None] = mapped_column(Boolean)
    """Null where that was not judged; so are the next two."""
    prediction_drifted: Mapped[bool | None] = mapped_column(Boolean)
    performance_drifted: Mapped[bool | None] = mapped_column(Boolean)
    drifted: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """The findings that are drift, most certain first."""
    reference_digest: Mapped[str | None] = mapped_column(String(64))
    judgement: Mapped[dict[str, Any] | None] = deferred(mapped_column(JSON(none_as_null=True)))
    dashboard: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    """The data of Evidently's dashboard, as compressed JSON."""
    reason: Mapped[str | None] = mapped_column(Text)
    retraining: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The pull request that has the model trained again, or why there is none."""


class GroundTruth(Base):
    """What would have been the right answer to a prediction, as it was last observed."""

    __tablename__ = "ground_truth"
    __table_args__ = (Index("ix_ground_truth_received", "model", "environment", "received_at"),)

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    prediction: Mapped[str] = mapped_column(String(36), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
    """One value for each row of the prediction."""
    day: Mapped[date | None] = mapped_column(Date)
    """For a row in the lake: the partition that it is in. Its key is not kept, only the id that follows from it."""
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When this value came; labels that are late count then."""
