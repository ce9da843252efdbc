"""Old events leave the table for sealed files, and what reads the log reads on."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from backend.audit import reading, tree
from backend.audit.models import SealingState
from backend.audit.repository import EventFilter
from backend.audit.sealed import SealedSegments
from backend.audit.segment_store import FolderStore, ObjectStore, StoreFailed
from backend.audit.work import SealingWork
from backend.core.config import Settings
from backend.privacy import repository as privacy_repository
from evidence.merkle import verify_consistency, verify_inclusion
from evidence.segments import BLOCK, open_segment
from tests.conftest import SetClock
from tests.marks import on_one_database
from tests.object_store import s3_server

from ..conftest import Backend, Someone
from .sealed_log import NAMES, OLD, OPERATOR, SEALED, SealedLog

pytestmark = pytest.mark.slow


WANTED = [
    EventFilter(),
    EventFilter(subject="model:m3"),
    EventFilter(subject="model:new1"),
    EventFilter(subject="model:m"),
    EventFilter(type="test.thing.used"),
    EventFilter(type="test.thing."),
    EventFilter(type="test.", actor="user:default/grace"),
    EventFilter(actor="user:default/nobody"),
    EventFilter(since=datetime(2026, 3, 2, 12, tzinfo=UTC), until=datetime(2026, 3, 3, 13, tzinfo=UTC)),
    EventFilter(subject="model:m2", until=datetime(2026, 3, 2, tzinfo=UTC)),
]


def answers(log: SealedLog) -> dict[str, Any]:
    """All that can be read of the log's first events."""
    audit, database = log.services.audit, log.services.database
    found: dict[str, Any] = {}
    until = datetime(2026, 3, 30, tzinfo=UTC)
    with database.read() as session:
        for number, wanted in enumerate(WANTED):
            for newest_first in (False, True):
                rows, after = [], (OLD + 11 if newest_first else None)
                while page := audit.find(session, wanted, after=after, limit=333, newest_first=newest_first):
                    after = page[-1].seq
                    rows += [(one.seq, one.id, one.event, one.prev_hash, one.hash, one.time) for one in page]
                found[f"{number} {newest_first}"] = [one for one in rows if one[0] <= OLD + 10]
        found["about"] = audit.about(
            session, "model:m4", "test.thing.made", datetime(2026, 3, 1, tzinfo=UTC), until, 50
        )
        found["events"] = list(audit.events(session, "test.other", datetime(2026, 3, 2, tzinfo=UTC), until))
        found["newest"] = audit.newest(session, "test.other")
        found["began"] = audit.began(session)
        found["subjects"] = reading.about(session, audit.sealed, {"model:m1", "model:m2"}, ["test.other"], 1290)
        for size in (1, 300, 512, 777, 1280, 1300):
            found[f"frontier {size}"] = reading.frontier(session, audit.sealed, size)
        since = datetime(2026, 3, 2, tzinfo=UTC)
        span = reading.span(session, audit, since, datetime(2026, 3, 4, tzinfo=UTC))
        found["span"] = (span.first, span.first_within, span.last_within, span.note)
    found["texts"] = list(reading.texts(database, audit.sealed, 200, 1305))
    found["types"] = list(reading.of_types(database, audit.sealed, ["test.other", "test.thing.made"], 100, 1305))
    return found


def test_what_reads_the_log_reads_on(sealable: SealedLog) -> None:
    before = answers(sealable)
    assert len(before["0 False"]) == len(before["0 True"]) == OLD + 10
    done = sealable.seal()
    assert (done.state, done.segments, done.events, done.reason) == (SealingState.DONE, 3, SEALED, None)
    assert sealable.count(f"seq <= {SEALED}") == 0
    assert sealable.count(f"seq > {SEALED}") == OLD - SEALED + 10 + 5
    after = answers(sealable)
    for name, said in before.items():
        assert after[name] == said, name
    assert [one["data"]["last"] for one in sealable.events("ml-platform.audit.segment.sealed")] == [512, 1024, 1280]
    (finished,) = sealable.events("ml-platform.audit.sealing.finished")
    assert (finished["data"]["outcome"], finished["data"]["events"]) == ("done", SEALED)
    result = sealable.check(sealable.checkpoint(500), sealable.checkpoint(501), sealable.checkpoint())
    assert result.valid, result.faults
    assert (result.events, result.sealed, result.segments) == (OLD + 10 + 5, SEALED, 3)


def test_what_the_files_are(sealed: SealedLog) -> None:
    """Plain gzip with an event a line, beside a signed note; nobody may write them."""
    lines = gzip.decompress(sealed.file(1).read_bytes()).splitlines()
    assert [int(json.loads(one)["sequence"]) for one in lines] == list(range(513, 1025))
    manifest = open_segment(sealed.file(1, "manifest").read_text(), sealed.services.audit.verifier)
    assert (manifest.first, manifest.last, len(manifest.blocks)) == (513, 1024, 2)
    assert sum(manifest.types.values()) == 512
    assert sorted(one.name for one in sealed.folder.iterdir()) == sorted(
        f"{name}.{kind}" for name in NAMES for kind in ("jsonl.gz", "manifest")
    )
    assert (sealed.folder / f"{NAMES[0]}.jsonl.gz").stat().st_mode & 0o777 == 0o400
    assert sealed.folder.stat().st_mode & 0o777 == 0o700


