"""Signed notes (C2SP signed-note, https://c2sp.org/signed-note) with Ed25519, and the keys that verify them.

A note is text that ends with a newline, an empty line, and a line for each signature:
``— <key name> <Base64 of four bytes that name the key, and the signature>``.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from evidence.errors import EvidenceError

_ED25519 = b"\x01"
_KEY_BYTES = 32
_MARK = "\u2014 "
_MOST_BYTES = 1 << 20
_MOST_SIGNATURES = 100
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a platform's audit key."""

    raw: bytes

    @property
    def key_id(self) -> str:
        """SHA-256 of the 32 bytes, in hex: how the platform names the key."""
        return sha256(self.raw).hexdigest()

    @property
    def origin(self) -> str:
        """Name of the log that this key signs for; also the name in its notes' signatures."""
        return f"ml-platform/audit/{self.key_id[:16]}"

    @property
    def encoded(self) -> str:
        """The key as other tools for transparency logs want it (C2SP ``vkey``)."""
        named = _named(self.origin, self.raw)
        return f"{self.origin}+{named.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message was made with this key's private half."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_key(text: str) -> VerifierKey:
    """Read a public key: Base64 of its 32 bytes as in the platform's ``audit/key.pub``, a C2SP ``vkey``, or PEM.

    Raises:
        EvidenceError: it is none of these.
    """
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise EvidenceError(
            "this is a private key", "Verify with the public one: audit/key.pub in the platform's home."
        )
    if text.startswith("-----BEGIN"):
        try:
            public = load_pem_public_key(text.encode())
        except (ValueError, TypeError):
            public = None
        if isinstance(public, Ed25519PublicKey):
            return VerifierKey(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    elif (raw := _base64(text)) is not None and len(raw) == _KEY_BYTES:
        return VerifierKey(raw)
    elif text.count("+") >= 2:
        name, named, encoded = text.split("+", 2)  # a name holds no plus sign, Base64 may
        typed = _base64(encoded) or b""
        if typed[:1] == _ED25519 and len(typed) == 1 + _KEY_BYTES and _named(name, typed[1:]).hex() == named:
            return VerifierKey(typed[1:])
    raise EvidenceError("this is no Ed25519 public key", "Give the platform's audit/key.pub, as a file.")


def sign_note(text: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return the text as a note with one signature."""
    return note_of(text, public_key, sign(text.encode()))


def note_of(text: str, public_key: bytes, signature: bytes) -> str:
    """Return the text as a note with a signature that was made before."""
    name = VerifierKey(public_key).origin
    encoded = base64.b64encode(_named(name, public_key) + signature).decode()
    return f"{text}\n{_MARK}{name} {encoded}\n"


def open_note(note: str, key: VerifierKey) -> str:
    """Return what a note says, if the key signed it; signatures of other keys are ignored, as the format asks for.

    Raises:
        EvidenceError: it is no note, or not signed by that key.
    """
    if len(note) > _MOST_BYTES:
        raise EvidenceError("it is too long for a signed note")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise EvidenceError("it is no signed note: it has no signature lines at its end")
    text += "\n"
    if any(ord(letter) < 0x20 and letter != "\n" for letter in note):
        raise EvidenceError("it is no signed note: it holds control characters")
    lines = signatures[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise EvidenceError(f"it has more than {_MOST_SIGNATURES} signatures")
    found = [_signature(line) for line in lines]
    own = [raw[4:] for name, raw in found if name == key.origin and raw[:4] == _named(name, key.raw)]
    if not own:
        raise EvidenceError(f"it is signed by {', '.join(name for name, _ in found)}, not by {key.origin}")
    if not all(key.verifies(text.encode(), signature) for signature in own):
        raise EvidenceError("its signature does not fit its text: it was changed after it was signed")
    return text


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    raw = _base64(encoded)
    if not line.startswith(_MARK) or not _NAME.fullmatch(name) or raw is None or len(raw) < 5:
        raise EvidenceError(f"it is no signed note: {line[:80]!r} is no signature line")
    return name, raw


def _named(name: str, raw: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]


def _base64(text: str) -> bytes | None:
    """Decode, if it is the one spelling of what it stands for."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
