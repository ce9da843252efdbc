"""The tables of data sets and their columns."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class Basis(StrEnum):
    """How a classification was decided, in rising order of weight."""

    DECLARED = "declared"  # A model.yaml says so.
    DETECTED = "detected"  # A scan proposes it; nobody has looked yet.
    CONFIRMED = "confirmed"  # A person said so.


class Dataset(Base):
    """A data set, by its OpenLineage name."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(500), unique=True)
    entity: Mapped[str] = mapped_column(String(200), index=True)
    """Ref of its Resource in the catalog."""
    owner: Mapped[str] = mapped_column(String(190), index=True)
    declared: Mapped[str | None] = mapped_column(String(20))
    """The highest class that a registered model.yaml ever gave it."""
    declared_by: Mapped[str | None] = mapped_column(String(255))
    """The version whose model.yaml that was."""
    classification: Mapped[str | None] = mapped_column(String(20), index=True)
    """The highest class of its columns, or what was declared; null if nobody has said anything."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DatasetColumn(Base):
    """A column: the class that counts, how it was decided, and what the newest scan proposes."""

    __tablename__ = "dataset_columns"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    type: Mapped[str] = mapped_column(String(50))
    classification: Mapped[str] = mapped_column(String(20))
    basis: Mapped[str] = mapped_column(String(20))
    decided_by: Mapped[str] = mapped_column(String(255))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
    proposed: Mapped[str | None] = mapped_column(String(20))
    """What the newest scan says; a person has to look again when it is above what was confirmed."""
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Kinds of personal data that the scan found, with how often: never a value."""
