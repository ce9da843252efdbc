"""The table of signing keys: which principal a public key speaks for."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class SigningKeyRow(Base):
    """One binding of an Ed25519 public key to a principal, for all repositories or for one.

    ``repository`` is the empty text for all, since a unique constraint takes two nulls for different.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (Index("uq_signing_keys_binding", "key_id", "principal", "repository", unique=True),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(64), index=True)
    public_key: Mapped[str] = mapped_column(String(44))
    principal: Mapped[str] = mapped_column(String(255))
    principal_kind: Mapped[str] = mapped_column(String(20))
    repository: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
