"""The settings: the ``mlPlatform:`` section of ``app-config.yaml``, checked.

Every key is optional, every default is what ``platform up`` uses on one machine. How several files become one section
(Backstage's layering) is in :mod:`backend.core.config_files`.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from sqlalchemy import make_url

from backend.core.config_access import AccessSettings
from backend.core.config_base import Origin, Port, SettingsModel
from backend.core.config_compliance import ComplianceSettings
from backend.core.config_cost import CostSettings
from backend.core.config_drift import DriftSettings
from backend.core.config_encryption import EncryptionSettings, SecretStoreSettings
from backend.core.config_experiments import ExperimentSettings
from backend.core.config_files import ConfigError, Section, read_section
from backend.core.config_identity import IdentitySettings, PermissionSettings
from backend.core.config_limits import LimitSettings
from backend.core.config_notifications import NotificationSettings
from backend.core.config_observability import ObservabilitySettings
from backend.core.config_portal import PortalSettings
from backend.core.config_privacy import PrivacySettings, RetentionSettings
from backend.core.config_quotas import QuotaSettings
from backend.core.config_record import AuditSettings, EvidenceSettings
from backend.core.config_scaffolding import (
    CatalogSettings,
    EmbeddedHostSettings,
    FleetSettings,
    GitHostSettings,
    SandboxSettings,
    ScaffoldSettings,
    TemplateSettings,
    TemplateSourceSettings,
)
from backend.core.config_streams import BrokerKind, BrokerSettings, NatsSettings, check_brokers
from backend.core.config_support import SupportSettings
from backend.core.config_telemetry import TelemetrySettings
from backend.core.secrets import Secret, SecretResolver
from mlplatform.gates.result import Gate, Outcome
from mlplatform.spec.model import EntityRef
from mlplatform.spec.quantities import Duration

API_PREFIX = "/api/ml-platform"
ENVIRONMENT_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SignerKind = Literal["user", "repository", "service"]


class BackendSettings(SettingsModel):
    """Where the backend listens."""

    host: str = "127.0.0.1"
    port: Port = 7070
    base_url: str | None = Field(
        default=None, description="How others reach it, without a path; http://host:port if null."
    )
    allowed_origins: list[Origin] = Field(
        default_factory=list,
        description="Where pages come from that a browser lets call the backend, besides the embedded portal's own.",
    )


class DatabaseSettings(SettingsModel):
    """Where the platform's own tables are."""

    url: str | None = Field(default=None, description="SQLAlchemy URL; HOME/platform.db (SQLite) if null.")
    workflows_url: str | None = Field(
        default=None,
        description="Where DBOS keeps workflows; HOME/workflows.db, or the same PostgreSQL, if null.",
    )
    password: Secret | None = Field(
        default=None, description="Password for the URLs above, as far as they are PostgreSQL's and have none."
    )

    def with_password(self, url: str) -> str:
        """Return a URL with the password in it."""
        parts = make_url(url)
        if self.password is None or parts.password is not None or parts.get_backend_name() == "sqlite":
            return url
        return parts.set(password=self.password.get_secret_value()).render_as_string(hide_password=False)

    @field_validator("url", "workflows_url")
    @classmethod
    def _is_supported(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme = value.partition("://")[0].partition("+")[0]
        if scheme not in {"sqlite", "postgresql", "postgres"}:
            raise ValueError(
                "not a database URL that is supported; write sqlite:///path or postgresql://user@host/name"
            )
        if scheme == "sqlite":
            return value
        # SQLAlchemy would pick psycopg2 for the plain scheme.
        return "postgresql+psycopg://" + value.partition("://")[2]


class MlflowSettings(SettingsModel):
    """Where models and runs are tracked."""

    tracking_uri: str | None = Field(default=None, description="Any MLflow tracking URI; HOME/mlflow if null.")
    embedded: bool = Field(default=True, description="Whether the MLflow UI and API are mounted under /mlflow.")


class IngressSettings(SettingsModel):
    """Where Envoy takes model traffic."""

    host: str = "127.0.0.1"
    port: Port = 8080
    admin_port: Port = 9901


class ServingSettings(SettingsModel):
    """How model servers run on this machine."""

    port_range: tuple[Port, Port] = Field(default=(18000, 18999), description="First and last port for model servers.")
    python: Path | None = Field(
        default=None,
        description="Interpreter for all model servers, instead of an environment per lock file.",
    )
    command: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Program that takes the model server's arguments, instead of `python -m mlplatform.serving`.",
    )
    log_bytes: int = Field(default=10_000_000, ge=10_000, description="A replica's log is rotated at this size.")
    log_backups: int = Field(default=5, ge=0, le=100, description="Rotated logs that are kept of each replica.")

    @field_validator("port_range")
    @classmethod
    def _rises(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError("write [first, last] with first not above last")
        return value


class Policy(SettingsModel):
    """What the attestations of a version must say before it is admitted."""

    require: dict[Gate, list[Outcome]] = Field(
        default_factory=dict,
        validate_default=True,
        description="Accepted outcomes by gate. A gate that is not listed must have passed; null takes it out.",
    )
    data_classification: bool = Field(
        default=True,
        description="Whether a version is refused whose model.yaml gives data a lower class than the catalog knows.",
    )
    error_budget: bool | None = Field(
        default=None,
        description="Whether a model without error budget left needs an approval to be rolled out; where approval is "
        "required if null.",
    )
    rollback_on_breach: bool = Field(
        default=True,
        description="Whether a version that burns its error budget fast is taken back while the former one is warm, as far "
        "as its model.yaml wants it too.",
    )
    signers: list[SignerKind] = Field(
        default=["user", "repository"],
        min_length=1,
        description="Kinds of principal whose signature counts.",
    )

    @field_validator("require", mode="before")
    @classmethod
    def _unlisted_gates_must_pass(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        listed: dict[Any, Any] = {gate.value: [Outcome.PASSED] for gate in Gate} | {
            str(key): of for key, of in value.items()
        }
        return {gate: accepted for gate, accepted in listed.items() if accepted is not None}

    @field_validator("require")
    @classmethod
    def _accepts_something(cls, value: dict[Gate, list[Outcome]]) -> dict[Gate, list[Outcome]]:
        for gate, accepted in value.items():
            if not accepted:
                raise ValueError(
                    f"{gate} accepts no outcome; list what is accepted, or write null to take the gate out"
                )
        return value


class ApprovalSettings(SettingsModel):
    """Whether and by whom a deployment must be approved."""

    required: bool = False
    groups: list[EntityRef] = Field(
        default_factory=list, description="Who may approve; the model's owner group if empty."
    )
    not_author: bool = Field(default=True, description="Neither the requester nor the version's author may approve.")


class EnvironmentSettings(SettingsModel):
    """One environment that models are deployed to."""

    policy: Policy = Field(default_factory=Policy)
    approval: ApprovalSettings = Field(default_factory=ApprovalSettings)
    lake: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="Folder or URL of the data that batch models read and write; HOME/lake/<environment> if null.",
    )
    lake_variables: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]] = Field(
        default_factory=list,
        description="Environment variables of the backend that batch runs get, such as those with the lake's credentials.",
    )

    brokers: Annotated[dict[BrokerKind, BrokerSettings], AfterValidator(check_brokers)] = Field(
        default_factory=dict,
        description="Brokers that streaming models read and write, by kind; for nats the platform brings its own.",
    )

    @field_validator("lake")
    @classmethod
    def _holds_no_secret(cls, value: str | None) -> str | None:
        if value is not None and "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError("must not hold credentials; name the variables that do in lakeVariables")
        return value


