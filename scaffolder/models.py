"""The scaffolder's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class ScaffoldState(StrEnum):
    """Where a scaffold is. The list is closed; each state in a sentence."""

    PENDING = "pending"  # Asked for; the name is reserved.
    RUNNING = "running"  # Its steps are being done.
    CLEANING_UP = "cleaning_up"  # It failed or was cancelled; what was made is being taken back.
    DONE = "done"  # The repository is there.
    FAILED = "failed"  # There is no repository, and the reason says why.
    CANCELLED = "cancelled"  # There is no repository, because somebody said so.


ENDED = (ScaffoldState.DONE, ScaffoldState.FAILED, ScaffoldState.CANCELLED)


class Step(StrEnum):
    """What is done for a repository, in this order."""

    CHECK = "check"
    RESERVE = "reserve"
    RENDER = "render"
    COMMIT = "commit"
    CREATE = "create"
    PUSH = "push"
    PROTECT = "protect"
    REGISTER = "register"
    FINISH = "finish"
    CLEAN_UP = "clean_up"


class ProgressState(StrEnum):
    """How far a step is."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Scaffold(Base):
    """A wish for a repository, and what became of it. A row that is not over reserves its name."""

    __tablename__ = "scaffolds"
    __table_args__ = (
        Index(
            "uq_scaffolds_under_way",
            "name",
            unique=True,
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), index=True)
    type: Mapped[str | None] = mapped_column(String(20))
    template: Mapped[str] = mapped_column(String(63))
    template_version: Mapped[str] = mapped_column(String(100))
    host: Mapped[str] = mapped_column(String(63))
    org: Mapped[str] = mapped_column(String(255))
    owner: Mapped[str] = mapped_column(String(200), index=True)
    description: Mapped[str] = mapped_column(Text)
    answers: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20), index=True)
    step: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(Text)
    fix: Mapped[str | None] = mapped_column(Text)
    cleaned_up: Mapped[bool | None] = mapped_column(Boolean)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_by: Mapped[str | None] = mapped_column(String(255))
    began_to_create: Mapped[bool] = mapped_column(Boolean, default=False)
    """Set before the host is asked for a repository: from then on there may be one that has to be taken back."""
    commit: Mapped[str | None] = mapped_column(String(64))
    clone_url: Mapped[str | None] = mapped_column(String(500))
    web_url: Mapped[str | None] = mapped_column(String(500))
    location_id: Mapped[str | None] = mapped_column(String(36))


class ScaffoldEvent(Base):
    """A step of progress, for whoever watches."""

    __tablename__ = "scaffold_events"

    scaffold_id: Mapped[str] = mapped_column(ForeignKey("scaffolds.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    step: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    message: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