def test_proofs_are_made_as_before(sealed: SealedLog) -> None:
    audit = sealed.services.audit
    root = sealed.checkpoint().root
    with sealed.services.database.read() as session:
        for seq in (1, 256, 257, 600, 1280, 1281):
            size, proof, leaf, found = tree.inclusion(session, audit.sealed, seq, None)
            assert found == root
            assert verify_inclusion(leaf, seq - 1, size, proof, root)
        for old in (1, 300, 501, 1024, 1290):
            new, proof, old_root, new_root = tree.consistency(session, audit.sealed, old, None)
            assert verify_consistency(old, new, old_root, new_root, proof)
    assert old_root == audit.checkpoint(session, 1300)[0].root or old == 1290


def test_what_is_young_or_no_whole_block_stays(sealable: SealedLog) -> None:
    sealable.seal()
    assert sealable.seal().events == 0
    sealable.clock.move(days=31)
    sealable.write(1)
    done = sealable.seal()
    assert done.segments == 0, "fewer than 256 events are left"
    sealable.write(300)
    sealable.clock.move(days=29)
    assert sealable.seal().segments == 0
    sealable.clock.move(days=2)
    assert sealable.seal().events == BLOCK
    assert sealable.check().valid


def test_the_database_lets_go_of_what_is_sealed_and_of_nothing_else(sealed: SealedLog) -> None:
    last = SEALED + 1
    for statement in (
        f"DELETE FROM audit_events WHERE seq = {last}",
        "DELETE FROM audit_events",
        "UPDATE audit_events SET event = 'x'",
        "UPDATE audit_segments SET last_seq = 1290",
        "DELETE FROM audit_segments",
        "INSERT INTO audit_segments SELECT 1282, 1290, since, until, manifest, sealed_at FROM audit_segments WHERE first_seq = 1",
        "INSERT INTO audit_segments SELECT 1281, 9999, since, until, manifest, sealed_at FROM audit_segments WHERE first_seq = 1",
        "INSERT INTO audit_segments SELECT 1, 9999, since, until, manifest, sealed_at FROM audit_segments WHERE first_seq = 1",
    ):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            sealed.services.database.engine.execution_options(writing=True).begin() as connection,
        ):
            connection.execute(text(statement))
    assert sealed.check().valid


def test_a_log_that_was_tampered_with_is_not_sealed(sealable: SealedLog) -> None:
    sealable.unguarded("UPDATE audit_events SET event = replace(event, 'model:m', 'model:x') WHERE seq = 8")
    done = sealable.seal()
    assert (done.state, done.segments) == (SealingState.FAILED, 0)
    assert done.reason is not None
    assert "run `platform audit verify`" in done.reason
    assert sealable.count("seq <= 1300") == OLD
    (finished,) = sealable.events("ml-platform.audit.sealing.finished")
    assert finished["data"]["outcome"] == "failed"


@on_one_database
def test_a_tree_that_was_made_to_fit_is_not_sealed(sealable: SealedLog) -> None:
    """Row, chain and nodes fit each other; the checkpoint that was signed does not."""
    sealable.unguarded("UPDATE audit_nodes SET hash = '{}' WHERE position = 1".format("0" * 64))
    assert "was signed for" in (sealable.seal().reason or "")


@on_one_database
def test_a_hold_on_the_log_keeps_it_as_it_is(sealable: SealedLog) -> None:
    holds = sealable.services.privacy.holds
    with sealable.services.database.write() as session:
        hold = holds.place(session, OPERATOR, "audit:log", "lawsuit 17/2026").id
    done = sealable.seal()
    assert (done.state, done.segments) == (SealingState.HELD, 0)
    assert "lawsuit 17/2026" in (done.reason or "")
    with sealable.services.database.read() as session:
        assert "lawsuit" in (sealable.services.sealing.plan(session).held or "")
    with sealable.services.database.write() as session:
        holds.release(session, OPERATOR, hold, "settled")
    assert sealable.seal().segments == 3


