"""Notes and checkpoints: the format of others, and what is refused."""

import base64
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from evidence.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey, note_of, open_note, read_key, sign_note
from mlplatform.attest.keys import SigningKey

KEY = SigningKey.generate()
PUBLIC = VerifierKey(KEY.public_bytes)
CHECKPOINT = Checkpoint(PUBLIC.origin, 7, b"r" * 32, "c" * 64)
NOTE = sign_checkpoint(CHECKPOINT, PUBLIC, KEY.sign)


def test_a_checkpoint_is_the_note_that_the_format_says() -> None:
    text, signatures = NOTE.split("\n\n")
    assert text.split("\n") == [PUBLIC.origin, "7", base64.b64encode(b"r" * 32).decode(), "chain " + "c" * 64]
    dash, name, encoded = signatures.rstrip("\n").split(" ")
    assert (dash, name) == ("\u2014", PUBLIC.origin)
    raw = base64.b64decode(encoded)
    assert raw[:4] == sha256(f"{name}\n".encode() + b"\x01" + PUBLIC.raw).digest()[:4]
    assert PUBLIC.verifies(f"{text}\n".encode(), raw[4:])
    assert open_checkpoint(NOTE, PUBLIC) == CHECKPOINT


def test_a_note_of_the_go_checksum_database_opens() -> None:
    # sum.golang.org's key name has no slash, so it is no key of ours; its signature line is skipped as another's.
    other = "\u2014 sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJEMbAYqnpoS5wg="
    assert open_note(f"{NOTE}{other}\n", PUBLIC) == CHECKPOINT.text


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (NOTE.replace("\n7\n", "\n8\n"), "does not fit its text"),
        (NOTE.rstrip("\n"), "no signature lines"),
        (CHECKPOINT.text, "no signature lines"),
        (NOTE + "\u2014 x\n", "no signature line"),
        (NOTE.replace("chain", "ch\tain"), "control characters"),
        (NOTE + "x" * (1 << 20), "too long"),
        (NOTE + "\u2014 a AAAAAAAA\n" * 100, "more than 100"),
        (sign_note("hello\n", PUBLIC.raw, KEY.sign), "no checkpoint"),
        (sign_note(CHECKPOINT.text.replace("\n7\n", "\n07\n"), PUBLIC.raw, KEY.sign), "malformed"),
        (sign_note(CHECKPOINT.text.replace("\n7\n", "\n-7\n"), PUBLIC.raw, KEY.sign), "malformed"),
        (sign_note(CHECKPOINT.text.replace(PUBLIC.origin, "other/log"), PUBLIC.raw, KEY.sign), "of other/log"),
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str, reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        open_checkpoint(note, PUBLIC)


def test_another_platforms_checkpoint_is_refused_by_name() -> None:
    other = SigningKey.generate()
    public = VerifierKey(other.public_bytes)
    note = sign_checkpoint(Checkpoint(public.origin, 1, b"r" * 32, "c" * 64), public, other.sign)
    with pytest.raises(EvidenceError, match=f"signed by {public.origin}, not by {PUBLIC.origin}"):
        open_checkpoint(note, PUBLIC)


def test_a_signature_of_another_key_under_this_name_is_refused() -> None:
    forged = note_of(CHECKPOINT.text, PUBLIC.raw, SigningKey.generate().sign(CHECKPOINT.text.encode()))
    with pytest.raises(EvidenceError, match="does not fit"):
        open_checkpoint(forged, PUBLIC)


def test_a_key_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    der = bytes.fromhex("302a300506032b6570032100") + PUBLIC.raw
    pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (base64.b64encode(PUBLIC.raw).decode() + "\n", PUBLIC.encoded, pem):
        assert read_key(text) == PUBLIC


@pytest.mark.parametrize(
    "text",
    ["", "x", "QUJD", "a/b+00000000+AQ==", "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", "\u00e9" * 44],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="no Ed25519 public key"):
        read_key(text)


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    SigningKey.load_or_create(tmp_path / "key")
    with pytest.raises(EvidenceError, match="private key"):
        read_key((tmp_path / "key").read_text())
