"""Settings of the embedded Backstage."""

from pydantic import Field

from backend.core.config_base import Port, SettingsModel


class PortalSettings(SettingsModel):
    """Whether `platform up` starts the Backstage that comes with the platform, and where it listens."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 7007
    base_url: str | None = Field(
        default=None, description="How browsers reach it, without a path; http://host:port if null."
    )

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")
