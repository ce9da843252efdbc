"""The overview's tables: a read model. All of it can be made again from what the other domains say."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base, UtcDateTime


class ModelSummary(Base):
    """A registered model in one row. What it is sorted by is never null: a place after a null can't be asked for."""

    __tablename__ = "model_summaries"
    __table_args__ = tuple(
        Index(f"ix_model_summaries_{column}_name", column, "name")
        for column in (
            "owner",
            "system",
            "type",
            "tier",
            "updated_at",
            "behind",
            "compliance",
            "budget",
            "monthly_cost",
        )
    )

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(20))
    owner: Mapped[str] = mapped_column(String(190))
    system: Mapped[str] = mapped_column(String(190))
    """Empty where it is part of none."""
    tier: Mapped[int] = mapped_column(Integer)
    cost_centre: Mapped[str] = mapped_column(String(50))
    repository: Mapped[str] = mapped_column(String(300))
    repository_name: Mapped[str] = mapped_column(String(255), index=True)
    """The repository's last part, by which the fleet knows it."""
    entity_ref: Mapped[str | None] = mapped_column(String(200))
    latest_version: Mapped[int | None] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    live: Mapped[bool] = mapped_column(Boolean)
    """Whether a version of it is live anywhere."""
    template: Mapped[str | None] = mapped_column(String(63))
    template_version: Mapped[str | None] = mapped_column(String(100))
    template_newest: Mapped[str | None] = mapped_column(String(100))
    behind: Mapped[int] = mapped_column(Integer)
    """How many template versions were released after its own; -1 where that is not known."""
    compliance: Mapped[int] = mapped_column(Integer, default=-1)
    """How many checks found something about it; -1 where it is not live, or nothing was examined yet."""
    slo: Mapped[str] = mapped_column(String(20), default="")
    """How its objectives stand, by the worst; empty where it is live nowhere, or has none."""
    budget: Mapped[int] = mapped_column(Integer, default=20_000)
    """What is left of the error budget of which least is left, in hundredths of a percent; 20000 where that is not known."""
    drift: Mapped[str] = mapped_column(String(20), default="")
    """What the newest drift reports of what is live say, by the worst; empty where there is none."""
    monthly_cost: Mapped[int] = mapped_column(BigInteger, default=-1)
    """What it has cost this month, in cents; -1 where nothing is recorded."""
    request_url: Mapped[str | None] = mapped_column(String(500))


class ModelPlace(Base):
    """A model in an environment that it was deployed to."""

    __tablename__ = "model_places"
    __table_args__ = (Index("ix_model_places_environment_phase", "environment", "phase", "model"),)

    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(63), primary_key=True)
    champion: Mapped[int | None] = mapped_column(Integer)
    challenger: Mapped[int | None] = mapped_column(Integer)
    phase: Mapped[str] = mapped_column(String(20))
    deployment_id: Mapped[str] = mapped_column(String(36))
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
