"""The support domain's tables."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class Priority(StrEnum):
    """How much something is in the way."""

    P0 = "P0"  # Production is down, or data is at risk.
    P1 = "P1"  # Somebody can't ship.
    P2 = "P2"  # Something is in the way, and there is a way around it.
    P3 = "P3"  # A question or a wish.


class RequestState(StrEnum):
    """Where a request is."""

    OPEN = "open"  # Nobody has answered yet.
    ANSWERED = "answered"
    RESOLVED = "resolved"


class SupportRequest(Base):
    """Something that somebody asks the platform team."""

    __tablename__ = "support_requests"
    __table_args__ = (
        Index("ix_support_requests_state", "state", "due_at"),
        Index("ix_support_requests_asked", "asked_by", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    priority: Mapped[str] = mapped_column(String(2))
    title: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    entity_ref: Mapped[str | None] = mapped_column(String(190))
    """What in the catalog it is about."""
    state: Mapped[str] = mapped_column(String(10))
    asked_by: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it has to be answered first."""
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the platform team said something first."""
    answered_by: Mapped[str | None] = mapped_column(String(255))
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was seen that it was not answered in time."""
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_by: Mapped[str | None] = mapped_column(String(255))


class SupportEntry(Base):
    """Something that was said about a request."""

    __tablename__ = "support_entries"

    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(10))
    """``answer``, ``note`` or ``resolution``."""
    by: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)


class SurveyAnswer(Base):
    """What a person said in a quarter. The person is here as a keyed hash alone, and no time tells the rows' order."""

    __tablename__ = "survey_answers"

    quarter: Mapped[str] = mapped_column(String(7), primary_key=True)
    person: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Another one in each quarter."""
    ratings: Mapped[dict[str, int]] = mapped_column(JSON)
    """By question, 1 to 5."""
    comment: Mapped[str] = mapped_column(Text)
    """Redacted."""
