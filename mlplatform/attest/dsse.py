"""Signed envelopes (DSSE v1) around statements, on securesystemslib.

>>> from mlplatform.attest.keys import SigningKey
>>> key = SigningKey.generate()
>>> envelope = sign({"_type": "https://in-toto.io/Statement/v1"}, key)
>>> envelope["signatures"][0]["keyid"] == key.keyid
True
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signature  # type: ignore[attr-defined]

from mlplatform.attest.errors import AttestationInvalid
from mlplatform.attest.keys import PublicKey, SigningKey
from mlplatform.attest.statement import (
    MAX_PAYLOAD_BYTES,
    ParsedStatement,
    encode_statement,
    parse_statement,
    strict_json,
)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 16
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_BYTES = 64


def sign(statement: dict[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return the statement in an envelope signed with the key, as JSON data."""
    envelope = Envelope(encode_statement(statement), PAYLOAD_TYPE, {})
    envelope.sign(key.as_signer())
    data: dict[str, Any] = envelope.to_dict()
    return data


def parse_envelope(text: bytes) -> dict[str, Any]:
    """Read an envelope from its JSON text; :func:`verify` looks at what is inside.

    Raises:
        AttestationInvalid: it is not a JSON object.
    """
    envelope = strict_json(text)
    if not isinstance(envelope, dict):
        raise AttestationInvalid("the envelope is not a JSON object")
    return envelope


def verify(envelope: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> tuple[ParsedStatement, str]:
    """Return what the envelope says of a gate and the id of the key that vouches for it.

    Raises:
        AttestationInvalid: with a code of :func:`open_envelope`, or of :func:`~mlplatform.attest.statement.parse_statement`.
    """
    payload, keyid = open_envelope(envelope, keys)
    return parse_statement(payload), keyid


def open_envelope(envelope: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> tuple[bytes, str]:
    """Return the payload and the id of the key that vouches for it, whatever statement it is.

    The payload is looked at only after a signature of one of the given keys has verified. Signatures of other keys beside
    it are ignored, as DSSE asks for; a second one with the same key id is refused.

    Raises:
        AttestationInvalid: with the code ``malformed``, ``wrong_payload_type``, ``unknown_key`` or ``bad_signature``.
    """
    parsed = _parse(envelope)
    known = [keyid for keyid in parsed.signatures if keyid in keys]
    if not known:
        raise AttestationInvalid("none of the signatures is by a known key", code="unknown_key")
    message = parsed.pae()
    for keyid in known:
        if keys[keyid].verify(message, bytes.fromhex(parsed.signatures[keyid].signature)):
            return parsed.payload, keyid
    raise AttestationInvalid("the signature does not fit the payload", code="bad_signature")


def key_ids(envelope: Mapping[str, Any]) -> list[str]:
    """Return the ids of the keys that an envelope claims to be signed with, so that they can be looked up.

    Raises:
        AttestationInvalid: the envelope is malformed or of another payload type.
    """
    return list(_parse(envelope).signatures)


def _parse(envelope: Mapping[str, Any]) -> Envelope:
    """Check an envelope's form before the library sees it, which trusts its types and changes its input."""
    if not isinstance(envelope, Mapping):
        raise AttestationInvalid("the envelope is not a JSON object")
    payload_type = envelope.get("payloadType")
    if not isinstance(payload_type, str):
        raise AttestationInvalid("the envelope has no payloadType")
    if payload_type != PAYLOAD_TYPE:
        raise AttestationInvalid(f"the payload type must be {PAYLOAD_TYPE}", code="wrong_payload_type")
    payload = _base64(envelope.get("payload"), "payload", MAX_PAYLOAD_BYTES)
    entries = envelope.get("signatures")
    if not isinstance(entries, list) or not entries:
        raise AttestationInvalid("the envelope has no signatures")
    if len(entries) > MAX_SIGNATURES:
        raise AttestationInvalid(f"the envelope has more than {MAX_SIGNATURES} signatures")
    signatures: dict[str, Signature] = {}
    for entry in entries:
        keyid = entry.get("keyid") if isinstance(entry, Mapping) else None
        if not isinstance(keyid, str) or not _KEY_ID.fullmatch(keyid):
            raise AttestationInvalid("a signature has no keyid of 64 lower-case hex digits")
        if keyid in signatures:
            raise AttestationInvalid("the envelope has two signatures with the same keyid")
        signature = _base64(entry.get("sig"), "signature", _SIGNATURE_BYTES)
        if len(signature) != _SIGNATURE_BYTES:
            raise AttestationInvalid(f"a signature has {len(signature)} bytes instead of {_SIGNATURE_BYTES}")
        signatures[keyid] = Signature(keyid, signature.hex())
    return Envelope(payload, payload_type, signatures)


def _base64(value: Any, what: str, limit: int) -> bytes:
    if not isinstance(value, str) or not value:
        raise AttestationInvalid(f"the envelope has no {what}")
    if len(value) > limit * 4 // 3 + 4:
        raise AttestationInvalid(f"the {what} is larger than {limit} bytes")
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AttestationInvalid(f"the {what} is not Base64") from error
    # Base64 with stray bits at its end has several spellings for the same bytes; only one of them is accepted, so that an
    # envelope can't be changed in any way without being refused.
    if base64.b64encode(decoded).decode() != value:
        raise AttestationInvalid(f"the {what} is not canonical Base64")
    return decoded
