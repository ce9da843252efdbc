"""Who a person is to the platform: tokens and the signing key, in files that only the owner can read.

Tokens are kept per platform URL, so that one platform's token is never sent to another.
"""

import json
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlplatform.client.errors import ClientError
from mlplatform.client.tokens import TokenSource, token_source

DEFAULT_URL = "http://127.0.0.1:7070"


class CredentialFault(ClientError):
    """There are no usable credentials, or their file can't be used."""


@dataclass(frozen=True)
class Credentials:
    """A bearer token for one platform; the token never shows in a representation.

    ``source`` gives another token when this one ends; whoever talks for longer asks it.
    """

    token: str
    principal: str | None = None
    expires_at: datetime | None = None
    source: TokenSource | None = None

    def __repr__(self) -> str:
        return f"Credentials(token='***', principal={self.principal!r}, expires_at={self.expires_at!r})"


def default_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return the platform's URL: ``ML_PLATFORM_URL`` or the local default."""
    return environment.get("ML_PLATFORM_URL", "").rstrip("/") or DEFAULT_URL


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where credentials are kept.

    ``ML_PLATFORM_CREDENTIALS`` names the file; else it lies in ``ML_PLATFORM_HOME``; else in the user's configuration
    folder.
    """
    if file := environment.get("ML_PLATFORM_CREDENTIALS"):
        return Path(file)
    if home := environment.get("ML_PLATFORM_HOME"):
        return Path(home) / "credentials.json"
    from platformdirs import user_config_dir

    return Path(user_config_dir("mlplatform")) / "credentials.json"


class CredentialStore:
    """The credentials file, written whole or not at all, with mode 0600."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path or default_path(environment)
        self._environment = environment
        self._warn = warn

    @property
    def signing_key(self) -> Path:
        """Where the Ed25519 key of this profile lies."""
        return self.path.with_name("signing-key.pem")

    def find(self, url: str) -> Credentials | None:
        """Return the token of this process (see :mod:`mlplatform.client.tokens`), or what was saved for ``url``, or nothing.

        Raises:
            CredentialFault: the file can't be read or is not ours.
            TokenFault: the process should have a token and has none.
        """
        if source := token_source(self._environment):
            return Credentials(source(), source=source)
        saved = self._load().get("platforms", {}).get(url.rstrip("/"))
        if not isinstance(saved, dict) or not isinstance(saved.get("accessToken"), str):
            return None
        return Credentials(saved["accessToken"], saved.get("principal"), _time(saved.get("expiresAt")))

    def require(self, url: str) -> Credentials:
        """Return credentials for ``url``.

        Raises:
            CredentialFault: there are none, or they have expired.
        """
        fix = "sign in with `platform login`, or set ML_PLATFORM_TOKEN"
        found = self.find(url)
        if found is None:
            raise CredentialFault(f"you are not signed in to {url}", fix=fix)
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            raise CredentialFault(f"your sign-in to {url} expired at {found.expires_at:%Y-%m-%d %H:%M} UTC", fix=fix)
        return found

    def save(self, url: str, credentials: Credentials) -> None:
        """Keep the token for ``url`` beside those for other platforms."""
        document = self._load()
        expires = credentials.expires_at.isoformat() if credentials.expires_at else None
        document.setdefault("platforms", {})[url.rstrip("/")] = {
            "accessToken": credentials.token,
            "principal": credentials.principal,
            "expiresAt": expires,
        }
        self._write(document)

    def _load(self) -> dict[str, Any]:
        try:
            mode = self.path.stat().st_mode
            if stat.S_IMODE(mode) & 0o077:
                self.path.chmod(0o600)
                self._warn(f"{self.path} could be read by others (mode {stat.S_IMODE(mode):o}); it is 600 now")
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CredentialFault(f"{self.path} can't be read: {error.strerror}") from error
        except ValueError as error:
            fix = "remove the file and sign in again with `platform login`"
            raise CredentialFault(f"{self.path} is damaged", fix=fix) from error
        return document if isinstance(document, dict) else {}

    def _write(self, document: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp makes the file with mode 0600, so the token is at no moment readable by others.
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".credentials-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump(document, stream, indent=2)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(temporary).replace(self.path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise CredentialFault(f"{self.path} can't be written: {error.strerror}") from error


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
