"""The catalog's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class LocationState(StrEnum):
    """How a location was when it was last read."""

    FRESH = "fresh"  # Everything in it was read.
    FAULTY = "faulty"  # Something in it is wrong; what was right before stays.
    GONE = "gone"  # The file or its repository is not there any more.
    UNREACHABLE = "unreachable"  # The host did not answer; what was read before stays.


class Location(Base):
    """A file that entities are read from. The platform's own sources are locations too."""

    __tablename__ = "catalog_locations"
    __table_args__ = (Index("uq_catalog_locations_place", "host", "org", "repository", "path", unique=True),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    host: Mapped[str] = mapped_column(String(63))
    """Name of the git host; ``platform`` for the platform's own sources."""
    org: Mapped[str] = mapped_column(String(255))
    repository: Mapped[str] = mapped_column(String(255))
    path: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(20))
    faults: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    commit: Mapped[str | None] = mapped_column(String(64))
    web_url: Mapped[str | None] = mapped_column(String(500))
    registered_by: Mapped[str] = mapped_column(String(255))
    registered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class EntityRow(Base):
    """An entity, or the trace of one that is gone: ``seq`` moves on with each change, so readers can follow along."""

    __tablename__ = "catalog_entities"

    ref: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(63), index=True)
    namespace: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(63))
    type: Mapped[str | None] = mapped_column(String(200))
    title: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(String(200), index=True)
    system: Mapped[str | None] = mapped_column(String(200), index=True)
    location_id: Mapped[str | None] = mapped_column(String(36), index=True)
    document: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    digest: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), unique=True)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Refresh(Base):
    """One pass over the locations that were due; worked off like any durable work."""

    __tablename__ = "catalog_refreshes"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(Text)
