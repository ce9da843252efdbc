"""Data keys and what they seal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlplatform.crypto.binding import Binding
from mlplatform.crypto.errors import CiphertextInvalid, WrongKey
from mlplatform.crypto.providers.base import KeyProvider

SETTING = "mlPlatform.encryption"
_MAGIC = b"MLPE\x01"
_DAMAGED = "Restore it from a backup; if it was moved here from elsewhere, open it where it belongs."


@dataclass(frozen=True)
class WrappedKey:
    """A data key as it may be stored: nothing without the key-encryption key of that name."""

    kek: str
    wrapped: bytes


class DataKey:
    """A data key in memory."""

    def __init__(self, primitive: Any) -> None:
        self._primitive = primitive

    def seal(self, data: bytes, binding: Binding) -> bytes:
        """Encrypt; the same data gives another ciphertext each time."""
        sealed: bytes = self._primitive.encrypt(data, binding.encoded())
        return sealed

    def open(self, sealed: bytes, binding: Binding) -> bytes:
        """Decrypt.

        Raises:
            CiphertextInvalid: it was changed, is of another data key, or was sealed for another use.
        """
        from tink import TinkError

        try:
            data: bytes = self._primitive.decrypt(sealed, binding.encoded())
        except TinkError:
            what = f"a ciphertext for {binding.purpose}"
            raise CiphertextInvalid(f"{what} was changed, or was sealed with another key or use", _DAMAGED) from None
        return data


class HashKey:
    """A key for hashes that nobody without it can make or try out."""

    def __init__(self, primitive: Any) -> None:
        self._prf = primitive

    def hashed(self, data: bytes) -> str:
        """Return the keyed hash (HMAC-SHA256) in hex."""
        digest: bytes = self._prf.compute(data, 32)
        return digest.hex()


class Recipient:
    """The private half of a key that others seal for (HPKE, RFC 9180)."""

    def __init__(self, handle: Any) -> None:
        from tink import hybrid, proto_keyset_format
        from tink.proto import hpke_pb2, tink_pb2

        self._decrypt = handle.primitive(hybrid.HybridDecrypt)
        public = proto_keyset_format.serialize_without_secret(handle.public_keyset_handle())
        key = tink_pb2.Keyset.FromString(public).key[0]
        self.public: bytes = hpke_pb2.HpkePublicKey.FromString(key.key_data.value).public_key
        """The X25519 public key: all that senders need, and of no use to whoever wants to read."""
        # Tink's own senders write this in front, so that the key is found; ours need not know Tink.
        self._prefix = b"\x01" + key.key_id.to_bytes(4, "big")

    def open(self, sealed: bytes, binding: Binding) -> bytes:
        """Decrypt what was sealed for this recipient with the binding as HPKE's ``info``.

        Raises:
            CiphertextInvalid: it was changed, or sealed for another recipient or use.
        """
        from tink import TinkError

        try:
            data: bytes = self._decrypt.decrypt(self._prefix + sealed, binding.encoded())
        except TinkError:
            raise CiphertextInvalid(f"this was not sealed for {binding.purpose} here", _DAMAGED) from None
        return data


class Envelope:
    """Seals with the present key-encryption key; opens what it or a former one has wrapped."""

    def __init__(self, present: KeyProvider, former: Sequence[KeyProvider] = ()) -> None:
        self.present = present
        self._by_name = {provider.name: provider for provider in (*former, present)}

    def new_key(self, binding: Binding) -> tuple[DataKey, WrappedKey]:
        """Make a data key, wrapped for that use."""
        from tink import aead

        aead.register()
        handle, wrapped = self._made(aead.aead_key_templates.AES256_GCM, binding)
        return DataKey(handle.primitive(aead.Aead)), wrapped

    def new_hash_key(self, binding: Binding) -> tuple[HashKey, WrappedKey]:
        """Make a key for keyed hashes, wrapped for that use."""
        from tink import prf

        prf.register()
        handle, wrapped = self._made(prf.prf_key_templates.HMAC_SHA256, binding)
        return HashKey(handle.primitive(prf.PrfSet).primary()), wrapped

    def new_recipient(self, binding: Binding) -> tuple[Recipient, WrappedKey]:
        """Make a pair of keys that others seal for with the public one, the private one wrapped for that use."""
        from tink import hybrid

        hybrid.register()
        template = hybrid.hybrid_key_templates.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM
        handle, wrapped = self._made(template, binding)
        return Recipient(handle), wrapped

    def _made(self, template: Any, binding: Binding) -> tuple[Any, WrappedKey]:
        import tink
        from tink import proto_keyset_format

        handle = tink.new_keyset_handle(template)
        wrapped = proto_keyset_format.serialize_encrypted(handle, _Wrapping(self.present), binding.encoded())
        return handle, WrappedKey(self.present.name, wrapped)

    def load_key(self, key: WrappedKey, binding: Binding) -> DataKey:
        """Unwrap a data key.

        Raises:
            WrongKey: its key-encryption key is not configured, or has been replaced by another one under the same name.
            KeyUnavailable: that key is not to be had now.
        """
        from tink import aead

        return DataKey(unwrapped(self.provider(key.kek), key.wrapped, binding).primitive(aead.Aead))

    def load_hash_key(self, key: WrappedKey, binding: Binding) -> HashKey:
        """Unwrap a key for keyed hashes; raises as :meth:`load_key` does."""
        from tink import prf

        prf.register()
        handle = unwrapped(self.provider(key.kek), key.wrapped, binding)
        return HashKey(handle.primitive(prf.PrfSet).primary())

    def load_recipient(self, key: WrappedKey, binding: Binding) -> Recipient:
        """Unwrap the private key of a recipient; raises as :meth:`load_key` does."""
        from tink import hybrid

        hybrid.register()
        return Recipient(unwrapped(self.provider(key.kek), key.wrapped, binding))

    def rewrap(self, key: WrappedKey, binding: Binding) -> WrappedKey:
        """Wrap a data key with the present key-encryption key; what it has sealed stays as it is."""
        from tink import proto_keyset_format

        handle = unwrapped(self.provider(key.kek), key.wrapped, binding)
        wrapped = proto_keyset_format.serialize_encrypted(handle, _Wrapping(self.present), binding.encoded())
        return WrappedKey(self.present.name, wrapped)

    def seal(self, data: bytes, binding: Binding) -> bytes:
        """Encrypt with a data key of its own, which travels wrapped in front: for exports and other lone files."""
        key, wrapped = self.new_key(binding)
        name = wrapped.kek.encode()
        head = len(name).to_bytes(2, "big") + name + len(wrapped.wrapped).to_bytes(4, "big") + wrapped.wrapped
        return _MAGIC + head + key.seal(data, binding)

    def open(self, sealed: bytes, binding: Binding) -> bytes:
        """Decrypt what :meth:`seal` has made.

        Raises:
            CiphertextInvalid: it is none, was changed, or was sealed for another use.
            WrongKey: its key-encryption key is not configured here.
        """
        key, body = _parted(sealed)
        return self.load_key(key, binding).open(body, binding)

    def provider(self, name: str) -> KeyProvider:
        """Return the key-encryption key of that name.

        Raises:
            WrongKey: it is not configured.
        """
        found = self._by_name.get(name)
        if found is None:
            raise WrongKey(
                f"this was encrypted under the key {name}, which is not configured (the present one is {self.present.name})",
                f"List it under {SETTING}.formerKeys until everything is re-encrypted.",
            )
        return found


def unwrapped(provider: KeyProvider, wrapped: bytes, binding: Binding) -> Any:
    """Return the keyset handle that a provider has wrapped.

    Raises:
        WrongKey: it was wrapped by another key, or for another use.
        KeyUnavailable: the provider does not answer.
    """
    from tink import TinkError, aead, proto_keyset_format

    aead.register()
    remote = _Wrapping(provider)
    try:
        return proto_keyset_format.parse_encrypted(wrapped, remote, binding.encoded())
    except TinkError:
        if remote.fault is not None:
            raise remote.fault from None
        raise WrongKey(
            f"the key {provider.name} does not decrypt a data key for {binding.purpose}",
            f"Put the key back that {SETTING}.key named when it was made, or list that one under {SETTING}.formerKeys.",
        ) from None


class _Wrapping:
    """A provider as Tink's remote AEAD; Tink hides what a remote one raises, so it is kept."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self.fault: Exception | None = None

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return self._provider.wrap(plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        from tink import TinkError

        try:
            return self._provider.unwrap(ciphertext, associated_data)
        except Exception as error:
            self.fault = error
            raise TinkError(str(error)) from None


def _parted(sealed: bytes) -> tuple[WrappedKey, bytes]:
    rest = sealed.removeprefix(_MAGIC)
    name, rest = _taken(rest, 2)
    wrapped, body = _taken(rest, 4)
    if len(rest) == len(sealed) or not name or not wrapped:
        raise CiphertextInvalid("this is no encrypted file of the platform, or it was cut off", _DAMAGED)
    return WrappedKey(name.decode("utf-8", "replace"), wrapped), body


def _taken(data: bytes, width: int) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:width], "big")
    whole = len(data) >= width + length
    return (data[width : width + length], data[width + length :]) if whole else (b"", b"")
