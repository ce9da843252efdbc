"""A data key for each person: what it seals may lie where rows can't be removed, since destroying the key erases it there."""

import uuid

from sqlalchemy.orm import Session

from backend.core.errors import InvalidInput
from backend.privacy.keys import SUBJECT, DataKeys
from backend.privacy.subjects.matching import Unsearchable, identifier
from mlplatform.crypto import Binding, CiphertextInvalid

_ID_BYTES = 16


class SubjectKeys:
    """Seals values under the key of the person they are about; a token vault stores what comes out."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    def seal(self, session: Session, subject: str, data: bytes, purpose: str) -> bytes:
        """Encrypt something about a person, who is given by an identifier as in data-subject requests.

        Raises:
            InvalidInput: the identifier could mean several people.
            EncryptionUnavailable: the keys are not to be had.
        """
        try:
            whole, _ = identifier(subject)
        except Unsearchable as error:
            raise InvalidInput(f"the subject {error}") from None
        hashed = self._keys.subject_index(session).hashed(whole.encode())
        key_id, key = self._keys.active(session, SUBJECT, hashed)
        return uuid.UUID(key_id).bytes + key.seal(data, Binding(purpose, key_id))

    def open(self, session: Session, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what :meth:`seal` has made.

        Raises:
            KeyDestroyed: the person was erased.
            InvalidInput: it was changed, or sealed for another purpose.
        """
        if len(sealed) <= _ID_BYTES:
            raise InvalidInput("this was not sealed here")
        key_id = str(uuid.UUID(bytes=sealed[:_ID_BYTES]))
        try:
            return self._keys.load(session, key_id).open(sealed[_ID_BYTES:], Binding(purpose, key_id))
        except CiphertextInvalid as error:
            raise InvalidInput(error.message, fix=error.fix) from None
