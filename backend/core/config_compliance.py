"""Settings of compliance."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.quantities import Duration


class ComplianceSettings(SettingsModel):
    """Which controls are checked, and for how long a finding may pass."""

    frameworks: list[Path] = Field(
        default_factory=list,
        description="YAML files with control frameworks besides SOC 2; one of the same name takes its place.",
    )
    longest_waiver: Duration = Field(default=timedelta(days=90), description="Longest time that a waiver holds.")

    @field_validator("longest_waiver")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(hours=1) <= value <= timedelta(days=366):
            raise ValueError("must be between 1h and 366d")
        return value

    @field_validator("frameworks")
    @classmethod
    def _absolute(cls, value: list[Path]) -> list[Path]:
        return [path.expanduser().resolve() for path in value]