class RolloutSettings(SettingsModel):
    """How the rollout engine works; what a rollout does is in the model's own ``model.yaml``."""

    poll_interval: Duration = Field(default=timedelta(seconds=0.5), description="How often Envoy's figures are read.")
    reconcile_interval: Duration = Field(
        default=timedelta(seconds=1), description="How often desired and real traffic are compared."
    )

    @field_validator("poll_interval", "reconcile_interval")
    @classmethod
    def _is_sane(cls, value: timedelta) -> timedelta:
        if not timedelta(seconds=0.05) <= value <= timedelta(minutes=1):
            raise ValueError("must be between 0.05s and 1m")
        return value


class BatchSettings(SettingsModel):
    """How batch models are run; what they read, write and when is in their own ``model.yaml``."""

    parallel_runs: int = Field(
        default=2, ge=1, le=64, description="Most runs at the same time, of all models together."
    )
    catch_up: int = Field(
        default=7,
        ge=1,
        le=366,
        description="Most days of a model that are taken up when several are due at once, as after the platform was away; "
        "older ones need a backfill.",
    )
    retry_delay: Duration = Field(
        default=timedelta(seconds=30), description="Time before a failed run is tried again; doubled each time."
    )


def _default_environments() -> dict[str, EnvironmentSettings]:
    lenient = [Outcome.PASSED, Outcome.NOT_EVALUATED]
    lower = {Gate.VULNERABILITIES: lenient, Gate.PROVENANCE: lenient}
    return {
        "staging": EnvironmentSettings(policy=Policy(require=lower)),
        "production": EnvironmentSettings(approval=ApprovalSettings(required=True)),
    }


