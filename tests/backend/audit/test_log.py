"""The log refuses to be changed; when somebody changes it all the same, verification says which row."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from backend.audit.events import NewEvent, canonical, chained
from backend.audit.service import AuditService
from backend.audit.verify import Verification, read_public_key, verify_database
from backend.core.clock import SystemClock
from backend.core.database import Database
from backend.core.metrics import Metrics
from backend.migrations import upgrade

_GUARDS = {
    "sqlite": "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'",
    "postgresql": "SELECT DISTINCT 'DROP TRIGGER ' || trigger_name || ' ON ' || event_object_table "
    "FROM information_schema.triggers WHERE trigger_name LIKE 'audit%' UNION "
    "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'audit%truncate'",
}


class Log:
    """An audit log with a few events, and what an attacker with the database in hand does to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.database = Database(url)
        upgrade(self.database, folder)
        self.service = AuditService(self.database, SystemClock(), Metrics(), folder / "audit")

    def write(self, *subjects: str, together: bool = False) -> None:
        """Append an event per subject: each in a transaction of its own, or all in one."""
        events = [NewEvent("test.thing.done", subject, "user:default/ada", {"n": 1}) for subject in subjects]
        for batch in [events] if together else [[event] for event in events]:
            with self.database.write() as session:
                self.service.append_many(session, batch)

    def unguarded(self, *statements: str, **values: Any) -> None:
        """Drop the guards, then change what is there."""
        with self.database.engine.begin() as connection:
            kind = connection.dialect.name
            for (drop,) in connection.execute(text(_GUARDS[kind])).all():
                connection.execute(text(drop))
            for statement in statements:
                connection.execute(text(statement), values)

    def row(self, seq: int) -> Any:
        with self.database.engine.connect() as connection:
            return connection.execute(text("SELECT * FROM audit_events WHERE seq = :seq"), {"seq": seq}).one()

    def rewrite(self, seq: int, *, until: int | None = None) -> None:
        """Change an event so that its own hash fits, and the hashes of those after it up to ``until``."""
        document = json.loads(self.row(seq).event)
        document["data"] = {"n": 1_000_000}
        prev = self.row(seq).prev_hash
        for number in range(seq, (until or seq) + 1):
            body = canonical(document if number == seq else json.loads(self.row(number).event))
            hash = chained(prev, body)
            self.unguarded(
                "UPDATE audit_events SET event = :event, prev_hash = :prev, hash = :hash WHERE seq = :seq",
                event=body.decode(), prev=prev, hash=hash, seq=number,
            )  # fmt: skip
            prev = hash

    def check(self) -> Verification:
        return verify_database(self.url, read_public_key(self.folder / "audit" / "key.pub"))

    def faults(self) -> list[tuple[int, str]]:
        return [(fault.seq, fault.kind) for fault in self.check().faults]


@pytest.fixture
def log(database_url: str, tmp_path: Path) -> Iterator[Log]:
    made = Log(database_url, tmp_path)
    made.write(*(f"model:m{number}" for number in range(1, 9)))
    yield made
    made.database.close()


def test_an_untouched_log_is_valid(log: Log) -> None:
    log.write("a", "b", "c", together=True)
    result = log.check()
    assert (result.valid, result.events, result.head.seq, result.signature) == (True, 11, 11, "valid")


def test_an_event_is_a_cloud_event_whose_hash_anyone_can_recompute(log: Log) -> None:
    import hashlib

    row = log.row(3)
    event = json.loads(row.event)
    assert {event["specversion"], event["type"], event["subject"]} == {"1.0", "test.thing.done", "model:m3"}
    assert row.hash == hashlib.sha256((log.row(2).hash + row.event).encode()).hexdigest()


@pytest.mark.parametrize("table", ["audit_events", "audit_checkpoints", "audit_head"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET hash = 'x'",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "INSERT OR REPLACE INTO {} SELECT * FROM {} WHERE seq = 3",
    ],
)
def test_the_database_refuses(log: Log, table: str, statement: str) -> None:
    kind = log.database.engine.dialect.name
    if ("TRUNCATE" in statement and kind == "sqlite") or (
        "REPLACE" in statement and (kind, table) != ("sqlite", "audit_events")
    ):
        pytest.skip("not a statement of this database, or no row to replace")
    with (
        pytest.raises(DatabaseError, match=r"append-only|only moves forward"),
        log.database.engine.begin() as connection,
    ):
        connection.execute(text(statement.format(table, table)))
    assert log.check().valid


