"""A key in AWS KMS (https://docs.aws.amazon.com/kms/latest/APIReference/), through boto3 and its own search for credentials."""

from base64 import b64encode
from typing import Any

from mlplatform.crypto.errors import KeyUnavailable
from mlplatform.crypto.providers.base import TIMEOUT, wrong

_SETTING = "mlPlatform.encryption.key"
_NOT_ITS_OWN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class AwsKmsKey:
    """A symmetric key by id, ARN or alias. The associated data is its encryption context, so CloudTrail shows the use."""

    def __init__(self, key_id: str, *, region: str | None = None, endpoint: str | None = None) -> None:
        self._key_id, self._region, self._endpoint = key_id, region, endpoint
        self.name = f"aws-kms:{key_id}"
        self._client: Any = None

    def wrap(self, key: bytes, associated_data: bytes) -> bytes:
        """Encrypt a data key."""
        answer = self._asked("encrypt", Plaintext=key, EncryptionContext=_context(associated_data))
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """Decrypt a data key."""
        answer = self._asked("decrypt", CiphertextBlob=wrapped, EncryptionContext=_context(associated_data))
        key: bytes = answer["Plaintext"]
        return key

    def _asked(self, operation: str, **arguments: Any) -> Any:
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise KeyUnavailable(
                f"{self.name} needs boto3, which is not installed", "Install `ml-golden-path[aws]`."
            ) from None
        try:
            return getattr(self._kms(), operation)(KeyId=self._key_id, **arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _NOT_ITS_OWN:
                raise wrong(self.name, _SETTING) from None
            fix = f"See that {_SETTING} names a key that there is, and that the platform's role may use it."
            raise KeyUnavailable(f"the key {self.name} can't be used: {code}", fix) from None
        except BotoCoreError as error:
            fix = f"See to the credentials and the region, and that {_SETTING} is right."
            raise KeyUnavailable(f"the key {self.name} can't be reached: {type(error).__name__}", fix) from None

    def _kms(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"max_attempts": 3})
            self._client = boto3.client("kms", region_name=self._region, endpoint_url=self._endpoint, config=config)
        return self._client


def _context(associated_data: bytes) -> dict[str, str]:
    return {"ml-platform": b64encode(associated_data).decode()}
