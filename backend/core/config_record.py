"""Settings of the record: where checkpoints are published, what of the log is sealed, and how long evidence packs are kept."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.batch import Cron
from mlplatform.spec.quantities import Duration

_Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]


class GitTargetSettings(SettingsModel):
    """A git repository that the platform may push to, and nobody may push to by force."""

    kind: Literal["git"]
    name: _Name
    url: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^(https://[^\s@]+|ssh://\S+|file:///\S+|/\S+)$",
        description="URL or path of the repository; without credentials.",
    )
    user: str = Field(default="git", min_length=1, max_length=200, description="Whose token it is, over https.")
    token: SecretStr | None = Field(default=None, description="Of an account that may push, over https.")
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")


class S3TargetSettings(SettingsModel):
    """A bucket of an object store with Object Lock, so that what lies there can't be replaced or deleted for a time."""

    kind: Literal["s3"]
    name: _Name
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(default="checkpoints/", max_length=500)
    endpoint_url: str | None = Field(
        default=None, pattern=r"^https?://[^\s@]+$", description="Of another store than AWS."
    )
    region: str | None = Field(default=None, max_length=50)
    retention: Duration = Field(
        default=timedelta(days=400), description="How long a checkpoint can't be deleted by anybody (COMPLIANCE mode)."
    )


TargetSettings = Annotated[GitTargetSettings | S3TargetSettings, Field(discriminator="kind")]


class PublicationSettings(SettingsModel):
    """Second places for checkpoints, which show later whether the log was rewritten."""

    interval: Duration = Field(default=timedelta(hours=1), description="How often the newest checkpoint is published.")
    targets: list[TargetSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        found = [one.name for one in self.targets]
        if len(found) != len(set(found)):
            raise ValueError(f"targets: each needs a name of its own, these are {', '.join(found)}")
        if self.interval < timedelta(seconds=1):
            raise ValueError("interval: must be 1s or more")
        return self


class SealingSettings(SettingsModel):
    """Old events leave the database for sealed files, which are read and verified as before."""

    keep: Duration | None = Field(
        default=None, description="How long events stay in the database at least; for ever if null."
    )
    schedule: Cron | None = Field(
        default="0 4 1 * *", description="When what is older is sealed, in UTC; only on demand if null."
    )
    segment_events: int = Field(
        default=65_536, ge=256, le=1_048_576, multiple_of=256, description="Most events of one segment."
    )
    store: str | None = Field(
        default=None,
        max_length=500,
        pattern=r"^(/\S*|[a-z][a-z0-9+.-]*://[^\s@]+)$",
        description="Where segments lie: a path, or an object store's URL such as s3://bucket/prefix without credentials; "
        "HOME/audit/segments if null.",
    )

    @field_validator("keep")
    @classmethod
    def _leaves_time(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < timedelta(days=1):
            raise ValueError("must be a day at least")
        return value


class AuditSettings(SettingsModel):
    """The audit log."""

    publication: PublicationSettings = Field(default_factory=PublicationSettings)
    sealing: SealingSettings = Field(default_factory=SealingSettings)


class EvidenceSettings(SettingsModel):
    """Evidence packs."""

    keep: Duration = Field(default=timedelta(days=30), description="How long a pack's file is kept here.")
