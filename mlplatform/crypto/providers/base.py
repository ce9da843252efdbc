"""What is asked of a key-encryption key, wherever it is."""

from typing import Any, Protocol

import httpx

from mlplatform.crypto.errors import CryptoError, KeyUnavailable, WrongKey

TIMEOUT = 10.0


class KeyProvider(Protocol):
    """A key-encryption key. Both calls may go over the network."""

    @property
    def name(self) -> str:
        """What stored data keys call it: it must stay the same when the platform's folder is moved."""
        ...

    def wrap(self, key: bytes, associated_data: bytes) -> bytes:
        """Encrypt a data key.

        Raises:
            KeyUnavailable: the key can't be used now.
        """
        ...

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            WrongKey: it was wrapped by another key or with other associated data.
            KeyUnavailable: the key can't be used now.
        """
        ...


def asked(name: str, setting: str, url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Return the JSON object that a key service answers; what it refuses is told without what was sent.

    Raises:
        WrongKey: it says that the ciphertext is not its own (400).
        KeyUnavailable: it does not answer, or not to this caller.
    """
    try:
        answer = httpx.post(url, json=body, headers=headers, timeout=TIMEOUT)
        document = answer.json() if answer.is_success else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        fix = f"See that it is up and that {setting} has its address."
        raise KeyUnavailable(f"the key {name} can't be reached: {type(error).__name__}", fix) from None
    if answer.status_code == httpx.codes.BAD_REQUEST:
        raise wrong(name, setting)
    if not answer.is_success or not isinstance(document, dict):
        fix = f"See that {setting} names a key that there is and that its credentials may encrypt and decrypt with it."
        raise KeyUnavailable(f"the key {name} can't be used: the service answers {answer.status_code}", fix)
    return document


def wrong(name: str, setting: str) -> CryptoError:
    """Return the error for a data key that another key has wrapped."""
    fix = f"Put the key back that was named by {setting}, or list it under mlPlatform.encryption.formerKeys."
    return WrongKey(f"the key {name} does not decrypt this data key", fix)
