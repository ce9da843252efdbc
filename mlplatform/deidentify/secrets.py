"""Keys for operators, derived from what a reference leads to, so that no two uses share one."""

import hmac
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mlplatform.deidentify.keys import KeyUnavailable, secret_of

MIN_KEY = 16


class Key:
    """A secret; it does not show itself."""

    def __init__(self, secret: bytes) -> None:
        """Take a secret of 16 bytes at least.

        Raises:
            KeyUnavailable: it is shorter, and could be found by trying.
        """
        if len(secret) < MIN_KEY:
            fix = "make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            raise KeyUnavailable(f"a key of {len(secret)} bytes is too short, it needs {MIN_KEY} at least", fix)
        self._secret = secret

    def __repr__(self) -> str:
        return f"Key({self.identity})"

    @property
    def identity(self) -> str:
        """What tells two keys apart and does not give them away."""
        return self.derived("identity").hex()[:16]

    def derived(self, use: str, domain: str = "") -> bytes:
        """Return the 32 bytes for one use and domain (HKDF, RFC 5869)."""
        info = f"mlplatform.deidentify.v1\0{use}\0{domain}".encode()
        return HKDF(SHA256(), 32, salt=None, info=info).derive(self._secret)


def key_from(reference: str) -> Key:
    """Return the key that a reference leads to.

    Raises:
        KeyUnavailable: it leads to none, or to one that is too short.
    """
    return Key(secret_of(reference).encode())


def keyed_digest(key: bytes, value: str) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104)."""
    return hmac.new(key, value.encode("utf-8", "surrogatepass"), sha256).digest()
