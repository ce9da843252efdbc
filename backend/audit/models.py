"""The audit tables. Triggers (in the migration) refuse to change or delete what was written."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime

GENESIS = "0" * 64
"""What the first event is chained to."""


class AuditRow(Base):
    """One event: the text that was hashed, and copies of the members that are searched for."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_subject_seq", "subject", "seq"),
        Index("ix_audit_events_type_seq", "type", "seq"),
        Index("ix_audit_events_actor_seq", "actor", "seq"),
        Index("ix_audit_events_time_seq", "time", "seq"),
    )

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    id: Mapped[str] = mapped_column(String(36), unique=True)
    type: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(500))
    actor: Mapped[str] = mapped_column(String(500))
    time: Mapped[str] = mapped_column(String(27))
    event: Mapped[str] = mapped_column(Text)
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The end of the chain, in one row; whoever appends locks it."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(String(88))
    frontier: Mapped[str] = mapped_column(Text)
    """Hashes of the tree's right edge in hex, largest subtree first."""


class AuditCheckpoint(Base):
    """The end of the chain after one transaction, signed.

    It serves to say *where* a chain was rewritten by someone who also made the hashes fit. Its signature is no head's
    signature, so it is of no use to somebody who cuts the chain there.
    """

    __tablename__ = "audit_checkpoints"

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    hash: Mapped[str] = mapped_column(String(64))
    root: Mapped[str | None] = mapped_column(String(64))
    """Root of the tree; none where the log was written before it had one."""
    signature: Mapped[str] = mapped_column(String(88))


class AuditNode(Base):
    """A complete subtree of the Merkle tree over the events, on every eighth level.

    What lies between these levels is computed from at most 256 nodes, or events, below it.
    """

    __tablename__ = "audit_nodes"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String(64))


class PublicationState(StrEnum):
    """What became of a publication."""

    RUNNING = "running"
    PUBLISHED = "published"
    REFUSED = "refused"
    FAILED = "failed"


class AuditPublication(Base):
    """A checkpoint that was, or was to be, published to a second place."""

    __tablename__ = "audit_publications"
    __table_args__ = (Index("ix_audit_publications_target_id", "target", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    target: Mapped[str] = mapped_column(String(63))
    state: Mapped[PublicationState] = mapped_column(String(20))
    size: Mapped[int | None] = mapped_column(BigInteger)
    root: Mapped[str | None] = mapped_column(String(64))
    place: Mapped[str | None] = mapped_column(String(1000))
    reason: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditSegment(Base):
    """A part of the log whose events lie in a sealed file instead of the table. Its last row's end is the log's horizon."""

    __tablename__ = "audit_segments"

    first_seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    last_seq: Mapped[int] = mapped_column(BigInteger, index=True)
    since: Mapped[str] = mapped_column(String(27))
    """Earliest time of its events, as the log writes times; like the next, a copy of what the manifest says."""
    until: Mapped[str] = mapped_column(String(27))
    manifest: Mapped[str] = mapped_column(Text)
    """The signed note that lies beside the file, too."""
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditSegmentRemoval(Base):
    """That a segment's file was deleted, by a policy and on record."""

    __tablename__ = "audit_segment_removals"

    first_seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("audit_segments.first_seq"),
        primary_key=True,
        autoincrement=False,
    )
    note: Mapped[str] = mapped_column(Text)
    """The signed note that lies beside the segment's manifest, too."""
    removed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SealingState(StrEnum):
    """What became of a sealing."""

    RUNNING = "running"
    DONE = "done"
    HELD = "held"  # A legal hold keeps the log as it is.
    FAILED = "failed"


class AuditSealing(Base):
    """One pass of sealing what is older than the setting."""

    __tablename__ = "audit_sealings"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[SealingState] = mapped_column(String(10))
    scheduled: Mapped[bool] = mapped_column(Boolean)
    requested_by: Mapped[str] = mapped_column(String(500))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    before: Mapped[datetime] = mapped_column(UtcDateTime)
    """Events from before this time are sealed."""
    segments: Mapped[int] = mapped_column(Integer)
    events: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
