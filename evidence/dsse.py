"""Verifies attestations: DSSE envelopes (v1) around in-toto statements about one artefact."""

import base64
import binascii
import json
from hashlib import sha256

from evidence.errors import EvidenceError
from evidence.events import Event
from evidence.notes import VerifierKey

_PAYLOAD_TYPE = "application/vnd.in-toto+json"


def check_attestation(line: bytes, event: Event, keys: dict[str, VerifierKey]) -> None:
    """Hold an envelope against the event that recorded it.

    ``keys`` are public keys by the SHA-256 of their bytes, which is how the event names the signer's: so the key needs no
    trust of its own.

    Raises:
        EvidenceError: it is another envelope, its signature is no good, or it says something else than the event.
    """
    what = f"the attestation {event.text('attestation')} that event {event.seq} recorded"
    if not line:
        raise EvidenceError(f"{what} is missing")
    if sha256(line).hexdigest() != event.text("envelopeDigest"):
        raise EvidenceError(f"{what} is another one: its digest is not the recorded one")
    try:
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = {one["keyid"]: base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]}
        statement = json.loads(payload)
        said = {one["digest"]["sha256"] for one in statement["subject"]}
        result = statement["predicate"]["gateResult"]
        judged = (result["gate"], result["outcome"])
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise EvidenceError(f"{what} can't be read") from None
    key = keys.get(event.text("keyId"))
    if key is None or event.text("keyId") not in signatures:
        raise EvidenceError(f"{what} is not signed by the recorded key, or that key is missing")
    kind = str(envelope.get("payloadType"))
    message = f"DSSEv1 {len(kind.encode())} {kind} {len(payload)} ".encode() + payload
    if kind != _PAYLOAD_TYPE or not key.verifies(message, signatures[event.text("keyId")]):
        raise EvidenceError(f"{what} has a signature that does not fit it")
    if said != {event.text("digest")}:
        raise EvidenceError(f"{what} is about another artefact ({', '.join(sorted(said))[:64]}): it was replayed")
    if judged != (event.text("gate"), event.text("outcome")):
        raise EvidenceError(f"{what} says {judged[0]} {judged[1]}, and the event something else")
