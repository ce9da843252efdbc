"""A key in Google Cloud KMS over its REST API (https://cloud.google.com/kms/docs/reference/rest/v1)."""

import time
from base64 import b64decode, b64encode

import httpx

from mlplatform.crypto.errors import KeyUnavailable
from mlplatform.crypto.providers.base import TIMEOUT, asked

ENDPOINT = "https://cloudkms.googleapis.com"
METADATA = "http://metadata.google.internal"
_SETTING = "mlPlatform.encryption.key"
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_EARLY = 60.0


class GcpAccess:
    """Access tokens: a given one, or those of the machine's service account from the metadata server."""

    def __init__(self, token: str | None, *, metadata: str = METADATA) -> None:
        self._given, self._metadata = token, metadata
        self._token, self._until = "", 0.0

    def headers(self) -> dict[str, str]:
        """Return the header that says who asks.

        Raises:
            KeyUnavailable: there is no metadata server here.
        """
        return {"Authorization": f"Bearer {self._given or self._fetched()}"}

    def _fetched(self) -> str:
        if time.monotonic() < self._until:
            return self._token
        try:
            url = self._metadata + _TOKEN_PATH
            answer = httpx.get(url, headers={"Metadata-Flavor": "Google"}, timeout=TIMEOUT).raise_for_status().json()
            self._token = str(answer["access_token"])
            self._until = time.monotonic() + float(answer["expires_in"]) - _EARLY
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            fix = "Run on Google Cloud with a service account, or give `token`."
            raise KeyUnavailable("there is no access token for Google Cloud", fix) from None
        return self._token


class GcpKmsKey:
    """A symmetric key: ``projects/P/locations/L/keyRings/R/cryptoKeys/K``."""

    def __init__(self, key: str, access: GcpAccess, *, endpoint: str = ENDPOINT) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/{key}"
        self._access = access
        self.name = f"gcp-kms:{key}"

    def wrap(self, key: bytes, associated_data: bytes) -> bytes:
        """Encrypt a data key."""
        return self._asked("encrypt", "plaintext", key, associated_data, "ciphertext")

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """Decrypt a data key."""
        return self._asked("decrypt", "ciphertext", wrapped, associated_data, "plaintext")

    def _asked(self, verb: str, member: str, value: bytes, associated_data: bytes, wanted: str) -> bytes:
        body = {
            member: b64encode(value).decode(),
            "additionalAuthenticatedData": b64encode(associated_data).decode(),
        }
        answer = asked(self.name, _SETTING, f"{self._url}:{verb}", body, self._access.headers())
        return b64decode(str(answer.get(wanted, "")))