@on_one_database
def test_retention_deletes_segments_with_a_certificate_unless_anything_is_held(
    database_url: str, tmp_path: Path, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SealedLog(tmp_path / "home", database_url, set_clock, retention={"schedule": None, "auditSegments": "90d"})
    monkeypatch.setattr(log.services.runtime, "wait", lambda _seconds: None)
    log.write_old()
    log.seal()
    assert retained(log) == {}
    set_clock.move(days=54)
    assert retained(log) == {}
    set_clock.move(hours=1)
    with log.services.database.write() as session:
        hold = log.services.privacy.holds.place(session, OPERATOR, "kind:run", "lawsuit 17/2026").id
    assert retained(log) == dict.fromkeys(NAMES, "kept")
    with log.services.database.write() as session:
        log.services.privacy.holds.release(session, OPERATOR, hold, "settled")
    assert retained(log) == dict.fromkeys(NAMES, "deleted")
    assert retained(log) == {}
    assert log.check().valid
    certificates = log.events("ml-platform.privacy.certificate.signed")
    assert certificates[-2]["data"]["deleted"] == 3
    log.services.database.close()


def retained(log: SealedLog) -> dict[str, str]:
    """Do a run of retention; return what became of which segment."""
    retention = log.services.privacy.retention
    with log.services.database.write() as session:
        id = retention.request(session, OPERATOR, dry_run=False).id
    for step in (retention._plan, retention._delete, retention._certify):
        step(id)
    with log.services.database.read() as session:
        found = privacy_repository.items(session, id, after=-1, limit=100)
        return {one.name: one.state for one in found if one.kind == "audit_segment"}


@on_one_database
def test_the_schedule_begins_one_sealing_when_its_time_has_come(
    database_url: str, tmp_path: Path, set_clock: SetClock
) -> None:
    log = SealedLog(tmp_path / "home", database_url, set_clock, schedule="0 4 1 * *")
    log.write_old()
    work = SealingWork(log.services)
    for _ in range(2):
        work._looked = float("-inf")
        work.beat(changed=False)
    with log.services.database.read() as session:
        (id,) = work.waiting(session)
    assert log.go_on(id).events == SEALED
    work._looked = float("-inf")
    work.beat(changed=False)
    with log.services.database.read() as session:
        assert work.waiting(session) == [], "the next is due on the first of the next month"
    log.services.database.close()


def test_a_reader_whom_sealing_overtakes_misses_nothing(sealable: SealedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    horizon, done = SealedSegments.horizon, False

    def overtaken(self: SealedSegments, session: Any) -> int:
        nonlocal done
        found = horizon(self, session)
        if not done:
            done = True
            sealable.seal()
        return found

    monkeypatch.setattr(SealedSegments, "horizon", overtaken)
    with sealable.services.database.read() as session:
        rows = sealable.services.audit.find(session, EventFilter(), after=None, limit=OLD + 10)
    assert [one.seq for one in rows] == list(range(1, OLD + 11))


@on_one_database
def test_an_object_store_holds_segments(sealable: SealedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    with s3_server() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="audit-segments")
        store = ObjectStore("s3://audit-segments/top")
        sealable.services.audit.sealed.store = store
        before = answers(sealable)
        assert sealable.seal().segments == 3
        assert answers(sealable) == before
        assert sealable.check(store=store).valid
        elsewhere = sealable.check(store=ObjectStore("s3://audit-segments/elsewhere"))
        assert [one.kind for one in elsewhere.faults].count("removed") == 6
        sealable.services.removals.remove(1, "retention-run:1", sealable.clock.now())
        assert sealable.check(store=store).valid
        with pytest.raises(FileNotFoundError):
            store.read(f"{NAMES[0]}.jsonl.gz", 0, 1)
    unknown = ObjectStore("nosuch://bucket")
    assert [one.kind for one in sealable.check(store=unknown).faults].count("unreadable") == 4
    with pytest.raises(StoreFailed, match="nosuch"):
        unknown.read("x", 0, 1)


@on_one_database
def test_a_store_that_does_not_keep_what_it_is_given_ends_the_sealing(
    sealable: SealedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FolderStore.put

    def losing(self: FolderStore, name: str, file: Path) -> None:
        file.write_bytes(file.read_bytes()[:-1])
        put(self, name, file)

    monkeypatch.setattr(FolderStore, "put", losing)
    done = sealable.seal()
    assert done.state == SealingState.FAILED
    assert "gives back another file" in (done.reason or "")
    assert sealable.count("seq <= 1300") == OLD


@pytest.mark.parametrize(
    "sealing",
    [
        {"keep": "1h"},
        {"segmentEvents": 100},
        {"segmentEvents": 300},
        {"store": "s3://key:secret@bucket/x"},
        {"store": "relative/path"},
        {"schedule": "whenever"},
    ],
)
def test_a_setting_that_is_none_is_refused(sealing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate({"audit": {"sealing": sealing}})


@on_one_database
def test_who_may_seal_and_what_is_said(backend: Backend, ada: Someone) -> None:
    operator = backend.someone("operator")
    answer = operator.post("/audit/sealings")
    assert answer.status_code == 409
    assert "mlPlatform.audit.sealing.keep" in answer.json()["fix"]
    assert operator.get("/audit/segments/plan").status_code == 409
    refused = ada.post("/audit/sealings")
    assert refused.status_code == 403
    assert operator.events(type="ml-platform.audit.sealing.refused")
    assert operator.get("/audit/segments").json()["items"] == []
    assert operator.get("/audit/sealings/00000000-0000-7000-8000-000000000000").status_code == 404
