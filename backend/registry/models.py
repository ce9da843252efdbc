"""The registry's tables. MLflow keeps runs and artefacts; what decisions are made from is kept here."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class ModelRow(Base):
    """A model: who owns it, and the repository that it belongs to for good."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    type: Mapped[str] = mapped_column(String(20))
    owner: Mapped[str] = mapped_column(String(190), index=True)
    system: Mapped[str | None] = mapped_column(String(190))
    tier: Mapped[int]
    cost_centre: Mapped[str] = mapped_column(String(50))
    repository: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))


class VersionRow(Base):
    """A version: one artefact from one commit, with everything it was made from."""

    __tablename__ = "versions"
    __table_args__ = (
        Index("uq_versions_content", "model", "digest", "commit", "repository", unique=True),
        Index("ix_versions_digest", "digest"),
    )

    model: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64))
    bundle: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str] = mapped_column(String(64))
    repository: Mapped[str] = mapped_column(String(300))
    commit: Mapped[str] = mapped_column(String(64))
    lineage: Mapped[dict[str, Any]] = mapped_column(JSON)
    metrics: Mapped[dict[str, float]] = mapped_column(JSON)
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its artefact was deleted because it was over; the row stays, since others refer to it."""


class AliasRow(Base):
    """A name that points at one version of a model and moves."""

    __tablename__ = "model_aliases"
    __table_args__ = (ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"]),)

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    alias: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int]
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime)
