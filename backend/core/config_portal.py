"""Settings of the embedded Backstage."""

from urllib.parse import urlsplit

from pydantic import Field

from backend.core.config_base import Port, SettingsModel, reached_at
from backend.core.config_identity import IssuerSettings


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

    @property
    def address(self) -> str:
        """Where the backend finds it, on this machine."""
        return f"http://{reached_at(self.host)}:{self.port}"

    @property
    def origins(self) -> list[str]:
        """Where its pages come from, as browsers say."""
        parts = urlsplit(self.url)
        return [f"{parts.scheme}://{parts.netloc}"]

    @property
    def issuer(self) -> IssuerSettings:
        """Its tokens: those of its users, and those of the plugins that this platform adds or serves."""
        return IssuerSettings(
            kind="backstage",
            issuer=f"{self.url}/api/auth",
            jwks_uri=f"{self.address}/api/auth/.well-known/jwks.json",
            audience="backstage",
            base_url=self.address,
            plugins=["catalog", "scaffolder", "techdocs"],
        )
