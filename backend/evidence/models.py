"""The table of evidence packs."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class PackState(StrEnum):
    """Where a pack is."""

    PENDING = "pending"  # Asked for.
    RUNNING = "running"  # Being written.
    DONE = "done"  # The file is there.
    FAILED = "failed"  # There is no file, and the reason says why.


ENDED = (PackState.DONE, PackState.FAILED)


class EvidencePack(Base):
    """A pack that was asked for, and what became of it."""

    __tablename__ = "evidence_packs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    control: Mapped[str | None] = mapped_column(String(100))
    sample_size: Mapped[int] = mapped_column(Integer)
    sample_seed: Mapped[str | None] = mapped_column(String(200))
    requested_by: Mapped[str] = mapped_column(String(500))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[PackState] = mapped_column(String(20))
    events: Mapped[int | None] = mapped_column(BigInteger)
    written: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
