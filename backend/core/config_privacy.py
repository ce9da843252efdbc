"""Settings of how long things are kept, and of data-subject requests."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.batch import Cron, LakePath
from mlplatform.spec.quantities import Duration

_LEAST = timedelta(hours=1)


class RetentionSettings(SettingsModel):
    """How long each kind of thing is kept at most; a model's own `retention` may only be shorter. Null keeps for ever."""

    schedule: Cron | None = Field(
        default="0 3 * * *", description="When what is over is deleted, in UTC; only on demand if null."
    )
    datasets: dict[LakePath, Duration] = Field(
        default_factory=dict, description="Partitions that batch models read, by folder of the lake."
    )
    batch_outputs: Duration | None = Field(default=None, description="Partitions that batch models wrote.")
    logs: Duration | None = Field(default=timedelta(days=365), description="Logs of models and of the platform itself.")
    payload_samples: Duration | None = Field(default=timedelta(days=90), description="Sampled requests and answers.")
    runs: Duration | None = Field(default=timedelta(days=730), description="MLflow runs that no version came from.")
    versions: Duration | None = Field(default=None, description="Versions that are neither live nor needed to go back.")
    artefacts: Duration | None = Field(default=timedelta(days=7), description="Artefacts that belong to no version.")
    tokens: Duration | None = Field(default=None, description="Entries of the token vault.")
    uploads: Duration | None = Field(default=timedelta(days=1), description="What uploads that were cut off have left.")
    audit_segments: Duration | None = Field(
        default=None, description="Sealed segments of the audit log, by their newest event."
    )
    incidents: Duration | None = Field(
        default=timedelta(days=1095),
        description="Resolved incidents with their timelines and notifications; what was done stays in the audit log.",
    )

    @field_validator("*")
    @classmethod
    def _leaves_time(cls, value: object) -> object:
        spans = value.values() if isinstance(value, dict) else [value]
        if any(isinstance(span, timedelta) and span < _LEAST for span in spans):
            raise ValueError("must be an hour at least, so that nothing is deleted while it is being made")
        return value


class SampleSettings(SettingsModel):
    """The store of payload samples; whether a model's traffic is sampled stands in its `model.yaml`."""

    enabled: bool = Field(default=True, description="Whether model servers may sample at all.")
    most: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=10_000, description="Most samples of a model in an environment; the oldest go first."
    )


class PrivacySettings(SettingsModel):
    """Data-subject requests and payload samples."""

    deadline: Duration = Field(
        default=timedelta(days=30), description="How long a data-subject request may take (GDPR, article 12: a month)."
    )
    samples: SampleSettings = Field(default_factory=SampleSettings)
