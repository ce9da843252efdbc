"""Settings of who may sign in, and who has rights beyond their own models."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.model import EntityRef
from mlplatform.spec.quantities import Duration

PLUGIN_PATTERN = r"^[a-z0-9-]+$"
"""What the id of a Backstage plugin looks like that may be part of an address."""

_BACKSTAGE_AUTH = "/api/auth"


class LocalUser(SettingsModel):
    """A user that the embedded issuer signs in."""

    ref: EntityRef
    groups: list[EntityRef] = Field(default_factory=list)

    @field_validator("ref")
    @classmethod
    def _is_user(cls, value: str) -> str:
        if not value.startswith("user:"):
            raise ValueError("write a user entity ref such as user:default/ada")
        return value


class LocalIssuerSettings(SettingsModel):
    """The embedded issuer: tokens for whoever can read HOME/identity/login-secret."""

    enabled: bool = True
    token_lifetime: Duration = timedelta(hours=12)
    users: list[LocalUser] = Field(default_factory=list)


class ServiceAccount(SettingsModel):
    """Which repository a service account of a Kubernetes cluster speaks for."""

    namespace: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Its namespace, exactly.")
    name: str = Field(
        pattern=r"^(\*|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)$", description="Its name, or `*` for any in the namespace."
    )
    repository: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9_.{][A-Za-z0-9_.{}-]*)+$",
        description="The repository, as host/org/name; `{name}` is the account's name.",
    )

    @model_validator(mode="after")
    def _any_account_names_its_repository(self) -> Self:
        left_over = self.repository.replace("{name}", "")
        if "{" in left_over or "}" in left_over:
            raise ValueError("repository: only {name} is filled in")
        if self.name == "*" and "{name}" not in self.repository:
            raise ValueError("repository: with name `*` it needs {name}, or all accounts would be one repository")
        return self


class IssuerSettings(SettingsModel):
    """A trusted issuer of JWTs."""

    issuer: str = Field(min_length=1, description="The `iss` claim, exactly.")
    jwks_uri: str = Field(pattern=r"^https?://", description="Where its public keys are.")
    audience: str | None = Field(default=None, description="The `aud` claim; identity.audience if null.")
    kind: Literal["backstage", "github", "gitlab", "kubernetes", "oidc"] = Field(
        description="How claims become a principal."
    )
    groups_claim: str = Field(default="groups", description="For kind oidc: the claim that lists groups.")
    user_claim: str = Field(default="preferred_username", description="For kind oidc: the claim that names the user.")
    refs: list[str] = Field(
        default_factory=list,
        description="For CI: git refs whose jobs are accepted, such as refs/heads/main; `*` stands for anything, none for all.",
    )
    users: dict[str, EntityRef] = Field(
        default_factory=dict,
        description="For CI: users of the catalog by their login there, where that is not `user:default/<login>`.",
    )
    service_accounts: list[ServiceAccount] = Field(
        default_factory=list, description="For kind kubernetes: whose tokens count, and as which repository."
    )
    plugins: list[Annotated[str, Field(pattern=PLUGIN_PATTERN, max_length=60)]] = Field(
        default=["catalog", "scaffolder", "techdocs"],
        description="For kind backstage: plugins whose own tokens count, also where they act for a user.",
    )
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="For kind backstage: where it is reached, without /api; the issuer without /api/auth if null.",
    )

    @model_validator(mode="after")
    def _service_accounts_belong_to_a_cluster(self) -> Self:
        if bool(self.service_accounts) != (self.kind == "kubernetes"):
            raise ValueError("serviceAccounts belongs to kind kubernetes, and that kind needs it")
        return self

    @model_validator(mode="after")
    def _a_backstage_can_be_asked(self) -> Self:
        if self.kind != "backstage":
            if self.model_fields_set & {"plugins", "base_url"}:
                raise ValueError("plugins and baseUrl belong to kind backstage")
        elif self.base_url is None and not self.issuer.endswith(_BACKSTAGE_AUTH):
            raise ValueError(f"baseUrl: is needed for an issuer that does not end in {_BACKSTAGE_AUTH}")
        return self

    @property
    def backstage_url(self) -> str:
        """Where a Backstage is reached, without a slash at the end."""
        return (self.base_url or self.issuer.removesuffix(_BACKSTAGE_AUTH)).rstrip("/")


class IdentitySettings(SettingsModel):
    """Whose tokens are accepted."""

    audience: str = "ml-platform"
    leeway: Duration = Field(default=timedelta(seconds=30), description="Clock difference that is forgiven.")
    local_issuer: LocalIssuerSettings = Field(default_factory=LocalIssuerSettings)
    issuers: list[IssuerSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _issuers_differ(self) -> Self:
        names = [one.issuer for one in self.issuers]
        if len(names) != len(set(names)):
            raise ValueError("issuers names the same issuer more than once")
        return self

    @model_validator(mode="after")
    def _a_plugin_is_of_one_backstage(self) -> Self:
        names = [plugin for one in self.issuers if one.kind == "backstage" for plugin in one.plugins]
        if len(names) != len(set(names)):
            # Such a token does not say which Backstage it is from.
            raise ValueError("issuers: only one Backstage may list a plugin; give the others `plugins` of their own")
        return self


class PermissionSettings(SettingsModel):
    """Groups with rights beyond their own models."""

    platform_admins: list[EntityRef] = Field(default_factory=lambda: ["group:default/platform"])
    break_glass: list[EntityRef] = Field(default_factory=lambda: ["group:default/platform"])
