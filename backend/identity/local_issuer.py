"""The embedded issuer: mints tokens for whoever can read a secret file on the platform's machine."""

import contextlib
import hmac
import os
import secrets
import stat
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 -- RFC 9068: an access token says so, and no other token can be passed off as one
KEY_FILE = "signing-key.pem"
SECRET_FILE = "login-secret"  # noqa: S105 -- a file name


class LocalIssuer:
    """Signs tokens with a key of its own, kept in a folder that only the platform's user can read."""

    def __init__(self, folder: Path, *, issuer: str, audience: str, lifetime: timedelta) -> None:
        self.issuer, self.audience, self.lifetime = issuer, audience, lifetime
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.secret_file = folder / SECRET_FILE
        pem = _read_or_create(folder / KEY_FILE, lambda: ECKey.generate_key("P-256", private=True).as_pem(private=True))
        self._key = ECKey.import_key(pem)
        self._key.ensure_kid()
        self._secret = _read_or_create(self.secret_file, lambda: secrets.token_urlsafe(32).encode() + b"\n")

    def public_keys(self) -> dict[str, Any]:
        """Return the JSON Web Key Set to verify tokens with."""
        key = self._key.as_dict(private=False)
        return {"keys": [{**key, "use": "sig", "alg": ALGORITHM}]}

    def key_set(self) -> KeySet:
        """Return the same for our own verification."""
        return KeySet([self._key])

    def is_secret(self, secret: str) -> bool:
        """Say whether this is the contents of the secret file, in constant time."""
        return hmac.compare_digest(secret.strip().encode(), self._secret.strip())

    def mint(
        self, subject: str, groups: list[str], now: datetime, *, on_behalf_of: str | None = None
    ) -> tuple[str, datetime]:
        """Return a token for a subject, and when it ends."""
        expires = now + self.lifetime
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "groups": groups,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": secrets.token_hex(8),
        }
        if on_behalf_of is not None:
            claims["act"] = {"sub": on_behalf_of}  # RFC 8693, section 4.1
        header = {"alg": ALGORITHM, "kid": self._key.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, self._key, [ALGORITHM]), expires.replace(microsecond=0)


def _read_or_create(path: Path, make: Any) -> bytes:
    """Return a file's bytes; make it with mode 0600 if it isn't there. Two processes at once get the same."""
    if not path.exists():
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(make())
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionError(f"{path} may be read by others, so it may be known: delete it to get a new one")
    return path.read_bytes()
