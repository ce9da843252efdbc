"""Secrets by reference: what stands in the settings is where a secret is, and it is fetched once, at the start.

``env:NAME``, ``file:/absolute/path``, ``vault:MOUNT/PATH#KEY`` (KV version 2), ``aws-sm:NAME`` or ``aws-sm:NAME#KEY``, and
``gcp-sm:projects/P/secrets/S`` with ``/versions/V`` and ``#KEY`` where wanted. ``#KEY`` picks a member of a secret that is a
JSON object. No message ever holds a value.
"""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import httpx
from pydantic import BeforeValidator, SecretStr, ValidationInfo

from mlplatform.crypto.errors import CryptoError
from mlplatform.crypto.providers.gcp import GcpAccess

if TYPE_CHECKING:
    from backend.core.config_encryption import SecretStoreSettings

_REFERENCE = re.compile(r"^(env|file|vault|aws-sm|gcp-sm):(?P<place>\S+)$")
_TIMEOUT = 10.0
_STORES = "mlPlatform.secrets"


class SecretResolver:
    """Fetches what references point at; each once."""

    def __init__(self, env: Mapping[str, str], stores: "SecretStoreSettings | None" = None) -> None:
        self._env, self._stores = env, stores
        self._known: dict[str, str] = {}

    def resolve(self, reference: str) -> str:
        """Return the secret behind a reference.

        Raises:
            ValueError: it can't be had; the message says why and what to do, and holds no secret.
        """
        if reference not in self._known:
            kind, _, place = reference.partition(":")
            fetch = {
                "env": self._of_env,
                "file": self._of_file,
                "vault": self._of_vault,
                "aws-sm": self._of_aws,
                "gcp-sm": self._of_gcp,
            }[kind]
            try:
                self._known[reference] = fetch(place)
            except ValueError as error:
                raise ValueError(f"{reference}: {error}") from None
        return self._known[reference]

    def _of_env(self, name: str) -> str:
        if not self._env.get(name):
            raise ValueError(f"the environment variable {name} is not set")
        return self._env[name]

    def _of_file(self, name: str) -> str:
        path = Path(name).expanduser()
        if not path.is_absolute():
            raise ValueError("write an absolute path")
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file can't be read: {getattr(error, 'strerror', None) or 'no text'}") from None
        if not text:
            raise ValueError("the file is empty")
        return text

    def _of_vault(self, place: str) -> str:
        path, key = _parts(place)
        mount, _, name = path.partition("/")
        vault = self._stores.vault if self._stores else None
        if vault is None:
            raise ValueError(f"there is no Vault to ask; set {_STORES}.vault.address and token")
        if not name or key is None:
            raise ValueError("write vault:MOUNT/PATH#KEY")
        url = f"{vault.address.rstrip('/')}/v1/{quote(mount)}/data/{quote(name)}"
        answer = _asked(f"Vault ({_STORES}.vault)", url, {"X-Vault-Token": vault.token.get_secret_value()})
        try:
            members = answer["data"]["data"]
        except (KeyError, TypeError):
            raise ValueError("Vault's answer is none of a KV version 2 engine") from None
        return _member(members, key)

    def _of_aws(self, place: str) -> str:
        name, key = _parts(place)
        try:
            import boto3
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise ValueError("needs boto3, which is not installed; install `ml-golden-path[aws]`") from None
        aws = self._stores.aws if self._stores else None
        region, endpoint = (aws.region, aws.endpoint) if aws else (None, None)
        try:
            client = boto3.client("secretsmanager", region_name=region, endpoint_url=endpoint)
            text = client.get_secret_value(SecretId=name).get("SecretString")
        except ClientError as error:
            raise ValueError(f"AWS Secrets Manager answers {error.response.get('Error', {}).get('Code')}") from None
        except BotoCoreError as error:
            raise ValueError(f"AWS Secrets Manager can't be asked: {type(error).__name__}") from None
        if not isinstance(text, str):
            raise ValueError("the secret is binary; only text is taken")
        return _picked(text, key)

    def _of_gcp(self, place: str) -> str:
        name, key = _parts(place)
        if not re.fullmatch(r"projects/[^/]+/secrets/[^/]+(/versions/[^/]+)?", name):
            raise ValueError("write gcp-sm:projects/PROJECT/secrets/NAME, with /versions/N if not the latest is meant")
        version = name if "/versions/" in name else f"{name}/versions/latest"
        gcp = self._stores.gcp if self._stores else None
        endpoint = gcp.endpoint if gcp else "https://secretmanager.googleapis.com"
        token = gcp.token.get_secret_value() if gcp and gcp.token else None
        try:
            headers = GcpAccess(token, **({"metadata": gcp.metadata} if gcp else {})).headers()
        except CryptoError as error:
            raise ValueError(f"{error.message}; {error.fix}") from None
        answer = _asked("Google Secret Manager", f"{endpoint.rstrip('/')}/v1/{version}:access", headers)
        try:
            text = base64.b64decode(answer["payload"]["data"]).decode()
        except (KeyError, TypeError, ValueError):
            raise ValueError("the answer holds no text") from None
        return _picked(text, key)


def is_reference(value: object) -> bool:
    """Say whether a setting's value is a reference to a secret."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def _resolved(value: Any, info: ValidationInfo) -> Any:
    if not is_reference(value):
        return value
    resolver = (info.context or {}).get("secrets") or SecretResolver(os.environ)
    return resolver.resolve(value)


Secret = Annotated[SecretStr, BeforeValidator(_resolved)]
"""A setting that is a secret: a reference is replaced by what it points at, and neither is ever printed."""


def _parts(place: str) -> tuple[str, str | None]:
    path, hash, key = place.partition("#")
    return path, key if hash else None


def _picked(text: str, key: str | None) -> str:
    if key is None:
        return text
    try:
        members = json.loads(text)
    except ValueError:
        raise ValueError(f"the secret is no JSON object, so it has no member {key}") from None
    return _member(members, key)


def _member(members: Any, key: str) -> str:
    value = members.get(key) if isinstance(members, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"the secret has no text under {key}")
    return value


def _asked(what: str, url: str, headers: dict[str, str]) -> Any:
    try:
        answer = httpx.get(url, headers=headers, timeout=_TIMEOUT)
        if answer.is_success:
            return answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"{what} can't be asked: {type(error).__name__}") from None
    raise ValueError(f"{what} answers {answer.status_code}; see that it is there and that the platform may read it")
