"""``drift`` of ``model.yaml``: how often what is live is held against its training reference, and what follows."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from mlplatform.spec.base import SpecModel
from mlplatform.spec.quantities import Duration, format_duration

LEAST, MOST = timedelta(minutes=10), timedelta(days=31)


class Drift(SpecModel):
    """Judged are sampled predictions (`serving.samples`), of type batch the rows in the lake; slices are those of thresholds."""

    interval: Duration = Field(default=timedelta(days=1), description="Least time between two scheduled reports.")
    min_rows: int = Field(
        default=100, ge=30, le=100_000, description="With fewer rows than this a report waits for more."
    )
    on_drift: Literal["notify", "retrain"] = Field(
        default="notify",
        description="`notify` opens an incident; `retrain` also opens a pull request that has the model trained again.",
    )

    @field_validator("interval")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not LEAST <= value <= MOST:
            raise ValueError(f"must be between {format_duration(LEAST)} and {format_duration(MOST)}")
        return value