def test_an_event_and_its_change_stand_or_fall_together(log: Log) -> None:
    def change() -> None:
        with log.database.write() as session:
            log.service.append(session, type="t", subject="s", actor="a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert log.check().events == 8


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event", "{}"),
        ("subject", "model:other"),
        ("actor", "user:default/eve"),
        ("type", "x"),
        ("time", "2020-01-01T00:00:00.000000Z"),
        ("id", "0"),
        ("hash", "0" * 64),
        ("prev_hash", "1" * 64),
    ],
)
@pytest.mark.parametrize("seq", [1, 4, 8])
def test_an_edited_row_is_named(log: Log, column: str, value: str, seq: int) -> None:
    log.unguarded(f"UPDATE audit_events SET {column} = :value WHERE seq = :seq", value=value, seq=seq)
    assert log.faults() == [(seq, "edited")]


@pytest.mark.parametrize("seq", [1, 4, 8])
def test_an_edited_row_whose_hash_was_made_to_fit_is_named(log: Log, seq: int) -> None:
    log.rewrite(seq)
    assert log.faults() == [(seq, "edited")]


@pytest.mark.parametrize("seq", [1, 4, 8])
def test_where_a_whole_chain_was_rewritten_is_named(log: Log, seq: int) -> None:
    log.rewrite(seq, until=8)
    assert log.faults() == [(seq, "edited")]


def test_a_rewritten_batch_is_named_by_its_bounds(log: Log) -> None:
    log.write("a", "b", "c", "d", together=True)
    log.rewrite(10, until=12)
    (fault,) = log.check().faults
    assert (fault.seq, fault.kind) == (9, "edited")
    assert "from 9 to 12" in fault.message


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_a_removed_row_is_named(log: Log, seq: int) -> None:
    log.unguarded("DELETE FROM audit_events WHERE seq = :seq", seq=seq)
    assert log.faults() == [(seq, "removed")]


def test_a_removed_row_is_named_when_the_numbers_were_closed_up(log: Log) -> None:
    # Row by row, as a database that checks keys at once needs it.
    moves = [f"UPDATE audit_events SET seq = {number - 1} WHERE seq = {number}" for number in (5, 6, 7, 8)]
    log.unguarded("DELETE FROM audit_events WHERE seq = 4", *moves)
    assert log.faults() == [(4, "removed")]


def test_many_removed_rows_are_one_fault(log: Log) -> None:
    log.unguarded("DELETE FROM audit_events WHERE seq BETWEEN 2 AND 5")
    (fault,) = log.check().faults
    assert (fault.seq, fault.kind, fault.message) == (2, "removed", "events 2 to 5 are missing")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_rows_cut_off_at_the_end_are_found(log: Log, count: int) -> None:
    log.unguarded(
        "DELETE FROM audit_events WHERE seq > :last", "DELETE FROM audit_checkpoints WHERE seq > :last", last=8 - count
    )
    assert log.faults() == [(9 - count, "truncated")]


def test_a_head_that_was_moved_back_is_found(log: Log) -> None:
    last = log.row(5)
    log.unguarded(
        "DELETE FROM audit_events WHERE seq > 5",
        "UPDATE audit_head SET seq = 5, hash = :hash, signature = (SELECT signature FROM audit_checkpoints WHERE seq = 5)",
        hash=last.hash,
    )
    result = log.check()
    assert (result.valid, result.signature) == (False, "invalid")


def test_a_missing_head_is_found(log: Log) -> None:
    log.unguarded("DELETE FROM audit_head")
    assert [kind for _, kind in log.faults()] == ["truncated"]
    with pytest.raises(RuntimeError, match="no head"):
        log.write("more")


def test_an_appended_row_is_found(log: Log) -> None:
    row = log.row(8)
    document = {**json.loads(row.event), "sequence": "9".zfill(16), "id": "forged"}
    body = canonical(document)
    log.unguarded(
        "INSERT INTO audit_events (seq, id, type, subject, actor, time, event, prev_hash, hash) "
        "VALUES (9, 'forged', :type, :subject, :actor, :time, :event, :prev, :hash)",
        type=row.type, subject=row.subject, actor=row.actor, time=row.time,
        event=body.decode(), prev=row.hash, hash=chained(row.hash, body),
    )  # fmt: skip
    assert log.faults() == [(9, "inserted")]


