"""Whatever is done to a log, a pack or a checkpoint, the verifier says what and where.

Three who tamper: somebody with the file alone; somebody who signs with a key of their own; and the platform's own operator, who
holds database and key, and is found by what the events say of each other or by a checkpoint in a second place.
"""

import base64
import json
import re
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backend.audit.events import canonical
from evidence.checkpoint import Checkpoint, sign_checkpoint
from evidence.errors import EvidenceError
from evidence.manifest import sign_manifest
from evidence.merkle import Frontier, consistency_proof, leaf_hash
from evidence.notes import VerifierKey
from evidence.verify import Verification, verify_pack
from mlplatform.attest.keys import SigningKey
from mlplatform.gates.result import Gate, Outcome

from .record import ADA, ATTESTED, DAY, GRACE, Record, quarter

Files = dict[str, bytes]
EVENTS, ATTESTATIONS = "events/000001.jsonl", "attestations/000001.jsonl"


@pytest.fixture(scope="module")
def record() -> Record:
    return quarter()


@pytest.fixture(scope="module")
def packed(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record.pack(tmp_path_factory.mktemp("pack") / "pack.zip", *DAY)


def read(file: Path) -> Files:
    with zipfile.ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def write(file: Path, files: Files) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return file


def sign(files: Files, key: SigningKey, **changes: Any) -> None:
    """Make the manifest fit the files, and sign it."""
    document = json.loads(files["manifest.json"]) | changes
    listed = {
        name: {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
        if name not in {"manifest.json", "manifest.sig"}
    }
    text = json.dumps({**document, "files": listed}).encode()
    files["manifest.json"] = text
    files["manifest.sig"] = sign_manifest(text, VerifierKey(key.public_bytes), key.sign).encode()


def sign_all(files: Files, key: SigningKey) -> None:
    """What somebody with the key does: make checkpoint, blocks and manifest fit the events."""
    before = json.loads(files["frontier.json"])
    tree = Frontier(before["size"], [bytes.fromhex(one) for one in before["hashes"]])
    leaves = [leaf_hash(line) for line in files[EVENTS].splitlines()]
    for leaf in leaves:
        tree.append(leaf)
    public = VerifierKey(key.public_bytes)
    checkpoint = Checkpoint(public.origin, tree.size, tree.root(), "0" * 64)
    files["checkpoint"] = sign_checkpoint(checkpoint, public, key.sign).encode()
    manifest = json.loads(files["manifest.json"])
    size = manifest["tree"]["block"]
    blocks = [sha256(b"".join(leaves[at : at + size])).hexdigest() for at in range(0, len(leaves), size)]
    sign(
        files, key, origin=public.origin, tree={"block": size, "blocks": blocks},
        events={"first": manifest["events"]["first"], "last": tree.size},
    )  # fmt: skip


def lines(files: Files, name: str = EVENTS) -> list[bytes]:
    return files[name].splitlines(keepends=True)


def change_line(
    files: Files, picks: Callable[[dict[str, Any]], bool], change: Callable[[dict[str, Any]], None]
) -> None:
    """Change the first event that is picked."""
    found = lines(files)
    for at, line in enumerate(found):
        document = json.loads(line)
        if picks(document):
            change(document)
            found[at] = canonical(document) + b"\n"
            break
    else:
        raise AssertionError("no such event")
    files[EVENTS] = b"".join(found)


def approved(document: dict[str, Any]) -> bool:
    return str(document["type"]).endswith("deployment.approved")


def judged(files: Files, record: Record, folder: Path, **known: Any) -> Verification:
    return verify_pack(write(folder / "tampered.zip", files), record.public, **known)


def messages(result: Verification) -> str:
    return "\n".join(f"{one.where}: {one.message}" for one in result.faults)


def test_an_untouched_pack_is_valid(packed: Path, record: Record) -> None:
    result = verify_pack(packed, record.public, [record.checkpoint(size)[0] for size in (6, 7, 30, 51)])
    assert (result.valid, result.compared, result.exceptions) == (True, 4, [])
    assert (result.events, result.attestations) == (45, 14)


# What somebody does who has the file alone.


def edit_event(files: Files) -> None:
    change_line(files, approved, lambda document: document.update(actor="user:default/eve"))


def remove_event(files: Files) -> None:
    found = lines(files)
    del found[9]
    files[EVENTS] = b"".join(found)


def insert_event(files: Files) -> None:
    found = lines(files)
    files[EVENTS] = b"".join([*found[:9], found[9].replace(b'"id-', b'"forged-'), *found[9:]])


def reorder_events(files: Files) -> None:
    found = lines(files)
    found[9], found[20] = found[20], found[9]
    files[EVENTS] = b"".join(found)


def truncate_events(files: Files) -> None:
    files[EVENTS] = b"".join(lines(files)[:-3])


def cut_the_first_events(files: Files) -> None:
    files[EVENTS] = b"".join(lines(files)[3:])


def garble_a_line(files: Files) -> None:
    found = lines(files)
    found[4] = b"{not json\n"
    files[EVENTS] = b"".join(found)


def replace_frontier(files: Files) -> None:
    document = json.loads(files["frontier.json"])
    document["hashes"][0] = "0" * 64
    files["frontier.json"] = json.dumps(document).encode()


def edit_checkpoint(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"\n51\n", b"\n52\n")


def remove_csv_line(files: Files) -> None:
    found = lines(files, "csv/deployments.csv")
    files["csv/deployments.csv"] = b"".join(found[:3] + found[4:])


def edit_csv_cell(files: Files) -> None:
    files["csv/deployments.csv"] = files["csv/deployments.csv"].replace(GRACE.encode(), b"user:default/hopper", 1)


def add_csv_line(files: Files) -> None:
    files["csv/break-glass.csv"] += b"1,2,3,4,5,6,7,8\n"


def edit_sample(files: Files) -> None:
    found = lines(files, "csv/sample.csv")
    files["csv/sample.csv"] = b"".join([found[0], found[2], found[1]])


def remove_file(files: Files) -> None:
    del files["csv/refusals.csv"]


def remove_events_file(files: Files) -> None:
    del files[EVENTS]


def add_file(files: Files) -> None:
    files["csv/extra.csv"] = b"a,b\n"


def edit_manifest(files: Files) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b"2026-01-03T", b"2026-01-04T")


def edit_report(files: Files) -> None:
    files["report.html"] = files["report.html"].replace(b"satisfied", b"splendid", 1)


def edit_findings(files: Files) -> None:
    name = "oscal-assessment-results.json"
    files[name] = files[name].replace(b'"satisfied"', b'"not-satisfied"', 1)


def replay_attestation(files: Files) -> None:
    found = lines(files, ATTESTATIONS)
    found[2] = found[0]
    files[ATTESTATIONS] = b"".join(found)


def remove_attestation(files: Files) -> None:
    files[ATTESTATIONS] = b"".join(lines(files, ATTESTATIONS)[:-1])


def add_attestation(files: Files) -> None:
    files[ATTESTATIONS] += lines(files, ATTESTATIONS)[0]


def edit_context(files: Files) -> None:
    files["context/events.jsonl"] = files["context/events.jsonl"].replace(b"default/ada", b"default/eve", 1)


def replace_key(files: Files) -> None:
    document = json.loads(files["attestations/keys.json"])
    (name,) = document
    document[name] = base64.b64encode(SigningKey.generate().public_bytes).decode()
    files["attestations/keys.json"] = json.dumps(document).encode()


WITHOUT_A_KEY = [
    (edit_event, r"one of the events 7 to 22 was changed[\s\S]*do not make the root"),
    (remove_event, r"events/000001.jsonl line 10: event 17: events 16 to 16 are missing in front of it"),
    (insert_event, r"events/000001.jsonl line 11: event 16: it stands there twice"),
    (reorder_events, r"line 10: event 27: events 16 to 26 are missing[\s\S]*line 11: event 17: it stands"),
    (truncate_events, r"the pack was cut off: events 49 to 51 are missing at the end"),
    (cut_the_first_events, r"line 1: event 10: events 7 to 9 are missing in front"),
    (garble_a_line, r"events/000001.jsonl line 5: it is no JSON"),
    (replace_frontier, r"do not make the root[\s\S]*frontier.json: it was changed"),
    (edit_checkpoint, r"checkpoint: its signature does not fit its text"),
    (remove_csv_line, r"csv/deployments.csv line 4: it is not what the events say"),
    (edit_csv_cell, r"csv/deployments.csv line 2: it is not what the events say"),
    (add_csv_line, r"csv/break-glass.csv line 2: it is not what the events say"),
    (edit_sample, r"csv/sample.csv line 2: it is not what the events say"),
    (remove_file, r"csv/refusals.csv: the manifest lists it, and it is missing"),
    (remove_events_file, r"events/000001.jsonl: the manifest lists it, and it is missing"),
    (add_file, r"csv/extra.csv: it is not in the manifest: it was added"),
    (edit_manifest, r"manifest.json: it was changed: its digest is not the one that was signed"),
    (edit_report, r"report.html: it was changed"),
    (edit_findings, r"oscal-assessment-results.json: it was changed"),
    (replay_attestation, r"attestation-5 that event \d+ recorded is another one"),
    (remove_attestation, r"attestation-14 that event \d+ recorded is missing"),
    (add_attestation, r"more attestations than events recorded: one was added"),
    (edit_context, r"context/events.jsonl line 1: event 1 is not in the log: its inclusion proof"),
    (replace_key, r"keys.json: the key [0-9a-f]{16} is another one[\s\S]*not signed by the recorded key"),
]


@pytest.mark.parametrize(("tamper", "said"), WITHOUT_A_KEY, ids=lambda one: getattr(one, "__name__", ""))
def test_a_changed_pack_is_found(
    tamper: Callable[[Files], None], said: str, packed: Path, record: Record, tmp_path: Path
) -> None:
    files = read(packed)
    tamper(files)
    result = judged(files, record, tmp_path)
    assert not result.valid
    assert re.search(said, messages(result)), messages(result)


_OUTSIDE = (
    edit_manifest,
    edit_report,
    edit_findings,
    edit_checkpoint,
    remove_file,
    add_file,
    remove_events_file,
    replace_frontier,
)
"""What the manifest alone can tell, or what is told before it."""
FITTED = [one for one in WITHOUT_A_KEY if one[0] not in _OUTSIDE]


@pytest.mark.parametrize(("tamper", "said"), FITTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_manifest_that_was_signed_again_hides_nothing(
    tamper: Callable[[Files], None], said: str, packed: Path, record: Record, tmp_path: Path
) -> None:
    files = read(packed)
    tamper(files)
    sign(files, record.key)
    assert not judged(files, record, tmp_path).valid


@pytest.mark.parametrize(("tamper", "said"), WITHOUT_A_KEY, ids=lambda one: getattr(one, "__name__", ""))
def test_what_another_key_signed_is_not_looked_at(
    tamper: Callable[[Files], None], said: str, packed: Path, record: Record, tmp_path: Path
) -> None:
    files = read(packed)
    tamper(files)
    other = SigningKey.generate()
    sign(files, other)
    result = judged(files, record, tmp_path)
    assert f"manifest.json: it is signed by {VerifierKey(other.public_bytes).origin}" in messages(result)


def test_a_forged_approval_signed_with_another_key_is_found(packed: Path, record: Record, tmp_path: Path) -> None:
    files = read(packed)
    edit_event(files)
    other = SigningKey.generate()
    sign_all(files, other)
    assert f"signed by {VerifierKey(other.public_bytes).origin}" in messages(judged(files, record, tmp_path))


def test_a_swapped_checkpoint_is_found(packed: Path, record: Record, tmp_path: Path) -> None:
    for size in (50, 45):
        files = read(packed)
        files["checkpoint"] = record.checkpoint(size)[1].encode()
        sign(files, record.key)
        found = messages(judged(files, record, tmp_path))
        assert f"the manifest speaks of 51 events of {record.public.origin}, the checkpoint of {size}" in found
    files["checkpoint"] = quarter(SigningKey.generate()).checkpoint()[1].encode()
    sign(files, record.key)
    assert "checkpoint: it is signed by" in messages(judged(files, record, tmp_path))


def test_events_of_another_platform_are_found(packed: Path, record: Record, tmp_path: Path) -> None:
    files, other = read(packed), quarter()
    foreign = read(other.pack(tmp_path / "other.zip", *DAY))
    files[EVENTS] = foreign[EVENTS]
    files[ATTESTATIONS] = foreign[ATTESTATIONS]
    sign(files, record.key)
    found = messages(judged(files, record, tmp_path))
    assert "do not make the root" in found
    assert "not signed by the recorded key" in found
    assert "manifest.json: it is signed by" in messages(verify_pack(tmp_path / "other.zip", record.public))


# What the operator does, who holds database and key.


def test_a_log_that_was_rewritten_is_found_by_a_published_checkpoint(
    record: Record, packed: Path, tmp_path: Path
) -> None:
    files = read(packed)
    change_line(files, approved, lambda document: document.update(actor="user:default/hopper"))
    other = Record(record.key)
    other.signer, other.stored, other.now = record.signer, record.stored, record.now
    other.documents = record.documents[:6] + [json.loads(line) for line in lines(files)]
    forged = other.pack(tmp_path / "forged.zip", *DAY)
    assert verify_pack(forged, record.public).valid  # signed anew, it is as good as any
    result = verify_pack(forged, record.public, [record.checkpoint(30)[0]])
    assert "the log was rewritten: the checkpoint from elsewhere over 30 events has another root" in messages(result)


def test_a_log_that_was_cut_is_found_by_a_published_checkpoint(record: Record, tmp_path: Path) -> None:
    published, _ = record.checkpoint(51)
    cut = Record(record.key)
    cut.signer, cut.stored, cut.now = record.signer, record.stored, record.now
    cut.documents = record.documents[:40]
    cut.add("evidence.pack.requested", "evidence:1", ADA)
    cut.documents[-1]["time"] = "2026-01-03T00:01:00.000000Z"
    pack = cut.pack(tmp_path / "cut.zip", *DAY)
    with pytest.raises(EvidenceError, match="newer than the pack, which ends at event 41"):
        verify_pack(pack, record.public, [published])
    # No proof leads from the one to the other.
    result = verify_pack(pack, record.public, [published], {"proof": ["0" * 64]})
    assert "the log of 51 events that was published does not go on from this pack's 41" in messages(result)


def test_a_gap_at_the_beginning_or_end_of_the_period_is_found(record: Record, tmp_path: Path) -> None:
    late = record.pack(tmp_path / "late.zip", *DAY, first=14)
    assert "the period's first events are left out" in messages(verify_pack(late, record.public))
    early = record.pack(tmp_path / "early.zip", *DAY, until_seq=40)
    assert "the period's last events are left out" in messages(verify_pack(early, record.public))


def test_events_kept_out_of_the_tables_are_found(record: Record, packed: Path, tmp_path: Path) -> None:
    files = read(packed)
    period = json.loads(files["manifest.json"])["period"]
    sign(files, record.key, period={**period, "lastEvent": 45})
    assert "event 46 is dated 2026-01-02" in messages(judged(files, record, tmp_path))


def test_an_attestation_that_the_log_recorded_for_another_artefact_is_found(tmp_path: Path) -> None:
    record = quarter()
    replayed = next(one for one in record.documents if one["type"] == ATTESTED and one["sequence"] > "0" * 15 + "8")
    replayed["data"]["digest"] = "d" * 64
    result = verify_pack(record.pack(tmp_path / "pack.zip", *DAY), record.public)
    assert "is about another artefact" in messages(result)
    assert "it was replayed" in messages(result)


def test_an_attestation_with_a_forged_outcome_is_found(tmp_path: Path) -> None:
    record = quarter()
    record.now = DAY[0]
    seq = record.attest("wine", "e" * 64, Gate.THRESHOLDS, Outcome.FAILED)
    record.documents[seq - 1]["data"]["outcome"] = "passed"
    record.now = DAY[1]
    record.add("evidence.pack.requested", "evidence:1", ADA)
    result = verify_pack(record.pack(tmp_path / "pack.zip", *DAY), record.public)
    assert "says thresholds failed, and the event something else" in messages(result)


def test_a_checkpoint_from_before_the_pack_says_what_is_needed(record: Record, packed: Path) -> None:
    with pytest.raises(EvidenceError, match="older than the pack, which begins at event 7"):
        verify_pack(packed, record.public, [record.checkpoint(5)[0]])


def test_a_later_checkpoint_is_compared_by_its_proof(tmp_path: Path) -> None:
    record = quarter()
    pack = record.pack(tmp_path / "pack.zip", *DAY)
    record.deploy("wine", 9, "f" * 64)
    texts = record.texts

    def nodes(level: int, index: int) -> bytes:
        tree = Frontier()
        for text in texts[index << level : (index + 1) << level]:
            tree.append(leaf_hash(text.encode()))
        return tree.root()

    proof = {"proof": [one.hex() for one in consistency_proof(nodes, 51, len(texts))]}
    result = verify_pack(pack, record.public, [record.checkpoint()[0]], proof)
    assert (result.valid, result.compared) == (True, 1)
