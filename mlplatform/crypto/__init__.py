"""Envelope encryption: data keys encrypt data, a key-encryption key wraps data keys, and every ciphertext is bound to its use.

Tink's AEAD (AES-256-GCM) does the encrypting. The key-encryption key is in a local file, AWS KMS, Google Cloud KMS or Vault
Transit (:mod:`mlplatform.crypto.providers`).

>>> import tempfile, pathlib
>>> from mlplatform.crypto.providers.local import LocalKey
>>> envelope = Envelope(LocalKey(pathlib.Path(tempfile.mkdtemp()) / "key"))
>>> use = Binding("payload-sample", "production/wine")
>>> envelope.open(envelope.seal(b"alcohol 13.2", use), use)
b'alcohol 13.2'
"""

from mlplatform.crypto.binding import Binding
from mlplatform.crypto.envelope import DataKey, Envelope, HashKey, Recipient, WrappedKey
from mlplatform.crypto.errors import CiphertextInvalid, CryptoError, KeyUnavailable, WrongKey

__all__ = [
    "Binding",
    "CiphertextInvalid",
    "CryptoError",
    "DataKey",
    "Envelope",
    "HashKey",
    "KeyUnavailable",
    "Recipient",
    "WrappedKey",
    "WrongKey",
]
