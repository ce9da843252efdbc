"""Bodies of the identity routes."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from backend.core.schemas import Payload, PlainText, Schema
from backend.identity.claims import REPOSITORY_PATTERN
from backend.identity.principal import PrincipalKind
from mlplatform.spec.model import EntityRef

RepositoryId = Annotated[
    str,
    Field(
        pattern=REPOSITORY_PATTERN,
        max_length=190,
        description="Repository id: `host/org/name`, or `local/name`.",
        examples=["github.com/acme/wine"],
    ),
]


class TokenRequest(Payload):
    """Who wants a token, and the proof that they may read the platform's login secret.

    With both, it is a token of the repository's CI in a job that the user started.
    """

    secret: PlainText = Field(min_length=1, max_length=200, description="Contents of HOME/identity/login-secret.")
    user: EntityRef | None = Field(default=None, description="User to sign in.", examples=["user:default/ada"])
    repository: RepositoryId | None = Field(default=None, description="Repository to sign in, as CI does.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.user is None and self.repository is None:
            raise ValueError("give `user`, `repository`, or both")
        return self


class TokenOut(Schema):
    """A token for ``Authorization: Bearer``."""

    access_token: str
    expires_at: datetime


class PrincipalOut(Schema):
    """Who the caller is."""

    kind: PrincipalKind
    ref: str
    groups: list[str]
    issuer: str
    expires_at: datetime
    on_behalf_of: str | None = Field(default=None, description="Whose push or click started the CI job that this is.")
    run: str | None = Field(default=None, description="Address of the CI job that this is.")
    via: str | None = Field(default=None, description="Service that the user acts through, such as a Backstage plugin.")


class SigningKeyRequest(Payload):
    """A public key that shall speak for the caller."""

    public_key: str = Field(max_length=44, description="Base64 of the 32 raw bytes of an Ed25519 public key.")
    proof: str = Field(
        max_length=88,
        description="Base64 of the key's signature over `ml-platform signing key v1`, the caller's ref and the repository "
        "(or nothing), each followed by a line feed.",
    )
    repository: RepositoryId | None = Field(
        default=None, description="The only repository it may speak for; all of the caller's if null."
    )

    @field_validator("public_key")
    @classmethod
    def _is_key(cls, value: str) -> str:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32 or base64.b64encode(raw).decode() != value:
            raise ValueError("must be Base64 of the 32 raw bytes of an Ed25519 public key")
        return value

    @field_validator("proof")
    @classmethod
    def _is_signature(cls, value: str) -> str:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 64:
            raise ValueError("must be Base64 of the 64 bytes of an Ed25519 signature")
        return value


class SigningKeyOut(Schema):
    """A binding of a key to a principal."""

    key_id: str = Field(description="SHA-256 of the raw public key.")
    principal: str
    repository: str | None
    created_at: datetime
    revoked_at: datetime | None = None


class OpenIdConfiguration(Schema):
    """The embedded issuer's discovery document (OpenID Connect Discovery 1.0)."""

    model_config = ConfigDict(alias_generator=None, extra="allow")

    issuer: str
    jwks_uri: str


class JsonWebKeySet(Schema):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]
