"""Settings of key-encryption keys and of the stores that secrets are fetched from."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from backend.core.config_base import SettingsModel
from backend.core.secrets import Secret

_ADDRESS = r"^https?://[^\s@]+$"
_GCP_KEY = r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"


class LocalKeySettings(SettingsModel):
    """A key-encryption key in a file that is made on first use."""

    kind: Literal["local"]
    path: Path | None = Field(default=None, description="HOME/encryption/key if null.")


class AwsKmsSettings(SettingsModel):
    """A key in AWS KMS, with boto3's own search for credentials."""

    kind: Literal["aws-kms"]
    key_id: str = Field(min_length=1, description="Id, ARN or alias of a symmetric key.")
    region: str | None = None
    endpoint: str | None = Field(default=None, pattern=_ADDRESS, description="Another endpoint than the region's.")


class GcpKmsSettings(SettingsModel):
    """A key in Google Cloud KMS."""

    kind: Literal["gcp-kms"]
    key: str = Field(pattern=_GCP_KEY, description="projects/P/locations/L/keyRings/R/cryptoKeys/K")
    token: Secret | None = Field(default=None, description="Access token; the metadata server's if null.")
    endpoint: str = Field(default="https://cloudkms.googleapis.com", pattern=_ADDRESS)
    metadata: str = Field(
        default="http://metadata.google.internal", pattern=_ADDRESS, description="The metadata server."
    )


class VaultTransitSettings(SettingsModel):
    """A key of Vault's Transit engine."""

    kind: Literal["vault-transit"]
    address: str = Field(pattern=_ADDRESS)
    key: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", description="Name of the key.")
    mount: str = Field(default="transit", pattern=r"^[A-Za-z0-9][\w./-]*$")
    token: Secret


KeySettings = Annotated[
    LocalKeySettings | AwsKmsSettings | GcpKmsSettings | VaultTransitSettings, Field(discriminator="kind")
]


class EncryptionSettings(SettingsModel):
    """The key that wraps all data keys."""

    key: KeySettings = Field(default_factory=lambda: LocalKeySettings(kind="local"))
    former_keys: list[KeySettings] = Field(
        default_factory=list,
        description="Keys that `key` was before; needed until `platform keys rotate` has wrapped everything anew.",
    )


class VaultStoreSettings(SettingsModel):
    """The Vault that `vault:` references are fetched from."""

    address: str = Field(pattern=_ADDRESS)
    token: Secret = Field(description="env: or file: reference.")


class AwsStoreSettings(SettingsModel):
    """The Secrets Manager that `aws-sm:` references are fetched from, with boto3's own search for credentials."""

    region: str | None = None
    endpoint: str | None = Field(default=None, pattern=_ADDRESS)


class GcpStoreSettings(SettingsModel):
    """The Secret Manager that `gcp-sm:` references are fetched from."""

    token: Secret | None = Field(default=None, description="Access token; the metadata server's if null.")
    endpoint: str = Field(default="https://secretmanager.googleapis.com", pattern=_ADDRESS)
    metadata: str = Field(
        default="http://metadata.google.internal", pattern=_ADDRESS, description="The metadata server."
    )


class SecretStoreSettings(SettingsModel):
    """Where references to secrets lead; their own tokens are env: or file: references."""

    vault: VaultStoreSettings | None = None
    aws: AwsStoreSettings = Field(default_factory=AwsStoreSettings)
    gcp: GcpStoreSettings = Field(default_factory=GcpStoreSettings)
