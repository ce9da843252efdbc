import base64
import copy
import json
import multiprocessing
import shutil
import stat
import subprocess
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_toto_attestation.v1.statement import Statement as JudgedStatement

from mlplatform.attest.digest import artefact_digest
from mlplatform.attest.dsse import key_ids, parse_envelope, sign, verify
from mlplatform.attest.errors import AttestationInvalid
from mlplatform.attest.keys import KeyUnusable, PublicKey, SigningKey
from mlplatform.attest.statement import (
    MAX_PAYLOAD_BYTES,
    PREDICATE_TYPES,
    Subject,
    build_statement,
    require_subject,
    strict_json,
)
from mlplatform.gates.result import Check, Gate, GateResult, Outcome

KEY = SigningKey.generate()
KEYS = {KEY.keyid: KEY.public_key}
ABOUT = Subject("wine", "ab" * 32, "local/wine", "c0ffee", lock_digest="1c" * 32, spec_digest="5c" * 32)
TEXT = st.text(min_size=1, max_size=30)
CHECKS = st.builds(
    Check, name=TEXT, outcome=st.just(Outcome.PASSED), observed=st.none() | TEXT, limit=TEXT, message=TEXT
)
RESULTS = st.builds(
    GateResult,
    gate=st.sampled_from(Gate),
    outcome=st.sampled_from(Outcome),
    summary=TEXT,
    checks=st.lists(CHECKS, max_size=3),
    started_at=st.datetimes(timezones=st.timezones()),
    finished_at=st.datetimes(timezones=st.timezones()),
)


def statement_of(result, **changes):
    body = None if PREDICATE_TYPES[result.gate].endswith("test-result/v0.1") else {}
    return build_statement(result, replace(ABOUT, **changes), body)


def plain():
    at = "2026-01-02T03:04:05Z"
    result = {"gate": "schema", "outcome": "passed", "summary": "ok", "startedAt": at, "finishedAt": at}
    return statement_of(GateResult.model_validate(result))


@settings(deadline=None)
@given(RESULTS)
def test_what_was_signed_is_what_is_verified(result):
    envelope = json.loads(json.dumps(sign(statement_of(result), KEY)))
    statement, keyid = verify(envelope, KEYS)
    assert statement.gate_result == result
    assert (statement.subject.model, statement.subject.digest, statement.subject.commit) == (
        "wine",
        "ab" * 32,
        "c0ffee",
    )
    assert keyid == KEY.keyid


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_changed_bit_goes_unnoticed(data):
    """Flip any bit of payload, signature, key id or payload type: the envelope is refused."""
    envelope = sign(plain(), KEY)
    part = data.draw(st.sampled_from(["payload", "payloadType", "sig", "keyid"]))
    holder = envelope if part in envelope else envelope["signatures"][0]
    raw = bytearray(holder[part].encode())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    holder[part] = raw.decode("latin-1")
    with pytest.raises(AttestationInvalid):
        verify(envelope, KEYS)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda x: st.lists(x) | st.dictionaries(TEXT, x)))
def test_arbitrary_json_is_refused_and_never_crashes(value):
    with pytest.raises(AttestationInvalid):
        verify(value, KEYS)
    with pytest.raises(AttestationInvalid):
        verify({"payload": value, "payloadType": "application/vnd.in-toto+json", "signatures": value}, KEYS)


def test_verifying_leaves_the_envelope_as_it_was():
    envelope = sign(plain(), KEY)
    before = copy.deepcopy(envelope)
    verify(envelope, KEYS)
    assert key_ids(envelope) == [KEY.keyid]
    assert envelope == before


def test_equal_statements_give_equal_envelopes():
    assert sign(plain(), KEY) == sign(dict(reversed(plain().items())), KEY)


def test_huge_envelopes_are_refused_before_they_are_decoded():
    huge = {**sign(plain(), KEY), "payload": "A" * (MAX_PAYLOAD_BYTES * 2)}
    with pytest.raises(AttestationInvalid, match="larger"):
        verify(huge, KEYS)
    with pytest.raises(AttestationInvalid, match="larger"):
        parse_envelope(b" " * (MAX_PAYLOAD_BYTES + 1))


@pytest.mark.parametrize("hostile", [b'"\\' * 500_000, b"[" * 1_000_000, b'{"a":' * 200_000, b"1" * 1_000_000])
def test_hostile_json_is_refused_quickly(hostile):
    started = time.process_time()
    with pytest.raises(AttestationInvalid):
        strict_json(hostile)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"digest": "cd" * 32}, "digest"),
        ({"repository": "local/other"}, "repository"),
        ({"model": "beer"}, "model"),
        ({"commit": "decaf"}, "commit"),
        ({"lock_digest": "cd" * 32}, "uv.lock"),
        ({"spec_digest": "cd" * 32}, "model.yaml"),
    ],
)
def test_a_statement_about_something_else_is_refused(change, reason):
    statement, _ = verify(sign(plain(), KEY), KEYS)
    require_subject(statement.subject, ABOUT)
    with pytest.raises(AttestationInvalid, match=reason) as caught:
        require_subject(statement.subject, replace(ABOUT, **change))
    assert caught.value.code == "wrong_subject"


