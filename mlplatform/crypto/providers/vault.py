"""A key of Vault's Transit engine over its HTTP API (https://developer.hashicorp.com/vault/api-docs/secret/transit)."""

from base64 import b64decode, b64encode
from typing import Any

from mlplatform.crypto.errors import KeyUnavailable
from mlplatform.crypto.providers.base import asked

_SETTING = "mlPlatform.encryption.key"


class VaultTransitKey:
    """A named key (aes256-gcm96, the default type) with associated data, which Vault knows from 1.13 on."""

    def __init__(self, address: str, key: str, token: str, *, mount: str = "transit") -> None:
        self._url, self._key, self._token = f"{address.rstrip('/')}/v1/{mount}", key, token
        self.name = f"vault-transit:{mount}/{key}"

    def wrap(self, key: bytes, associated_data: bytes) -> bytes:
        """Encrypt a data key."""
        data = self._asked("encrypt", {"plaintext": b64encode(key).decode()}, associated_data)
        return str(data["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """Decrypt a data key."""
        data = self._asked("decrypt", {"ciphertext": wrapped.decode("ascii", "replace")}, associated_data)
        return b64decode(str(data["plaintext"]))

    def _asked(self, verb: str, body: dict[str, Any], associated_data: bytes) -> dict[str, Any]:
        body["associated_data"] = b64encode(associated_data).decode()
        url = f"{self._url}/{verb}/{self._key}"
        data = asked(self.name, _SETTING, url, body, {"X-Vault-Token": self._token}).get("data")
        if not isinstance(data, dict) or not {"ciphertext", "plaintext"} & data.keys():
            raise KeyUnavailable(f"{self.name} gives an answer that is none of Transit's", f"Check {_SETTING}.address.")
        return data
