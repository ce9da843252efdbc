"""Settings of drift: how careful reports are, who may send the truth, and how long both are kept."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.quantities import Duration


class DriftSettings(SettingsModel):
    """How what is live is held against its training reference; how often stands in each `model.yaml`."""

    false_alarms: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="Probability that a healthy model is called drifted at all in a quarter.",
    )
    most_rows: int = Field(
        default=50_000, ge=1000, le=1_000_000, description="Most rows of a window; of more, so many are drawn."
    )
    labellers: list[Annotated[str, Field(pattern=r"^(service|user|repository):\S+$", max_length=190)]] = Field(
        default_factory=list,
        description="Principals that may send labels of any model, besides those who may register it.",
    )
    reports_kept: Duration = Field(default=timedelta(days=400), description="How long reports are kept.")
    labels_kept: Duration = Field(default=timedelta(days=90), description="How long labels are kept.")

    @field_validator("reports_kept", "labels_kept")
    @classmethod
    def _leaves_time(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=1):
            raise ValueError("must be a day at least")
        return value
