"""The fleet's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class CampaignState(StrEnum):
    """Where a campaign is. The list is closed; each state in a sentence."""

    RUNNING = "running"  # Repositories are being updated, or their requests are being watched.
    PAUSED = "paused"  # Nothing is opened or looked at until somebody resumes it.
    ABORTING = "aborting"  # Its open requests are being closed.
    COMPLETED = "completed"  # Nothing of it is open any more.
    ABORTED = "aborted"  # Somebody ended it.
    SUPERSEDED = "superseded"  # A campaign for another version took its open requests over.
    FAILED = "failed"  # The platform could not go on with it.


OVER = (CampaignState.COMPLETED, CampaignState.ABORTED, CampaignState.SUPERSEDED, CampaignState.FAILED)


class MemberState(StrEnum):
    """How far a repository is in a campaign."""

    PENDING = "pending"  # Its update is still to be computed.
    OPEN = "open"  # There is a request, and no conflict in it.
    CONFLICTS = "conflicts"  # There is a draft, in which somebody has to resolve conflicts.
    TAKEN_OVER = "taken_over"  # Somebody works on the request's branch; the platform keeps its hands off it.
    MERGED = "merged"  # The request was merged.
    CLOSED = "closed"  # The request was closed without being merged.
    CURRENT = "current"  # There is nothing to change.
    GONE = "gone"  # The repository, or its answers file, is not there any more.
    FAILED = "failed"  # The update could not be computed or proposed; the message says why.


WATCHED = (MemberState.OPEN, MemberState.CONFLICTS, MemberState.TAKEN_OVER)
SETTLED = (MemberState.MERGED, MemberState.CLOSED, MemberState.CURRENT, MemberState.GONE, MemberState.FAILED)


class Campaign(Base):
    """A wish that the repositories of a template are brought to one version of it."""

    __tablename__ = "campaigns"
    __table_args__ = (
        Index(
            "uq_campaigns_under_way",
            "template",
            "repository",
            unique=True,
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    template: Mapped[str] = mapped_column(String(63), index=True)
    version: Mapped[str] = mapped_column(String(100))
    owner: Mapped[str | None] = mapped_column(String(200))
    """Only repositories of this owner, if given."""
    repository: Mapped[str] = mapped_column(String(574), default="", server_default="")
    """Only this one, as ``host/org/name``; empty for a campaign through the fleet."""
    waves: Mapped[list[int]] = mapped_column(JSON)
    """How many repositories the first waves have; all that are left are the last one."""
    parallelism: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20), index=True)
    wave: Mapped[int] = mapped_column(Integer, default=0)
    """The wave that is open now, from 0."""
    advanced: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether somebody said that the next wave may start whatever became of this one."""
    collected: Mapped[bool] = mapped_column(Boolean, default=False)
    keep_requests: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the requests stay open when it is aborted."""
    message: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Member(Base):
    """A repository in a campaign."""

    __tablename__ = "campaign_members"

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    host: Mapped[str] = mapped_column(String(63))
    org: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255), index=True)
    owner: Mapped[str | None] = mapped_column(String(200))
    wave: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20), index=True)
    from_version: Mapped[str | None] = mapped_column(String(100))
    conflicts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Files in conflict: path, kind, and the rules of the suggestions that were found."""
    base_commit: Mapped[str | None] = mapped_column(String(64))
    head_commit: Mapped[str | None] = mapped_column(String(64))
    number: Mapped[int | None] = mapped_column(Integer)
    web_url: Mapped[str | None] = mapped_column(String(500))
    checks: Mapped[str | None] = mapped_column(String(20))
    draft: Mapped[bool | None] = mapped_column(Boolean)
    message: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Inventory(Base):
    """One pass over the hosts' repositories; worked off like any durable work."""

    __tablename__ = "fleet_inventories"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    requested_by: Mapped[str] = mapped_column(String(255))
    found: Mapped[int] = mapped_column(Integer, default=0)
    message: Mapped[str | None] = mapped_column(Text)


class FleetRepository(Base):
    """A repository that came from a template, as the last pass saw it."""

    __tablename__ = "fleet_repositories"

    host: Mapped[str] = mapped_column(String(63), primary_key=True)
    org: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    owner: Mapped[str | None] = mapped_column(String(200), index=True)
    web_url: Mapped[str | None] = mapped_column(String(500))
    commit: Mapped[str | None] = mapped_column(String(64))
    template: Mapped[str | None] = mapped_column(String(63), index=True)
    """Null where the answers file names none that the platform knows."""
    version: Mapped[str | None] = mapped_column(String(100))
    newest: Mapped[str | None] = mapped_column(String(100))
    behind: Mapped[int | None] = mapped_column(Integer, index=True)
    """How many versions were released after this one."""
    drift: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    """Files that the template owns and the repository has otherwise; null where that could not be found out."""
    template_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the answers file last changed: the last update, or the beginning."""
    number: Mapped[int | None] = mapped_column(Integer)
    """The open update request."""
    request_url: Mapped[str | None] = mapped_column(String(500))
    fault: Mapped[str | None] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
