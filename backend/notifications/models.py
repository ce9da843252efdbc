"""The outbox."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class NotificationState(StrEnum):
    """What became of an attempt to notify."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Notification(Base):
    """One attempt to tell one target about something; the next attempt is another row."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_state", "state", "due_at"),
        Index("ix_notifications_subject", "subject", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(300))
    """What it is about, as audit events name it."""
    owner: Mapped[str] = mapped_column(String(190))
    """The group that it is for."""
    severity: Mapped[str] = mapped_column(String(10))
    target: Mapped[str] = mapped_column(String(63))
    event: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    attachment: Mapped[str | None] = mapped_column(String(300))
    """Path of a file under the platform's home."""
    attempt: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the first attempt was asked for."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
