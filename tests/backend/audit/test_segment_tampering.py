"""What is done to sealed segments is found and named, and what was deleted by policy is no fault."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from backend.audit import reading, tree
from backend.audit.repository import EventFilter
from backend.audit.sealed import SegmentRemoved, SegmentUnreadable
from evidence.__main__ import main as platform_evidence
from evidence.merkle import verify_consistency
from evidence.notes import VerifierKey
from evidence.segments import open_segment
from mlplatform.attest.keys import SigningKey
from tests.marks import on_one_database

from .sealed_log import NAMES, SEALED, SealedLog

pytestmark = pytest.mark.slow


def _edited(log: SealedLog) -> None:
    """Another text in one event, packed as the platform packs."""
    file = log.file(1)
    manifest = open_segment(log.file(1, "manifest").read_text(), log.services.audit.verifier)
    raw, end = file.read_bytes(), manifest.blocks[0].end
    lines = gzip.decompress(raw[:end]).replace(b'"n":600', b'"n":601').replace(b'"n":12,', b'"n":13,')
    packed = gzip.compress(lines, 6, mtime=0)
    file.write_bytes(packed[:end].ljust(end, b"\0") + raw[end:])


def _flipped(log: SealedLog) -> None:
    raw = bytearray(log.file(1).read_bytes())
    raw[-100] ^= 1
    log.file(1).write_bytes(raw)


def _swapped(log: SealedLog) -> None:
    first, second = log.file(0).read_bytes(), log.file(1).read_bytes()
    log.file(0).write_bytes(second)
    log.file(1).write_bytes(first)


def _cut(log: SealedLog) -> None:
    os.truncate(log.file(1), log.file(1).stat().st_size - 1000)


def _missing(log: SealedLog) -> None:
    log.file(1).unlink()


def _longer(log: SealedLog) -> None:
    log.file(1).write_bytes(log.file(1).read_bytes() + gzip.compress(b'{"sequence":"1025"}\n'))


def _manifest_missing(log: SealedLog) -> None:
    log.file(1, "manifest").unlink()


def _manifest_edited(log: SealedLog) -> None:
    file = log.file(1, "manifest")
    file.write_text(file.read_text().replace('"last":1024', '"last":1023'))


def _forged(log: SealedLog) -> None:
    """A manifest for other events, signed with a key that is not the platform's."""
    key = SigningKey.generate()
    manifest = open_segment(log.file(1, "manifest").read_text(), log.services.audit.verifier)
    note = manifest.note(VerifierKey(key.public_bytes), key.sign)
    log.unguarded("UPDATE audit_segments SET manifest = :note WHERE first_seq = 513", note=note)


def _moved(log: SealedLog) -> None:
    """The genuine manifest of another segment."""
    log.unguarded(
        "UPDATE audit_segments SET manifest = (SELECT manifest FROM audit_segments WHERE first_seq = 1) WHERE first_seq = 513"
    )


def _row_gone(log: SealedLog) -> None:
    log.unguarded("DELETE FROM audit_segments WHERE first_seq = 513")


def _beyond(log: SealedLog) -> None:
    log.unguarded("DELETE FROM audit_events WHERE seq BETWEEN 1281 AND 1285")


def _put_back(log: SealedLog) -> None:
    log.unguarded(
        "INSERT INTO audit_events (seq, id, type, subject, actor, time, event, prev_hash, hash) "
        "SELECT 700, 'x', type, 'model:forged', actor, time, event, prev_hash, hash FROM audit_events WHERE seq = 1290"
    )


def _node(log: SealedLog) -> None:
    log.unguarded("UPDATE audit_nodes SET hash = '{}' WHERE position = 1".format("0" * 64))


