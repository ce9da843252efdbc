"""Settings of what a request may cost."""

from pydantic import Field

from backend.core.config_base import SettingsModel


class LimitSettings(SettingsModel):
    """What a request may cost."""

    body_bytes: int = Field(default=1_048_576, ge=1024, description="Largest JSON body.")
    manifest_bytes: int = Field(
        default=16_777_216, ge=1024, description="Largest registration manifest, attestations included."
    )
    bundle_bytes: int = Field(default=4 * 2**30, ge=1024, description="Largest bundle, packed and unpacked alike.")
    streams: int = Field(
        default=64, ge=1, le=1000, description="Most logs and other streams that are followed at once."
    )
    streams_per_caller: int = Field(default=8, ge=1, le=1000, description="Most of them for one caller.")
    bundle_files: int = Field(default=10_000, ge=1, description="Most files in a bundle.")
    file_bytes: int = Field(
        default=16_777_216,
        ge=1024,
        description="Largest file of a repository on the embedded git host that is given out.",
    )
    archive_bytes: int = Field(
        default=268_435_456, ge=1024, description="Largest tree of such a repository that is given out, unpacked."
    )