def test_a_row_squeezed_in_between_is_found(log: Log) -> None:
    row, before = log.row(4), log.row(3)
    document = {**json.loads(row.event), "id": "forged"}
    body = canonical(document)
    moves = [f"UPDATE audit_events SET seq = {number + 1} WHERE seq = {number}" for number in (8, 7, 6, 5, 4)]
    log.unguarded(
        *moves,
        "INSERT INTO audit_events (seq, id, type, subject, actor, time, event, prev_hash, hash) "
        "VALUES (4, 'forged', :type, :subject, :actor, :time, :event, :prev, :hash)",
        type=row.type, subject=row.subject, actor=row.actor, time=row.time,
        event=body.decode(), prev=before.hash, hash=chained(before.hash, body),
    )  # fmt: skip
    assert log.faults() == [(4, "inserted")]


@pytest.mark.parametrize(("one", "other"), [(3, 4), (1, 2), (2, 6), (7, 8)])
def test_swapped_rows_are_found(log: Log, one: int, other: int) -> None:
    log.unguarded(
        f"UPDATE audit_events SET seq = 1000 WHERE seq = {one}",
        f"UPDATE audit_events SET seq = {one} WHERE seq = {other}",
        f"UPDATE audit_events SET seq = {other} WHERE seq = 1000",
    )
    faults = log.check().faults
    assert {fault.kind for fault in faults} == {"reordered"}
    assert {fault.seq for fault in faults} <= set(range(one, other + 1))


def test_two_faults_are_both_named(log: Log) -> None:
    log.unguarded("UPDATE audit_events SET subject = 'x' WHERE seq = 2", "DELETE FROM audit_events WHERE seq = 6")
    assert sorted(log.faults()) == [(2, "edited"), (6, "removed")]


def test_a_log_signed_with_another_key_is_found(log: Log, tmp_path: Path) -> None:
    other = AuditService(log.database, SystemClock(), Metrics(), tmp_path / "other")
    with log.database.write() as session:
        other.append(session, type="t", subject="s", actor="a")
    assert log.check().signature == "made with another key"


@pytest.mark.parametrize(
    "data",
    [{"x": float("nan")}, {"x": 2**70}, {"x": "\ud800"}, {"x": "\x00"}, {1: {2, 3}}, {"x": object}, {"ünï": "\u2028"}],
)
def test_no_data_keeps_an_event_from_being_written(log: Log, data: dict[Any, Any]) -> None:
    with log.database.write() as session:
        log.service.append(session, type="t", subject="s\x00", actor="a\ud800", data=data)
    assert log.check().valid


def test_writers_at_once_make_one_chain(log: Log) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.write(f"s{number}"), range(40)))
    result = log.check()
    assert (result.valid, result.events) == (True, 48)


def run_verify(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "backend.audit.verify", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_log_is_verified_without_the_platform(log: Log, tmp_path: Path) -> None:
    key = ["--key", str(tmp_path / "audit" / "key.pub")]
    good = run_verify("--database", log.url, *key)
    assert (good.returncode, good.stdout.splitlines()[0]) == (0, f"valid: 8 events, head 8 {log.row(8).hash}")
    log.unguarded("UPDATE audit_events SET actor = 'user:default/eve' WHERE seq = 5")
    bad = run_verify("--database", log.url, *key, "--json")
    assert bad.returncode == 1
    assert [(fault["seq"], fault["kind"]) for fault in json.loads(bad.stdout)["faults"]] == [(5, "edited")]


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite:////nowhere/platform.db", "nonsense", "postgresql://127.0.0.1:1/none"])
def test_what_cannot_be_verified_is_an_error_not_a_verdict(url: str) -> None:
    answer = run_verify("--database", url)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: ")
    assert "Traceback" not in answer.stderr


def test_a_check_during_writing_sees_one_moment(log: Log) -> None:
    import threading

    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            log.write("s")

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        results = [log.check() for _ in range(20)]
    finally:
        stop.set()
        writer.join()
    assert all(result.valid for result in results)
    assert results[-1].events > results[0].events
