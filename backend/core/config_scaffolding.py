"""Settings of git hosts, templates, their box, and the catalog."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from backend.core.config_base import SettingsModel
from backend.core.secrets import Secret
from mlplatform.spec.quantities import Duration

_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_ORG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
Name = Annotated[str, Field(pattern=_NAME, max_length=63)]


class BranchProtectionSettings(SettingsModel):
    """What a change of a new repository's default branch needs."""

    enabled: bool = True
    approvals: int = Field(
        default=1, ge=0, le=6, description="Approvals of a pull request; the embedded host has none."
    )
    checks: list[str] = Field(default_factory=list, description="Checks that must be green.")


class EmbeddedHostSettings(SettingsModel):
    """Bare repositories under HOME/git, for one machine."""

    kind: Literal["embedded"]
    name: Name = "local"
    org: str = Field(default="models", pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=39)
    branch_protection: BranchProtectionSettings = Field(default_factory=BranchProtectionSettings)


class GitHubHostSettings(SettingsModel):
    """github.com or GitHub Enterprise Server, by a token or as a GitHub App."""

    kind: Literal["github"]
    name: Name = "github"
    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://[^\s@]+$")
    org: str = Field(pattern=_ORG, description="Where repositories go unless somebody names another organisation.")
    token: Secret | None = None
    app_id: str | None = None
    private_key: Secret | None = Field(default=None, description="The App's private key, PEM.")
    installation_id: int | None = Field(default=None, description="Looked up by the organisation if null.")
    private: bool = True
    branch_protection: BranchProtectionSettings = Field(default_factory=BranchProtectionSettings)

    @field_validator("app_id", mode="before")
    @classmethod
    def _number_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        app = self.app_id is not None and self.private_key is not None
        if (self.token is not None) == app:
            raise ValueError("give either token, or appId and privateKey")
        return self


class GitLabHostSettings(SettingsModel):
    """gitlab.com or one's own server, by a token of a group or user."""

    kind: Literal["gitlab"]
    name: Name = "gitlab"
    api_url: str = Field(default="https://gitlab.com", pattern=r"^https?://[^\s@]+$", description="The server's URL.")
    org: str = Field(pattern=_ORG, description="Group where projects go unless somebody names another one.")
    token: Secret
    private: bool = True
    branch_protection: BranchProtectionSettings = Field(default_factory=BranchProtectionSettings)


GitHostSettings = Annotated[EmbeddedHostSettings | GitHubHostSettings | GitLabHostSettings, Field(discriminator="kind")]


class TemplateSettings(SettingsModel):
    """Another template of the organisation: any Copier template that needs no trust."""

    name: Name
    url: str = Field(min_length=1, max_length=500, description="Git URL, or a folder below templateSources.roots.")
    ref_pattern: str = Field(default="v*", min_length=1, max_length=100, description="Which tags are its versions.")
    description: str = ""


class TemplateSourceSettings(SettingsModel):
    """Where templates may come from; the URLs under `templates` may always."""

    hosts: list[str] = Field(default_factory=list, description="Hosts that templates may be fetched from.")
    roots: list[Path] = Field(default_factory=list, description="Folders whose git repositories may be templates.")


class SandboxSettings(SettingsModel):
    """What rendering a template may use."""

    cpu_seconds: int = Field(default=20, ge=1, le=600)
    wall_seconds: float = Field(default=60.0, gt=0, le=3600)
    memory_bytes: int = Field(default=1 << 30, ge=256 << 20)
    output_bytes: int = Field(default=64 << 20, ge=1 << 20)
    output_files: int = Field(default=5_000, ge=10)
    answers_bytes: int = Field(default=64 << 10, ge=1 << 10)


class ScaffoldSettings(SettingsModel):
    """How new repositories are made."""

    patience: Duration = Field(default=timedelta(minutes=5), description="How long a host that is busy is waited for.")
    clean_up_patience: Duration = Field(
        default=timedelta(hours=6), description="How long taking back what was made is tried while a host is down."
    )


class FleetSettings(SettingsModel):
    """How repositories are kept current."""

    poll_interval: Duration = Field(
        default=timedelta(seconds=30), description="How often open requests of a campaign are looked at."
    )
    inventory_interval: Duration = Field(
        default=timedelta(minutes=30), description="How often all repositories are looked at again."
    )


class CatalogSettings(SettingsModel):
    """The catalog's own sources."""

    org: Path | None = Field(default=None, description="YAML file with Group, User and System entities.")
    refresh_interval: Duration = Field(default=timedelta(minutes=5), description="How often locations are read again.")
    refresh_batch: int = Field(default=50, ge=1, le=1000, description="Most locations that are read at a time.")

    @field_validator("org")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().resolve() if value is not None else None
