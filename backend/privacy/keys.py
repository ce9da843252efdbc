"""Data keys in the database: one that seals for each use, those before it that still open, and what destroying one means."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from sqlalchemy.orm import Session

from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.config_encryption import KeySettings
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, Unavailable
from backend.core.ids import new_id
from backend.privacy import key_repository as repository
from backend.privacy.models import DataKeyRow, KeyState
from mlplatform.crypto import Binding, CryptoError, DataKey, Envelope, HashKey, Recipient, WrappedKey
from mlplatform.crypto.providers.aws import AwsKmsKey
from mlplatform.crypto.providers.base import KeyProvider
from mlplatform.crypto.providers.gcp import GcpAccess, GcpKmsKey
from mlplatform.crypto.providers.local import LocalKey
from mlplatform.crypto.providers.vault import VaultTransitKey

SUBJECT_INDEX = "subject-index"
"""The key under which people are hashed. It is wrapped anew, but never replaced: hashes of two keys can't be compared."""
SAMPLE_SPOOL = "sample-spool"
"""The pair of keys that model servers seal their samples for."""
SAMPLES = "payload-sample"
SUBJECT = "subject"
"""Keys of one person each, for data that can't be removed where it lies."""
_MOST_CACHED = 1024

Loaded = TypeVar("Loaded")


class EncryptionUnavailable(Unavailable):
    """A key is not to be had now, or is not the right one."""

    slug: ClassVar[str] = "encryption-unavailable"
    title: ClassVar[str] = "Encryption unavailable"


class KeyDestroyed(Conflict):
    """The data can't be read any more: its key was destroyed on purpose."""

    slug: ClassVar[str] = "key-destroyed"
    title: ClassVar[str] = "Key destroyed"


class DataKeys:
    """See the module's docstring. Keys that were unwrapped stay in memory, so a key service is asked once for each."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self.envelope = make_envelope(settings)
        self._cache: OrderedDict[str, Any] = OrderedDict()
        self._guard = threading.Lock()

    def active(self, session: Session, purpose: str, subject: str = "") -> tuple[str, DataKey]:
        """Return the key that seals for a use now, and its id; the first one is made here.

        Raises:
            EncryptionUnavailable: the key-encryption key can't be used.
        """
        row = self._row(session, purpose, subject, self.envelope.new_key)
        return row.id, self._loaded(row, self.envelope.load_key)

    def load(self, session: Session, key_id: str) -> DataKey:
        """Return a key by its id.

        Raises:
            KeyDestroyed: what it has sealed is gone for good.
            EncryptionUnavailable: the key-encryption key can't be used.
        """
        return self._loaded(repository.get(session, key_id), self.envelope.load_key)

    def subject_index(self, session: Session) -> HashKey:
        """Return the key that people are hashed with."""
        row = self._row(session, SUBJECT_INDEX, "", self.envelope.new_hash_key)
        return self._loaded(row, self.envelope.load_hash_key)

    def recipient(self, session: Session) -> tuple[str, Recipient]:
        """Return the pair of keys that model servers seal for now, and its id."""
        row = self._row(session, SAMPLE_SPOOL, "", self.envelope.new_recipient)
        return row.id, self._loaded(row, self.envelope.load_recipient)

    def load_recipient(self, session: Session, key_id: str) -> Recipient:
        """Return a pair of keys by its id; raises as :meth:`load` does."""
        return self._loaded(repository.get(session, key_id), self.envelope.load_recipient)

    def retire(self, session: Session, purpose: str) -> str | None:
        """Have the next :meth:`active` make a new key; return the id of the one that seals nothing from now on."""
        row = repository.active(session, purpose, "")
        if row is None:
            return None
        row.state = KeyState.RETIRED
        session.flush()
        return row.id

    def destroy(self, session: Session, row: DataKeyRow) -> None:
        """Forget a key for good: whatever it has sealed can't be read any more, wherever a copy of it is."""
        row.state, row.wrapped, row.destroyed_at = KeyState.DESTROYED, None, self._clock.now()
        with self._guard:
            self._cache.pop(row.id, None)
        session.flush()

    def rewrap(self, session: Session, row: DataKeyRow) -> None:
        """Wrap a key with the present key-encryption key."""
        if row.wrapped is None:
            return
        with _told():
            wrapped = self.envelope.rewrap(WrappedKey(row.kek, row.wrapped), _binding(row.id))
        row.kek, row.wrapped = wrapped.kek, wrapped.wrapped
        session.flush()

    def _row(
        self, session: Session, purpose: str, subject: str, make: Callable[[Binding], tuple[Any, WrappedKey]]
    ) -> DataKeyRow:
        row = repository.active(session, purpose, subject)
        if row is None:
            lock_for_transaction(session, f"data-key:{purpose}:{subject}")
            row = repository.active(session, purpose, subject)
        if row is None:
            id = new_id()
            with _told():
                _, wrapped = make(_binding(id))
            row = DataKeyRow(
                id=id,
                purpose=purpose,
                subject=subject,
                kek=wrapped.kek,
                wrapped=wrapped.wrapped,
                state=KeyState.ACTIVE,
                created_at=self._clock.now(),
            )
            session.add(row)
            session.flush()
        return row

    def _loaded(self, row: DataKeyRow, load: Callable[[WrappedKey, Binding], Loaded]) -> Loaded:
        if row.wrapped is None:
            raise KeyDestroyed("this can't be read any more: its key was destroyed")
        with self._guard:
            if (found := self._cache.get(row.id)) is not None:
                self._cache.move_to_end(row.id)
                return found  # type: ignore[no-any-return]
        with _told():
            loaded = load(WrappedKey(row.kek, row.wrapped), _binding(row.id))
        with self._guard:
            self._cache[row.id] = loaded
            while len(self._cache) > _MOST_CACHED:
                self._cache.popitem(last=False)
        return loaded


def make_envelope(settings: Settings) -> Envelope:
    """Return the envelope with the keys that the settings name."""

    def provider(key: KeySettings) -> KeyProvider:
        match key.kind:
            case "local":
                path = key.path or settings.home / "encryption" / "key"
                return LocalKey(path, name="local" if key.path is None else f"local:{path.name}")
            case "aws-kms":
                return AwsKmsKey(key.key_id, region=key.region, endpoint=key.endpoint)
            case "gcp-kms":
                token = key.token.get_secret_value() if key.token else None
                return GcpKmsKey(key.key, GcpAccess(token, metadata=key.metadata), endpoint=key.endpoint)
            case "vault-transit":
                return VaultTransitKey(key.address, key.key, key.token.get_secret_value(), mount=key.mount)

    encryption = settings.encryption
    return Envelope(provider(encryption.key), [provider(former) for former in encryption.former_keys])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CryptoError as error:
        raise EncryptionUnavailable(error.message, fix=error.fix) from None


def _binding(key_id: str) -> Binding:
    return Binding("data-key", key_id)
