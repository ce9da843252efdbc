"""Ed25519 keys that sign attestations: one file a credentials profile, readable by its owner only."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey  # type: ignore[attr-defined]

PUBLIC_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyUnusable(Exception):
    """A key file that is damaged, of another kind, or readable by others; the message says what to do."""


def possession_text(principal: str, repository: str | None) -> bytes:
    """Return what a key signs to show that whoever binds it to a principal has its private half."""
    return f"ml-platform signing key v1\n{principal}\n{repository or ''}\n".encode()


def key_id(raw: bytes) -> str:
    """Return the id of a public key: SHA-256 of its 32 raw bytes, in hex."""
    return hashlib.sha256(raw).hexdigest()


class PublicKey:
    """An Ed25519 public key by its 32 raw bytes."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != PUBLIC_KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(raw)}")
        self.raw = bytes(raw)
        self.keyid = key_id(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.keyid[:12]}…)"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message was made with this key's private half."""
        try:
            self.as_ssl_key().verify_signature(Signature(self.keyid, signature.hex()), message)
        except (UnverifiedSignatureError, VerificationError):
            return False
        return True

    def as_ssl_key(self) -> SSlibKey:
        """Return the key as securesystemslib's envelopes want it."""
        return SSlibKey(self.keyid, "ed25519", "ed25519", {"public": self.raw.hex()})


class SigningKey:
    """An Ed25519 private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_bytes = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.keyid = key_id(self.public_bytes)

    def __repr__(self) -> str:
        return f"SigningKey({self.keyid[:12]}…)"

    @classmethod
    def generate(cls) -> "SigningKey":
        """Return a new key that lies in memory only."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> "SigningKey":
        """Return the key in that file; make one (file mode 0600, new folders 0700) if there is none.

        Two processes that start at once end up with the same key.

        Raises:
            KeyUnusable: others may read the file, or it does not hold an Ed25519 key.
        """
        if not path.exists():
            _create(path)
        return cls._load(path)

    @classmethod
    def _load(cls, path: Path) -> "SigningKey":
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise KeyUnusable(
                f"{path} may be read by others, so the key may be known: "
                "delete it to get a new one, or `chmod 600` it if you are sure that nobody did"
            )
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise KeyUnusable(f"{path} does not hold a private key in PEM form: delete it to get a new one") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyUnusable(f"{path} holds a key of another kind; an Ed25519 key is needed")
        return cls(private)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return PublicKey(self.public_bytes)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over the message."""
        return self._private.sign(message)

    def as_signer(self) -> CryptoSigner:
        """Return the key as securesystemslib's envelopes want it."""
        return CryptoSigner(self._private, self.public_key.as_ssl_key())


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mode 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(stream.fileno())
        # A hard link fails where a rename would replace: the first process's key stays.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