TAMPERED: list[tuple[Callable[[SealedLog], None], str, str]] = [
    (_edited, "edited", f"segment {NAMES[1]}: its file was altered at the events 513 to 768"),
    (_flipped, "edited", f"segment {NAMES[1]}: its file was altered at the events 769 to 1024"),
    (_swapped, "reordered", f"segment {NAMES[1]}: its file is that of segment {NAMES[0]}"),
    (_cut, "truncated", f"segment {NAMES[1]}: its file is cut off"),
    (_missing, "removed", f"segment {NAMES[1]}: its file is missing in "),
    (_longer, "edited", f"segment {NAMES[1]}: its file was altered: its events are there, and "),
    (_manifest_missing, "removed", f"segment {NAMES[1]}: its manifest is missing in "),
    (_manifest_edited, "edited", f"segment {NAMES[1]}: its manifest in "),
    (_forged, "edited", f"segment {NAMES[1]}: its manifest is not what the platform signed: it is signed by "),
    (_moved, "edited", f"segment {NAMES[1]}: its manifest is that of segment {NAMES[0]}"),
    (_row_gone, "removed", "the segments with the events 513 to 1024 are missing in the table"),
    (_beyond, "removed", "events 1281 to 1285 are missing"),
    (_put_back, "inserted", "row 700 was inserted: event 700 is sealed in a segment"),
    (_node, "edited", "the tree's node 8/1 is not that of events 257 to 512"),
]


@pytest.mark.parametrize(("tamper", "kind", "message"), TAMPERED, ids=[one[0].__name__[1:] for one in TAMPERED])
def test_what_is_done_to_a_segment_is_found_and_named(
    sealed: SealedLog, tamper: Callable[[SealedLog], None], kind: str, message: str
) -> None:
    known = [sealed.checkpoint(500), sealed.checkpoint(1300)]
    tamper(sealed)
    found = sealed.check(*known)
    assert not found.valid
    assert any(fault.kind == kind and fault.message.startswith(message) for fault in found.faults), found.faults
    # The rest of the log is checked all the same, and nothing else is blamed.
    named = [fault.message for fault in found.faults if "segment" not in fault.message]
    assert len(named) <= (2 if tamper is _beyond else 1), named
    assert found.head.root == sealed.checkpoint().root.hex() or tamper is _beyond


def test_a_lost_segment_is_said_where_it_matters(sealed: SealedLog) -> None:
    known = sealed.checkpoint(501)
    sealed.file(0).unlink()
    audit = sealed.services.audit
    kinds = [fault.kind for fault in sealed.check(known, sealed.checkpoint()).faults]
    assert kinds == ["removed", "unreadable"], "the checkpoint within can't be compared, and the one behind it can"
    with sealed.services.database.read() as session:
        with pytest.raises(SegmentUnreadable, match=f"events 1 to 512 lie in the sealed segment {NAMES[0]}.*missing"):
            audit.find(session, EventFilter(subject="model:m3"), after=None, limit=5)
        with pytest.raises(SegmentUnreadable):
            tree.inclusion(session, audit.sealed, 17, None)
        # Nothing of it is needed here.
        assert audit.find(session, EventFilter(), after=600, limit=5)
        assert audit.find(session, EventFilter(type="ml-platform.audit."), after=None, limit=5)
        new, proof, old_root, new_root = tree.consistency(session, audit.sealed, 512, None)
    assert verify_consistency(512, new, old_root, new_root, proof)


def test_an_altered_event_is_never_given_out(sealed: SealedLog) -> None:
    _edited(sealed)
    with (
        sealed.services.database.read() as session,
        pytest.raises(SegmentUnreadable, match="events 513 to 768 lie in the sealed segment"),
    ):
        sealed.services.audit.find(session, EventFilter(), after=600, limit=5)
    # Nor does one that is not found any more go unnoticed.
    with (
        sealed.services.database.read() as session,
        pytest.raises(SegmentUnreadable, match="events 513 to 768"),
    ):
        sealed.services.audit.find(session, EventFilter(subject="model:nobody"), after=600, limit=5)


def test_whoever_writes_sql_can_take_events_out_and_not_hide_it(sealed: SealedLog) -> None:
    """The triggers go by the table of segments; that a segment is genuine is told by its signature."""
    with sealed.services.database.engine.execution_options(writing=True).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit_segments SELECT 1281, 1290, since, until, manifest, sealed_at "
                "FROM audit_segments WHERE first_seq = 1"
            )
        )
        connection.execute(text("DELETE FROM audit_events WHERE seq BETWEEN 1281 AND 1290"))
    (kind, message), *_ = sealed.said()
    assert (kind, message) == (
        "inserted",
        "segment 0000000000001281-0000000000001290 was inserted: no segment begins and ends there",
    )


