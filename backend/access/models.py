"""The access domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class GrantKind(StrEnum):
    """How access came about."""

    GRANT = "grant"  # Somebody approved it.
    BREAK_GLASS = "break-glass"  # Somebody took it, and it is looked at afterwards.


class GrantState(StrEnum):
    """What became of a wish for access."""

    REQUESTED = "requested"
    ACTIVE = "active"
    DENIED = "denied"
    EXPIRED = "expired"  # Its time is over, or nobody decided about the request in time.
    REVOKED = "revoked"


class ReviewState(StrEnum):
    """Where an access review is."""

    COLLECTING = "collecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    FAILED = "failed"


class ItemState(StrEnum):
    """What was decided about a permission."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REVOKED = "revoked"
    EXPIRED = "expired"  # Nobody decided in time.


class PolicySetRow(Base):
    """A policy set that held: what a digest in an audit event stands for."""

    __tablename__ = "access_policy_sets"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    activated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rules: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Each rule's file, line and text, by its id."""
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)


class ClockRow(Base):
    """The latest time that was seen, so that a clock that goes back does not prolong a grant."""

    __tablename__ = "access_clock"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    latest: Mapped[datetime] = mapped_column(UtcDateTime)


class Grant(Base):
    """Access for a time, or the wish for it."""

    __tablename__ = "access_grants"
    __table_args__ = (
        Index("ix_access_grants_covering", "person", "action", "state", "ends_at"),
        Index("ix_access_grants_ends", "state", "ends_at"),
        # The same wish waits once, whatever two requests in the same moment think.
        Index(
            "uq_access_grants_requested",
            "person",
            "action",
            "scope",
            "purpose",
            unique=True,
            sqlite_where=text("state = 'requested'"),
            postgresql_where=text("state = 'requested'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    principal: Mapped[str] = mapped_column(String(255))
    person: Mapped[str] = mapped_column(String(255))
    """The one name of whoever it is for."""
    requested_by: Mapped[str] = mapped_column(String(255))
    on_behalf_of: Mapped[str | None] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(40))
    scope: Mapped[str] = mapped_column(String(300))
    """``model:<name>``, ``dataset:<namespace>/<name>``, ``classification:<class>`` or ``platform``."""
    purpose: Mapped[str] = mapped_column(String(63), default="")
    """Empty where none is needed, since a unique constraint takes two nulls for different."""
    reason: Mapped[str] = mapped_column(Text)
    seconds: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str] = mapped_column(String(190), index=True)
    """The group or the role that decides."""
    state: Mapped[str] = mapped_column(String(20))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str | None] = mapped_column(Text)
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it ends; for a request, until when it waits for a decision."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(255))
    end_reason: Mapped[str | None] = mapped_column(Text)
    looked_at_by: Mapped[str | None] = mapped_column(String(255))
    """Who looked at a use of break-glass afterwards."""
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    looked_at_comment: Mapped[str | None] = mapped_column(Text)
    justified: Mapped[bool | None] = mapped_column()


class Review(Base):
    """One access review: all standing permissions, each to be confirmed or revoked by its owner."""

    __tablename__ = "access_reviews"
    __table_args__ = (
        Index("uq_access_reviews_scheduled", "scheduled_for", unique=True),
        # One at a time.
        Index(
            "uq_access_reviews_under_way",
            "under_way",
            unique=True,
            sqlite_where=text("under_way = 1"),
            postgresql_where=text("under_way = 1"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    under_way: Mapped[int] = mapped_column(Integer)
    """1 until it is closed, then 0."""
    opened_by: Mapped[str] = mapped_column(String(255))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    scheduled_for: Mapped[datetime | None] = mapped_column(UtcDateTime)
    remind_at: Mapped[datetime] = mapped_column(UtcDateTime)
    escalate_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When the next step is due."""
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    escalated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(String(255))
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    close_reason: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The signed result (DSSE)."""
    digest: Mapped[str | None] = mapped_column(String(64))


class ReviewItem(Base):
    """One permission in a review."""

    __tablename__ = "access_review_items"
    __table_args__ = (
        Index("uq_access_review_items_permission", "review_id", "kind", "principal", "target", unique=True),
        Index("ix_access_review_items_owner", "review_id", "owner", "id"),
        Index("ix_access_review_items_state", "review_id", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    review_id: Mapped[str] = mapped_column(ForeignKey("access_reviews.id"))
    kind: Mapped[str] = mapped_column(String(20))
    """``membership``, ``ownership``, ``role`` or ``grant``."""
    principal: Mapped[str] = mapped_column(String(255))
    target: Mapped[str] = mapped_column(String(300))
    owner: Mapped[str] = mapped_column(String(190))
    grant_id: Mapped[str | None] = mapped_column(String(36))
    persons: Mapped[list[str]] = mapped_column(JSON)
    """Who must not decide about it."""
    state: Mapped[str] = mapped_column(String(20))
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str | None] = mapped_column(Text)
    exception: Mapped[str | None] = mapped_column(Text)
    """What the platform can't take away itself: who has to, and where."""
