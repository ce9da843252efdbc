"""Settings of observability."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.quantities import Duration

Severity = Literal["page", "ticket"]


class PrometheusSettings(SettingsModel):
    """A Prometheus that evaluates the rules of the models' repositories."""

    url: str = Field(pattern=r"^https?://[^\s@]+$", description="Where its HTTP API is, without /api/v1.")
    token: SecretStr | None = Field(default=None, description="Bearer token, as {$env: VAR} or {$file: path}.")
    timeout: Duration = Field(default=timedelta(seconds=5), description="How long an answer is waited for.")

    @field_validator("timeout")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=0.1) <= value <= timedelta(minutes=1):
            raise ValueError("must be between 0.1s and 1m")
        return value


class ObservabilitySettings(SettingsModel):
    """How live models are watched."""

    sample_interval: Duration = Field(
        default=timedelta(seconds=10), description="How often what live versions did is read."
    )
    evaluate_interval: Duration = Field(default=timedelta(seconds=30), description="How often objectives are judged.")
    prometheus: PrometheusSettings | None = Field(
        default=None, description="Where objectives are asked for; the platform's own samples are used if null."
    )
    alertmanagers: list[Annotated[str, Field(pattern=r"^(service|user):\S+$", max_length=190)]] = Field(
        default_factory=list, description="Principals that may raise alerts, besides platform administrators."
    )
    resolve_after: Duration = Field(
        default=timedelta(hours=1),
        description="An incident that nobody acknowledged is resolved when its alerts were over for so long.",
    )
    most_opened: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Most incidents that alerts open within ten minutes; further alerts go into one incident together.",
    )

    @field_validator("sample_interval", "evaluate_interval")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=0.1) <= value <= timedelta(minutes=5):
            raise ValueError("must be between 0.1s and 5m")
        return value

    @model_validator(mode="before")
    @classmethod
    def _is_moved(cls, value: Any) -> Any:
        moved = {"notifications": "notifications.targets", "notifyFor": "notifications.retryFor"}
        for key, place in moved.items() if isinstance(value, Mapping) else ():
            if key in value:
                raise ValueError(f"{key} is now mlPlatform.{place}, since not only incidents are told of")
        return value
