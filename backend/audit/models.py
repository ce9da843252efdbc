"""The audit tables. Triggers (in the migration) refuse to change or delete what was written."""

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base

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
    signature: Mapped[str] = mapped_column(String(88))
