"""The table of attestations. The envelope is kept as received; the columns are copies for queries."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class AttestationRow(Base):
    """One signed gate result that was accepted."""

    __tablename__ = "attestations"
    __table_args__ = (
        Index("ix_attestations_digest_id", "digest", "id"),
        Index("uq_attestations_envelope", "digest", "envelope_digest", "principal", unique=True),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    gate: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(20))
    model: Mapped[str] = mapped_column(String(63))
    repository: Mapped[str] = mapped_column(String(500))
    commit: Mapped[str] = mapped_column(String(500))
    key_id: Mapped[str] = mapped_column(String(64))
    principal: Mapped[str] = mapped_column(String(255))
    principal_kind: Mapped[str] = mapped_column(String(20))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    envelope: Mapped[str] = mapped_column(Text)
    envelope_digest: Mapped[str] = mapped_column(String(64))