@on_one_database
def test_anybody_verifies_the_files_with_the_key(
    sealed: SealedLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = sealed.services.settings.home / "audit" / "key.pub"
    with sealed.services.database.read() as session:
        (tmp_path / "then").write_text(sealed.services.audit.checkpoint(session, 501)[1])
    arguments = ["segments", str(sealed.folder), "--key", str(key), "--checkpoint", str(tmp_path / "then")]
    assert platform_evidence(arguments) == 0
    said = capsys.readouterr().out
    assert "VALID" in said
    assert "3, events 1 to 1280" in said
    assert "1 from a second place compared" in said
    _edited(sealed)
    sealed.file(2).unlink()
    assert platform_evidence([*arguments, "--json"]) == 1
    faults = [one["segment"] + ": " + one["message"] for one in json.loads(capsys.readouterr().out)["faults"]]
    assert faults[0].startswith(f"{NAMES[1]}: its file was altered at the events 513 to 768")
    assert faults[1] == f"{NAMES[2]}: its file is missing"
    sealed.file(1, "manifest").unlink()
    assert platform_evidence(arguments) == 1
    assert "the segments with the events 513 to 1024 are missing before it" in capsys.readouterr().out
    assert platform_evidence(["segments", str(tmp_path), "--key", str(key)]) == 2


def test_a_segment_that_was_deleted_by_policy_is_no_fault(
    sealed: SealedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [sealed.checkpoint(501), sealed.checkpoint(1300)]
    audit, removals = sealed.services.audit, sealed.services.removals
    for _ in range(2):
        removals.remove(1, "retention-run:1", sealed.clock.now())
    (removed,) = sealed.events("ml-platform.audit.segment.removed")
    assert (removed["data"]["first"], removed["data"]["last"], removed["data"]["by"]) == (1, 512, "retention-run:1")
    assert not (sealed.folder / f"{NAMES[0]}.jsonl.gz").exists()
    found = sealed.check(*known, sealed.checkpoint())
    assert found.valid, found.faults
    assert found.sealed == SEALED - 512
    assert [one.message.partition(" at ")[0] for one in found.warnings] == [f"segment {NAMES[0]} was deleted"]
    with sealed.services.database.read() as session:
        rows = audit.find(session, EventFilter(), after=None, limit=5)
        assert [one.seq for one in rows] == [513, 514, 515, 516, 517], "searches find what is there"
        new, proof, old_root, new_root = tree.consistency(session, audit.sealed, 512, None)
        assert verify_consistency(512, new, old_root, new_root, proof)
        with pytest.raises(
            SegmentRemoved, match=f"events 1 to 512 lay in the sealed segment {NAMES[0]}, which retention"
        ):
            tree.inclusion(session, audit.sealed, 17, None)
        since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
        with pytest.raises(reading.LogDamaged, match="the period is not whole any more: events 1 to 512 lay in"):
            reading.span(session, audit, since, until)
    key = sealed.services.settings.home / "audit" / "key.pub"
    assert platform_evidence(["segments", str(sealed.folder), "--key", str(key)]) == 0
    assert "1 segments, by the platform" in capsys.readouterr().out


def test_a_deletion_that_the_platform_did_not_sign_is_found(sealed: SealedLog) -> None:
    sealed.services.removals.remove(1, "retention-run:1", sealed.clock.now())
    sealed.file(1).unlink()
    copy = "INSERT INTO audit_segment_removals SELECT 513, note, removed_at FROM audit_segment_removals"
    with sealed.services.database.engine.execution_options(writing=True).begin() as connection:
        connection.execute(text(copy))
    with (
        sealed.services.database.read() as session,
        pytest.raises(SegmentUnreadable, match=f"{NAMES[1]}.*its deletion is not what the platform signed"),
    ):
        sealed.services.audit.find(session, EventFilter(), after=600, limit=5)
    (kind, message), (missing, _) = sealed.said()
    assert (kind, missing) == ("edited", "removed")
    assert message.startswith(f"segment {NAMES[1]}: its deletion is not what the platform signed: it is the removal of")
    for statement in ("UPDATE audit_segment_removals SET note = ''", "DELETE FROM audit_segment_removals"):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            sealed.services.database.engine.execution_options(writing=True).begin() as connection,
        ):
            connection.execute(text(statement))