def test_the_reference_library_accepts_our_statements():
    statement = plain()
    subject = {**statement["subject"][0]}
    judged = JudgedStatement([], statement["predicateType"], statement["predicate"])
    from google.protobuf.json_format import ParseDict

    ParseDict({**statement, "subject": [subject]}, judged.pb)
    judged.validate()


def test_a_standard_predicate_is_never_left_out():
    at = "2026-01-02T03:04:05Z"
    result = {"gate": "sbom", "outcome": "passed", "summary": "ok", "startedAt": at, "finishedAt": at}
    with pytest.raises(ValueError, match="body"):
        build_statement(GateResult.model_validate(result), ABOUT)


class TestKeys:
    def test_a_key_is_made_once_and_only_for_its_owner(self, tmp_path):
        path = tmp_path / "new" / "signing.pem"
        key = SigningKey.load_or_create(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert SigningKey.load_or_create(path).keyid == key.keyid
        assert [entry.name for entry in path.parent.iterdir()] == ["signing.pem"]
        assert key.public_key.verify(b"message", key.sign(b"message"))
        assert not key.public_key.verify(b"other", key.sign(b"message"))

    def test_processes_that_start_at_once_share_one_key(self, tmp_path):
        with multiprocessing.get_context("fork").Pool(4) as pool:
            ids = pool.map(_key_id, [tmp_path / "signing.pem"] * 8)
        assert len(set(ids)) == 1

    def test_a_key_that_others_can_read_is_refused(self, tmp_path):
        path = tmp_path / "signing.pem"
        SigningKey.load_or_create(path)
        path.chmod(0o644)
        with pytest.raises(KeyUnusable, match="read by others"):
            SigningKey.load_or_create(path)

    @pytest.mark.parametrize("kind", ["damaged", "ec"])
    def test_another_kind_of_file_is_refused(self, tmp_path, kind):
        path = tmp_path / "signing.pem"
        if kind == "ec":
            subprocess.run(
                ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)],
                check=True,
            )
        else:
            path.write_text("damaged")
        path.chmod(0o600)
        with pytest.raises(KeyUnusable):
            SigningKey.load_or_create(path)

    def test_openssl_reads_our_keys(self, tmp_path):
        path = tmp_path / "signing.pem"
        key = SigningKey.load_or_create(path)
        done = subprocess.run(
            ["openssl", "pkey", "-in", str(path), "-pubout", "-outform", "DER"],
            capture_output=True,
            check=True,
        )
        assert done.stdout[-32:] == key.public_bytes
        assert PublicKey(done.stdout[-32:]).keyid == key.keyid

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_public_key_of_another_length_is_none(self, length):
        with pytest.raises(ValueError, match="32 bytes"):
            PublicKey(bytes(length))

    @pytest.mark.parametrize("raw", [bytes(32), b"\xff" * 32, b"\x01" + bytes(31)])
    def test_degenerate_public_keys_verify_nothing_of_ours(self, raw):
        assert not PublicKey(raw).verify(b"message", KEY.sign(b"message"))


def _key_id(path):
    return SigningKey.load_or_create(path).keyid


NAMES = st.from_regex(r"[a-zA-Z0-9 ._'\-é]{1,12}", fullmatch=True).filter(lambda name: name.strip(". "))


class TestDigest:
    @settings(deadline=None, max_examples=40)
    @given(files=st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=5), data=st.data())
    def test_any_change_changes_it(self, tmp_path_factory, files, data):
        folder = tmp_path_factory.mktemp("artefact")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        digest = artefact_digest(folder)
        assert artefact_digest(folder) == digest
        name = data.draw(st.sampled_from(sorted(files)))
        change = data.draw(st.sampled_from(["content", "name", "added", "removed", "moved"]))
        if change == "content":
            (folder / name).write_bytes(files[name] + b"x")
        elif change == "name":
            (folder / name).rename(folder / f"{name}~")
        elif change == "moved":
            (folder / "sub~").mkdir()
            (folder / name).rename(folder / "sub~" / name)
        elif change == "added":
            (folder / "added~").write_bytes(b"")
        elif len(files) > 1:
            (folder / name).unlink()
        else:
            return
        assert artefact_digest(folder) != digest

    @pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
    def test_standard_tools_come_to_the_same(self, tmp_path):
        for name in ("b", "a b", "sub/é", "A"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        command = (
            r"find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum | cut -d' ' -f1"
        )
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == artefact_digest(tmp_path)

    def test_links_and_empty_folders_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="no files"):
            artefact_digest(tmp_path)
        (tmp_path / "link").symlink_to("/etc/passwd")
        with pytest.raises(ValueError, match="symbolic link"):
            artefact_digest(tmp_path)


def test_payload_bytes_are_plain_json():
    payload = base64.b64decode(sign(plain(), KEY)["payload"])
    assert json.loads(payload) == plain()
