"""Checkpoints of the audit log (C2SP tlog-checkpoint, https://c2sp.org/tlog-checkpoint): how many events, and the tree's root.

The note has one line more: ``chain``, the hash that the log's chain ends with there.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from evidence.errors import EvidenceError
from evidence.merkle import HASH_BYTES
from evidence.notes import VerifierKey, note_of, open_note

_CHAIN = "chain "
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log was when it had ``size`` events."""

    origin: str
    size: int
    root: bytes
    chain: str

    @property
    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\n{_CHAIN}{self.chain}\n"

    def note(self, key: VerifierKey, signature: bytes) -> str:
        """Return it as a note, with the signature that was made over :attr:`text`."""
        return note_of(self.text, key.raw, signature)


def sign_checkpoint(checkpoint: Checkpoint, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """Return the checkpoint as a signed note."""
    return checkpoint.note(key, sign(checkpoint.text.encode()))


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint that the key signed.

    Raises:
        EvidenceError: it is none, or of another log.
    """
    lines = open_note(note, key).split("\n")[:-1]
    if len(lines) != 4 or not lines[3].startswith(_CHAIN):
        raise EvidenceError("it is no checkpoint: origin, size, root and chain are the lines of one")
    origin, size, root, chain = *lines[:3], lines[3].removeprefix(_CHAIN)
    if origin != key.origin:
        raise EvidenceError(f"it is a checkpoint of {origin}, not of {key.origin}")
    try:
        raw = base64.b64decode(root, validate=True)
    except binascii.Error:
        raw = b""
    if not _SIZE.fullmatch(size) or len(raw) != HASH_BYTES or not _HEX.fullmatch(chain):
        raise EvidenceError("it is no checkpoint: its size, root or chain is malformed")
    return Checkpoint(origin, int(size), raw, chain)