def _default_hosts() -> list[GitHostSettings]:
    return [EmbeddedHostSettings(kind="embedded")]


class Settings(SettingsModel):
    """Everything under ``mlPlatform:``."""

    home: Path = Field(default=Path(".mlplatform"), validate_default=True)
    backend: BackendSettings = Field(default_factory=BackendSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    ingress: IngressSettings = Field(default_factory=IngressSettings)
    nats: NatsSettings = Field(default_factory=NatsSettings)
    serving: ServingSettings = Field(default_factory=ServingSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    permissions: PermissionSettings = Field(default_factory=PermissionSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    environments: dict[Annotated[str, Field(pattern=ENVIRONMENT_PATTERN, max_length=63)], EnvironmentSettings] = Field(
        default_factory=_default_environments, min_length=1
    )
    quotas: list[QuotaSettings] = Field(
        default_factory=list, description="What teams may take up; a rollout that would go beyond is refused."
    )
    rollouts: RolloutSettings = Field(default_factory=RolloutSettings)
    batch: BatchSettings = Field(default_factory=BatchSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    git_hosts: list[GitHostSettings] = Field(
        default_factory=_default_hosts,
        min_length=1,
        description="The first one is where repositories go unless somebody names another.",
    )
    templates: list[TemplateSettings] = Field(default_factory=list)
    template_sources: TemplateSourceSettings = Field(default_factory=TemplateSourceSettings)
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    scaffolds: ScaffoldSettings = Field(default_factory=ScaffoldSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    fleet: FleetSettings = Field(default_factory=FleetSettings)
    portal: PortalSettings = Field(default_factory=PortalSettings)
    compliance: ComplianceSettings = Field(default_factory=ComplianceSettings)
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    experiments: ExperimentSettings = Field(default_factory=ExperimentSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    encryption: EncryptionSettings = Field(default_factory=EncryptionSettings)
    secrets: SecretStoreSettings = Field(default_factory=SecretStoreSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings)
    cost: CostSettings = Field(default_factory=CostSettings)
    drift: DriftSettings = Field(default_factory=DriftSettings)
    support: SupportSettings = Field(default_factory=SupportSettings)

    @property
    def trusted(self) -> IdentitySettings:
        """Whose tokens are accepted: those of the configured issuers, and of the embedded portal where it is on."""
        if not self.portal.enabled:
            return self.identity
        return self.identity.model_copy(update={"issuers": [*self.identity.issuers, self.portal.issuer]})

    @property
    def origins(self) -> list[str]:
        """Where pages come from that may call the backend."""
        return [*self.backend.allowed_origins, *(self.portal.origins if self.portal.enabled else [])]

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for key, names in (
            ("gitHosts", [one.name for one in self.git_hosts]),
            ("templates", ["golden-path", *(one.name for one in self.templates)]),
        ):
            if len(names) != len(set(names)):
                raise ValueError(f"{key}: each needs a name of its own, these are {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _quotas_have_a_place(self) -> Self:
        places = [(one.team, one.environment) for one in self.quotas]
        for position, (team, environment) in enumerate(places):
            if environment is not None and environment not in self.environments:
                known = ", ".join(self.environments)
                raise ValueError(f"quotas[{position}]: there is no environment {environment}; configured are {known}")
            if (team, environment) in places[:position]:
                raise ValueError(f"quotas[{position}]: there is one for the same team and environment before it")
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = {
            "backend.port": self.backend.port,
            "ingress.port": self.ingress.port,
            "ingress.adminPort": self.ingress.admin_port,
            "nats.port": self.nats.port,
            **({"portal.port": self.portal.port} if self.portal.enabled else {}),
        }
        if len(set(ports.values())) < len(ports):
            raise ValueError(f"{', '.join(f'{key} {port}' for key, port in ports.items())}: ports must differ")
        return self

    @property
    def base_url(self) -> str:
        """How the backend is reached, without a path or a slash at the end."""
        return (self.backend.base_url or f"http://{self.backend.host}:{self.backend.port}").rstrip("/")

    @property
    def ingress_url(self) -> str:
        """Where model traffic goes in."""
        return f"http://{self.ingress.host}:{self.ingress.port}"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the platform's tables."""
        return self.database.with_password(self.database.url or f"sqlite:///{self.home / 'platform.db'}")

    @property
    def workflows_url(self) -> str:
        """SQLAlchemy URL of the workflow engine's tables."""
        if self.database.workflows_url:
            return self.database.with_password(self.database.workflows_url)
        if self.database.url and not self.database.url.startswith("sqlite"):
            return self.database_url
        return f"sqlite:///{self.home / 'workflows.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI."""
        return self.mlflow.tracking_uri or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    def lake_of(self, environment: str) -> str:
        """Path or URL of an environment's data lake."""
        return self.environments[environment].lake or str(self.home / "lake" / environment)

    @property
    def local_issuer(self) -> str:
        """The embedded issuer's name, which is also where its discovery document is."""
        return f"{self.base_url}{API_PREFIX}/identity"


def load_settings(paths: list[Path] | None, env: Mapping[str, str]) -> Settings:
    """Read, merge and check the configuration files.

    Without ``paths``: those in ``ML_PLATFORM_CONFIG`` (separated like ``PATH``), else ``app-config.yaml`` and
    ``app-config.local.yaml`` of the working folder as far as they exist. ``ML_PLATFORM_HOME`` beats ``home``.

    Raises:
        ConfigError: naming file and key of everything that is wrong.
    """
    section = read_section(paths, env)
    document = dict(section.document)
    if env.get("ML_PLATFORM_HOME"):
        document["home"] = env["ML_PLATFORM_HOME"]
    # The stores first, since what they hold may be wanted everywhere else.
    fetched = SecretResolver(env)
    try:
        stores = SecretStoreSettings.model_validate(document.get("secrets") or {}, context={"secrets": fetched})
        return Settings.model_validate(document, context={"secrets": SecretResolver(env, stores)})
    except ValidationError as error:
        inside = ("secrets",) if error.title == SecretStoreSettings.__name__ else ()
        raise ConfigError([_fault(section, one, inside) for one in error.errors()]) from None


def _fault(section: Section, error: Any, inside: tuple[str, ...] = ()) -> str:
    location = inside + tuple(part for part in error["loc"] if part != "[key]")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"unknown key; accepted here: {', '.join(_accepted(location[:-1])) or 'nothing'}"
    return f"{section.origin(location)}: {section.key(location)}: {message}"


def _accepted(location: tuple[Any, ...]) -> list[str]:
    """Return the keys that are accepted at a place, by walking the published schema."""
    schema = Settings.model_json_schema(by_alias=True)
    node: Any = schema
    for part in location:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node
