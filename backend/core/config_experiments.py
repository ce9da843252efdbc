"""Settings of experiments."""

from datetime import timedelta

from pydantic import Field

from backend.core.config_base import SettingsModel
from mlplatform.spec.quantities import Duration


class ExperimentSettings(SettingsModel):
    """How shadow runs and A/B experiments are watched, and how much is kept of them."""

    look_interval: Duration = Field(
        default=timedelta(seconds=1), description="How often what servers wrote down is taken over and judged."
    )
    spooled_after: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        description="Within this time every server has spooled what it answered; the split is judged without newer keys.",
    )
    longest: Duration = Field(default=timedelta(days=30), description="Longest duration that can be asked for.")
    least_units: int = Field(
        default=100, ge=20, le=1_000_000, description="Keys with an outcome that each version has before one is judged."
    )
    most_answers: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Answers of one shadow run that wait for the other version's."
    )
    most_pairs: int = Field(
        default=2_000, ge=10, le=100_000, description="Compared answers of one shadow run that can be looked at."
    )
    most_predictions: int = Field(
        default=500_000,
        ge=100,
        le=50_000_000,
        description="Predictions of one A/B experiment that can have an outcome.",
    )
    keep: Duration = Field(
        default=timedelta(days=30), description="How long single answers and predictions are kept after the end."
    )
