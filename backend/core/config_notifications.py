"""Settings of notifications: who is told what, and how."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.model import NAME_PATTERN, EntityRef
from mlplatform.spec.quantities import Duration

NoticeKind = Literal["incident", "budget", "cost-anomaly", "cost-report", "support", "access-review", "control"]
"""What a notification can be about."""
NoticeSeverity = Literal["page", "ticket", "info"]
"""Whether somebody has to act now, has to act, or is only told."""


class TargetSettings(SettingsModel):
    """Somebody who is told, by one of the services that Apprise knows."""

    name: str = Field(pattern=NAME_PATTERN, max_length=63, description="How it is called in timelines.")
    url: SecretStr = Field(
        description="Apprise URL, such as slack://, mailtos:// or pagerduty://, as {$env: VAR} or {$file: path}."
    )
    severities: list[NoticeSeverity] = Field(
        default=["page"],
        min_length=1,
        description="What it is told of: `page` is for now, `ticket` is to be done, `info` is good to know.",
    )
    kinds: list[NoticeKind] = Field(default_factory=list, description="Only what is of these kinds; all if empty.")
    groups: list[EntityRef] = Field(default_factory=list, description="Only what is for these groups; all if empty.")


class NotificationSettings(SettingsModel):
    """Who is told of incidents, budgets, reports, overdue requests and reviews, and failing controls."""

    targets: list[TargetSettings] = Field(default_factory=list)
    retry_for: Duration = Field(
        default=timedelta(days=1), description="How long a target that does not answer is tried again."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.name for one in self.targets]
        if len(names) != len(set(names)):
            raise ValueError(f"targets: each needs a name of its own, these are {', '.join(names)}")
        return self
