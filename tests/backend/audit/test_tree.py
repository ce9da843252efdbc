"""The log as a Merkle tree: proofs through the routes, and what only a checkpoint from elsewhere can show."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from backend import migrations
from backend.audit import tree
from backend.audit.events import NewEvent
from backend.audit.service import AuditService
from backend.audit.verify import read_public_key, verify_database
from backend.core.metrics import Metrics
from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from evidence.notes import read_key
from tests.conftest import SetClock

from .test_log import Log


@pytest.fixture
def log(database_url: str, tmp_path: Path) -> Iterator[Log]:
    made = Log(database_url, tmp_path)
    yield made
    made.database.close()


def write(log: Log, count: int, mark: str = "x") -> None:
    with log.database.write() as session:
        log.service.append_many(session, [NewEvent("t", f"{mark}:{number}", "a") for number in range(count)])


def checkpoint(log: Log) -> Checkpoint:
    with log.database.read() as session:
        found, note = log.service.checkpoint(session)
    assert open_checkpoint(note, log.service.verifier) == found
    return found


def root_over(log: Log, size: int) -> bytes:
    found = Frontier()
    with log.database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT event FROM audit_events WHERE seq <= :size ORDER BY seq"), {"size": size}
        )
        for (said,) in rows:
            found.append(leaf_hash(said.encode()))
    return found.root()


def test_each_transaction_leaves_a_checkpoint_over_all_events(log: Log) -> None:
    for size in (1, 3, 300):
        write(log, size)
        found = checkpoint(log)
        assert found.root == root_over(log, found.size)
    assert checkpoint(log).size == 304


def test_proofs_are_made_from_a_few_rows(log: Log) -> None:
    for count in (1, 255, 700, 1200, 44):
        write(log, count)
    read = 0

    def count_rows(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal read
        read += "audit_segments" not in statement  # where the table begins, which is a look at an index

    for seq, size in ((1, 2200), (256, 256), (257, 1111), (2200, 2200), (700, 701)):
        with log.database.read() as session:
            found = tree.inclusion(session, log.service.sealed, seq, size)
            said = session.execute(text("SELECT event FROM audit_events WHERE seq = :seq"), {"seq": seq}).scalar_one()
        assert found[2] == leaf_hash(said.encode())
        assert verify_inclusion(found[2], seq - 1, size, found[1], root_over(log, size))
    for old, new in ((1, 2200), (256, 257), (999, 1999), (2200, 2200)):
        with log.database.read() as session:
            sqlalchemy_event.listen(log.database.engine, "before_cursor_execute", count_rows)
            _, proof, old_root, new_root = tree.consistency(session, log.service.sealed, old, new)
            sqlalchemy_event.remove(log.database.engine, "before_cursor_execute", count_rows)
        assert (old_root, new_root) == (root_over(log, old), root_over(log, new))
        assert verify_consistency(old, new, old_root, new_root, proof)
    # Blocks of 256: those around the two ends, and the level above.
    assert read <= 4 * 6


def test_the_verification_says_what_is_wrong_with_the_tree_alone(log: Log) -> None:
    write(log, 600)
    assert log.check().valid
    good = log.check().head.root
    for statement, said in (
        ("UPDATE audit_nodes SET hash = '{}' WHERE position = 1".format("0" * 64), "events 257 to 512"),
        ("DELETE FROM audit_nodes WHERE position = 1", "1 nodes of the tree are missing"),
        ("UPDATE audit_checkpoints SET root = '{}'".format("0" * 64), "holds another root"),
        ("UPDATE audit_head SET frontier = ''", "right edge"),
        ("DELETE FROM audit_checkpoints", "checkpoint at event 600 is missing"),
    ):
        log.unguarded(statement)
        (fault,) = log.check().faults
        assert said in fault.message
        if "frontier" in statement:
            with pytest.raises(RuntimeError, match="audit verify"):
                write(log, 1)
        _restore(log, 600)
    assert log.check().head.root == good


def _restore(log: Log, size: int) -> None:
    """Put tree and checkpoint back as they were."""
    rows: list[dict[str, Any]] = []
    found = Frontier(completed=lambda level, position, hash: rows.append({"l": level, "p": position, "h": hash.hex()}))
    with log.database.engine.connect() as connection:
        for (said,) in connection.execute(text("SELECT event FROM audit_events ORDER BY seq")):
            found.append(leaf_hash(said.encode()))
        chain = connection.execute(text("SELECT hash FROM audit_head")).scalar_one()
    said = Checkpoint(log.service.verifier.origin, size, found.root(), chain)
    signature = log.service._sign(said.text.encode())
    frontier = "".join(one.hex() for one in found.hashes)
    log.unguarded("DELETE FROM audit_nodes", "DELETE FROM audit_checkpoints")
    for row in rows:
        if row["l"] == 8:
            log.unguarded("INSERT INTO audit_nodes (level, position, hash) VALUES (:l, :p, :h)", **row)
    log.unguarded(
        "INSERT INTO audit_checkpoints (seq, hash, root, signature) VALUES (:seq, :hash, :root, :signature)",
        seq=size, hash=chain, root=found.root().hex(), signature=signature,
    )  # fmt: skip
    log.unguarded("UPDATE audit_head SET frontier = :frontier", frontier=frontier)
    assert log.check().valid, log.check().faults


def rewritten(log: Log, folder: Path, count: int) -> Log:
    """What somebody with database and key makes of the log: another one, whole and signed."""
    other = Log(f"sqlite:///{folder / 'other.db'}", folder)
    other.service.key, other.service.verifier = log.service.key, log.service.verifier
    write(other, 1)
    write(other, count - 1, "forged")
    return other


def test_a_log_rewritten_with_its_own_key_is_found_by_a_checkpoint_from_elsewhere(log: Log, tmp_path: Path) -> None:
    write(log, 1)
    first = checkpoint(log)
    write(log, 9)
    second = checkpoint(log)
    write(log, 5)
    key = read_public_key(log.folder / "audit" / "key.pub")
    assert verify_database(log.url, key, [second, first]).valid
    (tmp_path / "other").mkdir()
    other = rewritten(log, tmp_path / "other", 15)
    # Its events have ids and times of their own, so even the first differs.
    assert verify_database(other.url, key).valid
    (fault,) = verify_database(other.url, key, [first, second]).faults
    assert (fault.seq, fault.kind) == (1, "edited")
    assert "rewritten" in fault.message
    other.database.close()


def test_a_log_cut_off_with_its_own_key_is_found(log: Log, tmp_path: Path) -> None:
    write(log, 20)
    later = checkpoint(log)
    (tmp_path / "other").mkdir()
    other = rewritten(log, tmp_path / "other", 12)
    (fault,) = verify_database(other.url, read_public_key(log.folder / "audit" / "key.pub"), [later]).faults
    assert (fault.seq, fault.kind) == (13, "truncated")
    assert "had 20 events, and it has 12" in fault.message
    other.database.close()


def test_a_clock_that_went_back_is_a_warning(log: Log, set_clock: SetClock) -> None:
    service = AuditService(log.database, set_clock, Metrics(), log.folder / "audit")
    for hours in (0, 1, -3, 1):
        set_clock.move(hours=hours)
        with log.database.write() as session:
            service.append(session, type="t", subject="s", actor="a")
    result = log.check()
    assert result.valid
    (warning,) = result.warnings
    assert warning.seq == 3
    assert "the clock went back" in warning.message


@pytest.mark.parametrize("events", [0, 1, 700])
def test_a_log_from_before_gets_its_tree(events: int, tmp_path: Path) -> None:
    log = Log(f"sqlite:///{tmp_path / 'platform.db'}", tmp_path)
    write(log, events)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    expected = root_over(log, events)
    with log.database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        command.upgrade(config, "head")
        connection.commit()
    if events:
        assert checkpoint(log).root == expected
    write(log, 1)
    assert checkpoint(log).root == root_over(log, events + 1)
    result = log.check()
    assert result.valid, result.faults
    with log.database.engine.connect() as connection, pytest.raises(Exception, match="only moves forward"):
        connection.execute(text("UPDATE audit_head SET seq = 0"))
    log.database.close()


def test_anybody_can_verify_with_the_file_that_was_kept(log: Log, tmp_path: Path) -> None:
    write(log, 5)
    with log.database.read() as session:
        note = log.service.checkpoint(session)[1]
    (tmp_path / "then.checkpoint").write_text(note)
    write(log, 5)
    arguments = ["--database", log.url, "--key", str(log.folder / "audit" / "key.pub"), "--json"]
    arguments += ["--checkpoint", str(tmp_path / "then.checkpoint")]
    code = "import sys; from backend.audit.verify import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["checkpoints"] == 1
    (tmp_path / "then.checkpoint").write_text(note.replace("\n5\n", "\n6\n"))
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "changed after it was signed" in done.stderr


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("checkpoint", {"size": 100_000}, 404, "no checkpoint"),
        ("checkpoint", {"size": 0}, 422, "greater than or equal to 1"),
        ("proofs/inclusion", {}, 422, "query/seq"),
        ("proofs/inclusion", {"seq": 100_000}, 404, "has no event 100000"),
        ("proofs/inclusion", {"seq": 2, "size": 1}, 404, "has no event 2"),
        ("proofs/inclusion", {"seq": 1, "size": 100_000}, 422, "query/size"),
        ("proofs/consistency", {"from": 2, "to": 1}, 422, "is larger than 1"),
        ("proofs/consistency", {"from": 1, "to": 100_000}, 422, "query/to"),
    ],
)
def test_what_can_not_be_proved_is_said(ada: Any, path: str, query: dict[str, int], status: int, said: str) -> None:
    answer = ada.get(f"/audit/{path}", **query)
    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_proofs_over_http_verify_with_nothing_but_the_answers(ada: Any) -> None:
    ada.bind_key()
    found = ada.get("/audit/checkpoint").json()
    opened = open_checkpoint(found["checkpoint"], read_key(found["key"]))
    assert (opened.size, opened.root.hex(), opened.origin) == (found["size"], found["root"], found["origin"])
    proof = ada.get("/audit/proofs/inclusion", seq=1, size=opened.size).json()
    hashes = [bytes.fromhex(one) for one in proof["proof"]]
    assert verify_inclusion(bytes.fromhex(proof["leaf"]), 0, proof["size"], hashes, opened.root)
    proof = ada.get("/audit/proofs/consistency", **{"from": 1, "to": opened.size}).json()
    hashes = [bytes.fromhex(one) for one in proof["proof"]]
    roots = (bytes.fromhex(proof["fromRoot"]), bytes.fromhex(proof["toRoot"]))
    assert verify_consistency(proof["from"], proof["to"], *roots, hashes)
    assert ada.post("/audit/verification", {"checkpoints": [found["checkpoint"]]}).json()["valid"] is True
    forged = ada.post("/audit/verification", {"checkpoints": [found["checkpoint"].replace("chain", "chaim")]})
    assert forged.status_code == 422
    assert "/checkpoints/0" in forged.json()["detail"]
