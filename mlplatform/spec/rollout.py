"""``rollout`` of ``model.yaml``: how a new version takes over, and what it is judged by meanwhile."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from mlplatform.spec.base import Fraction, SpecModel
from mlplatform.spec.quantities import Duration


class SuccessRate(SpecModel):
    """Limits on the share of requests answered without a server error."""

    minimum: Fraction = Field(default=0.99, description="Absolute limit.")
    max_drop: Fraction = Field(default=0.005, description="How far below the primary, in the same window, it may be.")


class Latency(SpecModel):
    """Limits on response time at a percentile."""

    percentile: float = Field(default=99, gt=0, lt=100, description="Which percentile is judged.")
    maximum: Duration = Field(default=timedelta(milliseconds=500), description="Absolute limit.")
    max_ratio: float = Field(
        default=1.5,
        ge=1,
        le=100,
        description="How many times slower than the primary, in the same window, it may be.",
    )


class Lag(SpecModel):
    """Limit on how far a streaming version may be behind its stream."""

    maximum: Duration = Field(
        default=timedelta(minutes=1),
        description="How long its oldest message may wait; or latency.maxRatio times what the primary's waits, if that is more.",
    )


class Analysis(SpecModel):
    """When a rollout step is passed, extended, or ends in a rollback."""

    success_rate: SuccessRate = Field(default_factory=SuccessRate)
    latency: Latency = Field(default_factory=Latency)
    lag: Lag = Field(default_factory=Lag, description="For type streaming alone.")
    min_requests: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Requests that the new version must have answered in a step.",
    )
    false_alarm_rate: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description="Most probable rate at which a healthy version is rolled back, over the whole rollout.",
    )
    hold_timeout: Duration = Field(
        default=timedelta(hours=1),
        description="A step with too little traffic is held this long, then the rollout ends as held.",
    )


class Shadow(SpecModel):
    """Mirrored traffic before the first canary step; the answers are thrown away."""

    duration: Duration = Field(default=timedelta(0), description="How long; `0s` leaves the phase out.")
    percent: int = Field(default=100, ge=1, le=100, description="Share of requests that is mirrored.")


class Rollout(SpecModel):
    """How traffic moves to a new version."""

    steps: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=[5, 25, 50, 100],
        min_length=1,
        max_length=20,
        description="Percent of traffic for the new version, step by step, ending at 100.",
    )
    interval: Duration = Field(default=timedelta(seconds=60), description="Least time in each step.")
    shadow: Shadow = Field(default_factory=Shadow)
    analysis: Analysis = Field(default_factory=Analysis)
    keep_warm: Duration = Field(
        default=timedelta(minutes=15),
        description="How long the former version stays ready for an instant rollback.",
    )
    rollback_on_breach: bool = Field(
        default=True,
        description="Whether a version that was promoted is taken back by itself when it burns an error budget fast while "
        "the former one is still ready.",
    )

    @model_validator(mode="after")
    def _steps_rise_to_all(self) -> Self:
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps must rise")
        if self.steps[-1] != 100:
            raise ValueError("the last step must be 100")
        return self
