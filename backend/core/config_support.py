"""Settings of support: how fast requests are answered, and when the survey is told."""

from datetime import timedelta

from pydantic import Field, field_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.quantities import Duration


class AnswerSettings(SettingsModel):
    """How long the first answer to a request may take, by its priority, day and night."""

    p0: Duration = Field(default=timedelta(hours=1), description="Production is down, or data is at risk.")
    p1: Duration = Field(default=timedelta(hours=4), description="Somebody can't ship.")
    p2: Duration = Field(
        default=timedelta(days=1), description="Something is in the way, and there is a way around it."
    )
    p3: Duration = Field(default=timedelta(days=5), description="A question or a wish.")

    @field_validator("p0", "p1", "p2", "p3")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= value <= timedelta(days=90):
            raise ValueError("must be between 1m and 90d")
        return value

    def within(self, priority: str) -> timedelta:
        """Return how long the answer to a request of a priority such as ``P0`` may take."""
        return {"P0": self.p0, "P1": self.p1, "P2": self.p2, "P3": self.p3}[priority]


class SupportSettings(SettingsModel):
    """What the platform team promises to whoever asks, and the quarterly survey."""

    answer_within: AnswerSettings = Field(default_factory=AnswerSettings)
    least_answers: int = Field(
        default=3,
        ge=3,
        le=1000,
        description="Answers to a quarter's survey below which nothing of it is shown, so that nobody is singled out.",
    )
