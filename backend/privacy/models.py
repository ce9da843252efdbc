"""The privacy domain's tables."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class Kind(StrEnum):
    """What is kept and deleted."""

    DATASET = "dataset"  # A partition that batch models read.
    BATCH_OUTPUT = "batch_output"  # A partition that they wrote, rejected rows included.
    LOG = "log"
    PAYLOAD_SAMPLE = "payload_sample"
    RUN = "run"  # A run in MLflow that no version came from.
    ARTEFACT = "artefact"  # An artefact that belongs to no version.
    VERSION = "version"
    TOKEN = "token"  # noqa: S105 - A token vault's entries.
    UPLOAD = "upload"  # What an upload that was cut off has left.
    AUDIT_SEGMENT = "audit_segment"  # A sealed segment of the audit log.
    INCIDENT = "incident"  # A resolved incident, its timeline and its notifications.


class KeyState(StrEnum):
    """Where a data key is."""

    ACTIVE = "active"
    RETIRED = "retired"  # Opens, but seals nothing new.
    DESTROYED = "destroyed"


class JobState(StrEnum):
    """Where a retention run or a key rotation is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ItemState(StrEnum):
    """What became of something that was over."""

    PLANNED = "planned"
    DELETING = "deleting"  # Written before the deletion, so that one that is cut off is known.
    DELETED = "deleted"
    KEPT = "kept"
    FAILED = "failed"


class RequestState(StrEnum):
    """Where a data-subject request is."""

    SEARCHING = "searching"
    FOUND = "found"
    NOTHING_FOUND = "nothing_found"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    ERASING = "erasing"
    ERASED = "erased"
    PARTLY_ERASED = "partly_erased"
    FAILED = "failed"


class DataKeyRow(Base):
    """A data key, wrapped; once destroyed, what it has sealed is noise wherever a copy of it lies."""

    __tablename__ = "data_keys"
    __table_args__ = (Index("ix_data_keys_use", "purpose", "subject", "state"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(64), default="")
    """Keyed hash of the person whose data it seals; empty for keys of no person."""
    kek: Mapped[str] = mapped_column(String(500))
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KeyRotation(Base):
    """A re-encryption of everything that the platform's data keys have sealed."""

    __tablename__ = "key_rotations"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[str] = mapped_column(String(10), index=True)
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    total: Mapped[int] = mapped_column(Integer, default=0)
    done: Mapped[int] = mapped_column(Integer, default=0)
    message: Mapped[str | None] = mapped_column(Text)


class PayloadSample(Base):
    """A request and its answer, redacted, then sealed."""

    __tablename__ = "payload_samples"
    __table_args__ = (
        Index("ix_payload_samples_place", "environment", "model", "at", "id"),
        Index("ix_payload_samples_at", "at"),
        Index("ix_payload_samples_key", "key_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """The prediction's id."""
    environment: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    key_id: Mapped[str] = mapped_column(ForeignKey("data_keys.id"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class LegalHold(Base):
    """A reason for which something is not deleted, whatever its age."""

    __tablename__ = "legal_holds"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    subject: Mapped[str] = mapped_column(String(300), index=True)
    reason: Mapped[str] = mapped_column(Text)
    placed_by: Mapped[str] = mapped_column(String(255))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    released_by: Mapped[str | None] = mapped_column(String(255))
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    release_reason: Mapped[str | None] = mapped_column(Text)


class RetentionRun(Base):
    """One pass over everything that is kept."""

    __tablename__ = "retention_runs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[str] = mapped_column(String(10), index=True)
    dry_run: Mapped[bool] = mapped_column(Boolean)
    scheduled: Mapped[bool] = mapped_column(Boolean)
    requested_by: Mapped[str] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    planned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    message: Mapped[str | None] = mapped_column(Text)


class RetentionItem(Base):
    """Something that was over in a run, and what became of it."""

    __tablename__ = "retention_items"

    run_id: Mapped[str] = mapped_column(ForeignKey("retention_runs.id"), primary_key=True)
    index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(700))
    refs: Mapped[list[str]] = mapped_column(JSON)
    """What it belongs to, in the words of holds."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    over_since: Mapped[datetime] = mapped_column(UtcDateTime)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    digest: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(Text)


class Certificate(Base):
    """A signed statement of what was deleted: counts and digests, never values."""

    __tablename__ = "deletion_certificates"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    about: Mapped[str] = mapped_column(String(100), unique=True)
    """``retention-run:ID`` or ``subject-request:ID``."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    envelope: Mapped[dict[str, Any]] = mapped_column(JSON)


class SubjectRequest(Base):
    """A person's wish to be found or forgotten. The person is here as keyed hashes alone."""

    __tablename__ = "subject_requests"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    state: Mapped[str] = mapped_column(String(24), index=True)
    hashes: Mapped[list[str]] = mapped_column(JSON)
    words: Mapped[list[int]] = mapped_column(JSON)
    """How many words the identifiers have, which is how many are looked at together."""
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(String(255))
    on_behalf_of: Mapped[str | None] = mapped_column(String(255))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    erasure_requested_by: Mapped[str | None] = mapped_column(String(255))
    confirmed_by: Mapped[str | None] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    models: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Versions that were trained on, or score, data that holds the person."""
    message: Mapped[str | None] = mapped_column(Text)


class SubjectFinding(Base):
    """A place where a person was found, and what became of it."""

    __tablename__ = "subject_findings"

    request_id: Mapped[str] = mapped_column(ForeignKey("subject_requests.id"), primary_key=True)
    index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    location: Mapped[str] = mapped_column(String(700))
    refs: Mapped[list[str]] = mapped_column(JSON)
    found: Mapped[int] = mapped_column(Integer)
    remaining: Mapped[int | None] = mapped_column(Integer)
    """How many were there when it was searched again; null before that."""
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(Text)
