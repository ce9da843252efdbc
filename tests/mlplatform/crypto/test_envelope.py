"""What is sealed opens with the right key for the right use, and in no other case."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.crypto import Binding, CiphertextInvalid, Envelope, KeyUnavailable, WrappedKey, WrongKey
from mlplatform.crypto.providers.local import LocalKey

USE = Binding("payload-sample", "production/wine")


class NamedKey(LocalKey):
    """A local key under another name, as a second provider is."""


@pytest.fixture(scope="module")
def envelope(tmp_path_factory: pytest.TempPathFactory) -> Envelope:
    return Envelope(LocalKey(tmp_path_factory.mktemp("keys") / "key"))


@settings(deadline=None)  # the first example imports Tink
@given(data=st.binary(max_size=2000), purpose=st.text(max_size=20), subject=st.text(max_size=20))
def test_what_is_sealed_opens_for_its_use(envelope: Envelope, data: bytes, purpose: str, subject: str) -> None:
    use = Binding(purpose, subject)
    sealed = envelope.seal(data, use)
    assert envelope.open(sealed, use) == data
    assert len(data) < 8 or data not in sealed


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_goes_unnoticed(envelope: Envelope, data: st.DataObject) -> None:
    sealed = bytearray(envelope.seal(b"alcohol 13.2, hue 0.9", USE))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((CiphertextInvalid, WrongKey)):
        envelope.open(bytes(sealed), USE)


@settings(deadline=None)
@given(cut=st.integers(0, 150))
def test_what_is_cut_off_is_refused(envelope: Envelope, cut: int) -> None:
    with pytest.raises((CiphertextInvalid, WrongKey)):
        envelope.open(envelope.seal(b"alcohol", USE)[:cut], USE)


@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_two_uses_never_have_the_same_associated_data(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (one == other) == (Binding(*one).encoded() == Binding(*other).encoded())


def test_a_ciphertext_is_bound_to_purpose_and_subject(envelope: Envelope) -> None:
    sealed = envelope.seal(b"secret", USE)
    for other in (Binding("token", USE.subject), Binding(USE.purpose, "production/beer")):
        with pytest.raises(WrongKey):
            envelope.open(sealed, other)
    key, _ = envelope.new_key(USE)
    with pytest.raises(CiphertextInvalid, match="payload-sample"):
        key.open(key.seal(b"secret", Binding("token")), USE)


def test_the_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "encryption" / "key"
    Envelope(LocalKey(file)).seal(b"x", USE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]
    file.chmod(0o640)
    with pytest.raises(KeyUnavailable, match="may be read by others"):
        Envelope(LocalKey(file)).seal(b"x", USE)


def test_after_a_rotation_old_opens_and_new_is_sealed_with_the_new_key(tmp_path: Path) -> None:
    key = LocalKey(tmp_path / "key")
    envelope, elsewhere = Envelope(key), Envelope(LocalKey(tmp_path / "key"))
    old = elsewhere.seal(b"old", USE)
    first = key.newest()
    key.rotate()
    assert key.newest() != first
    # A process that had read the file before sees the new key without a restart.
    new = elsewhere.seal(b"new", USE)
    assert (envelope.open(old, USE), envelope.open(new, USE)) == (b"old", b"new")
    keyset = json.loads((tmp_path / "key").read_text())
    keyset["key"] = [one for one in keyset["key"] if one["keyId"] != first]
    (tmp_path / "key").write_text(json.dumps(keyset))
    assert Envelope(LocalKey(tmp_path / "key")).open(new, USE) == b"new"
    with pytest.raises(WrongKey):
        Envelope(LocalKey(tmp_path / "key")).open(old, USE)


def test_a_former_key_opens_and_its_data_keys_are_wrapped_anew(tmp_path: Path) -> None:
    first, second = LocalKey(tmp_path / "a", name="one"), LocalKey(tmp_path / "b", name="two")
    data_key, wrapped = Envelope(first).new_key(USE)
    sealed = data_key.seal(b"kept", USE)
    both = Envelope(second, [first])
    assert both.load_key(wrapped, USE).open(sealed, USE) == b"kept"
    moved = both.rewrap(wrapped, USE)
    assert moved.kek == "two"
    assert Envelope(second).load_key(moved, USE).open(sealed, USE) == b"kept"
    with pytest.raises(WrongKey, match="under the key one, which is not configured") as caught:
        Envelope(second).load_key(wrapped, USE)
    assert "mlPlatform.encryption.formerKeys" in caught.value.fix


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.write_text("{}"), "holds no key that can be used"),
        (lambda file: file.write_text("not json"), "holds no key that can be used"),
        (lambda file: file.unlink(), "does not decrypt"),
    ],
)
def test_a_wrong_key_is_named_with_its_setting(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    file = tmp_path / "key"
    sealed = Envelope(LocalKey(file)).seal(b"x", USE)
    spoil(file)
    with pytest.raises((WrongKey, KeyUnavailable), match=said) as caught:
        Envelope(LocalKey(file)).open(sealed, USE)
    assert str(file) in caught.value.message
    assert "mlPlatform.encryption.key" in caught.value.message + caught.value.fix


def test_what_is_no_envelope_is_told_apart_from_a_damaged_one(envelope: Envelope) -> None:
    for nonsense in (b"", b"hello", b"MLPE\x01", b"MLPE\x01\x00\x05ab"):
        with pytest.raises(CiphertextInvalid, match="no encrypted file"):
            envelope.open(nonsense, USE)
    with pytest.raises(WrongKey):
        envelope.load_key(WrappedKey("local", b"junk"), USE)


def test_hashes_are_the_same_under_one_key_and_none_other(tmp_path: Path) -> None:
    envelope = Envelope(LocalKey(tmp_path / "key"))
    key, wrapped = envelope.new_hash_key(USE)
    assert envelope.load_hash_key(wrapped, USE).hashed(b"ada") == key.hashed(b"ada") != key.hashed(b"bob")
    other, _ = envelope.new_hash_key(USE)
    assert other.hashed(b"ada") != key.hashed(b"ada")
    moved = Envelope(LocalKey(tmp_path / "b", name="two"), [envelope.present]).rewrap(wrapped, USE)
    assert Envelope(LocalKey(tmp_path / "b", name="two")).load_hash_key(moved, USE).hashed(b"ada") == key.hashed(b"ada")


def test_what_others_seal_with_the_public_key_only_the_recipient_opens(tmp_path: Path) -> None:
    """The sender is RFC 9180 as another library does it, without Tink."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    envelope = Envelope(LocalKey(tmp_path / "key"))
    recipient, wrapped = envelope.new_recipient(Binding("data-key", "1"))
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    sealed = suite.encrypt(b"sample", X25519PublicKey.from_public_bytes(recipient.public), info=USE.encoded())
    loaded = envelope.load_recipient(wrapped, Binding("data-key", "1"))
    assert loaded.public == recipient.public
    assert loaded.open(sealed, USE) == b"sample"
    with pytest.raises(CiphertextInvalid):
        loaded.open(sealed, Binding("payload-sample", "production/beer"))
    other, _ = envelope.new_recipient(USE)
    with pytest.raises(CiphertextInvalid):
        other.open(sealed, USE)
