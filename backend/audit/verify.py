"""Check the whole audit log, with the platform or without it.

Without it: ``python -m backend.audit.verify --database sqlite:///.mlplatform/platform.db [--key HOME/audit/key.pub]
[--segments HOME/audit/segments] [--checkpoint FILE]``.
"""

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from backend.audit.chain import ChainCheck, Fault
from backend.audit.events import CHECKPOINT, HEAD, signed_text
from backend.audit.models import GENESIS
from backend.audit.segment_check import SegmentCheck
from backend.audit.segment_store import SegmentStore, open_store
from backend.audit.tree import unsigned_checkpoint
from backend.audit.tree_check import TreeCheck, Warned
from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey
from mlplatform.attest.keys import PublicKey

_CHUNK = 5000
_ROWS = text(
    "SELECT seq, id, type, subject, actor, time, event, prev_hash, hash FROM audit_events WHERE seq > :sealed ORDER BY seq"
)
_HEAD = text("SELECT seq, hash, key_id, signature, frontier FROM audit_head WHERE id = 1")
_CHECKPOINT = text("SELECT hash, root, signature FROM audit_checkpoints WHERE seq = :seq")
_CHECKPOINTS = text("SELECT seq FROM audit_checkpoints ORDER BY seq")
_EVENT = text("SELECT id, hash FROM audit_events WHERE seq = :seq")
_BEFORE = text("SELECT prev_hash FROM audit_events WHERE seq > :sealed ORDER BY seq LIMIT 1")


@dataclass(frozen=True)
class Head:
    """The end of the chain as the platform signed it."""

    seq: int
    hash: str
    root: str | None = None


@dataclass(frozen=True)
class Verification:
    """What a check of the whole log found. ``sealed`` of the events lie in ``segments`` sealed segments."""

    valid: bool
    events: int
    head: Head
    faults: list[Fault]
    signature: str
    checkpoints: int = 0
    warnings: list[Warned] = field(default_factory=list)
    segments: int = 0
    sealed: int = 0


def verify(
    connection: Connection,
    key: PublicKey | None,
    known: Sequence[Checkpoint] = (),
    store: SegmentStore | None = None,
) -> Verification:
    """Check every event, the head and the tree. Without the platform's public key, signatures are not looked at.

    ``known`` are earlier checkpoints from elsewhere, opened with the platform's key: the log has to go on from each.
    ``store`` is where sealed segments lie; one that can't be read there is a fault, and the check goes on behind it.
    The connection's transaction should be a snapshot, or events that are written meanwhile look like faults.
    """
    tree = TreeCheck(known)
    sealed = SegmentCheck(connection, key, store, tree)
    sealed.run()
    check = ChainCheck(
        is_genuine=lambda seq, hash: _vouched(connection, key, seq, hash),
        start=sealed.horizon,
        start_hash=sealed.chain or _hash_before(connection, sealed.horizon),
    )
    head = connection.execute(_HEAD).one_or_none()
    streaming = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK)
    for chunk in streaming.execute(_ROWS, {"sealed": sealed.horizon}).partitions(_CHUNK):
        check.feed_all(chunk)
        tree.feed_all(chunk)
    check.finish(head.hash if head else None)
    signature, faults = _judged(connection, key, head, check)
    faults = sealed.faults + faults
    if head is not None and not faults:
        # A fault of the chain shows in the tree as well, and is told once.
        faults = tree.kept(connection, head.frontier) or _unlike_checkpoint(connection, key, tree)
    faults += tree.compared()
    said = Head(head.seq, head.hash, tree.root().hex()) if head else Head(0, GENESIS)
    return Verification(
        not faults,
        sealed.events + check.events,
        said,
        faults,
        signature,
        len(known),
        tree.warnings,
        sealed.segments,
        sealed.events,
    )


def _judged(connection: Connection, key: PublicKey | None, head: Any, check: ChainCheck) -> tuple[str, list[Fault]]:
    """Compare the chain with its signed head; return what came of the signature, and all faults of the chain."""
    faults = list(check.faults)
    if head is None:
        if check.events:
            faults.append(Fault(0, None, "truncated", "the head of the chain is missing"))
        return "no head", faults
    signature = "not checked: no public key given"
    if key is not None:
        signature = "valid"
        if head.key_id != key.keyid:
            signature = "made with another key"
        elif not _is_signed(key, signed_text(HEAD, head.seq, head.hash), head.signature):
            signature = "invalid"
        if signature != "valid":
            faults.append(Fault(head.seq, None, "edited", f"the signature of the head is {signature}"))
    last = check.last_sequence
    if head.seq > last:
        missing = f"event {head.seq} is" if head.seq == last + 1 else f"events {last + 1} to {head.seq} are"
        faults.append(Fault(last + 1, None, "truncated", f"{missing} missing at the end"))
    elif head.seq < last:
        message = f"the head ends at event {head.seq}: what follows was not written by the platform"
        faults.append(Fault(head.seq + 1, _id(connection, head.seq + 1), "inserted", message))
    elif head.hash != check.last_hash and not any(fault.seq == last for fault in faults):
        faults.append(_rewritten(connection, key, check.start, last))
    return signature, faults


def _unlike_checkpoint(connection: Connection, key: PublicKey | None, tree: TreeCheck) -> list[Fault]:
    """Compare the tree with the newest signed checkpoint, which is written with the head."""
    row = connection.execute(_CHECKPOINT, {"seq": tree.size}).one_or_none()
    if row is None:
        return [Fault(tree.size, None, "removed", f"the checkpoint at event {tree.size} is missing")]
    if row.root not in (None, tree.root().hex()):
        return [Fault(tree.size, None, "edited", f"the checkpoint at event {tree.size} holds another root")]
    if _vouched(connection, key, tree.size, row.hash) is False:
        return [Fault(tree.size, None, "edited", f"the checkpoint at event {tree.size} is not signed by the platform")]
    return []


def _hash_before(connection: Connection, sealed: int) -> str:
    """Return what the table's first row is chained to, for where nothing better is known."""
    return connection.execute(_BEFORE, {"sealed": sealed}).scalar_one_or_none() or GENESIS


def _rewritten(connection: Connection, key: PublicKey | None, sealed: int, last: int) -> Fault:
    """Find where a chain that fits itself but not its head was rewritten, by the first checkpoint it misses."""
    seqs = [row.seq for row in connection.execute(_CHECKPOINTS) if sealed < row.seq <= last] if key else []
    low, high = 0, len(seqs)
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_EVENT, {"seq": seqs[middle]}).one_or_none()
        if row is not None and _vouched(connection, key, seqs[middle], row.hash):
            low = middle + 1
        else:
            high = middle
    first = seqs[low - 1] + 1 if low else sealed + 1
    until = seqs[low] if low < len(seqs) else last
    place = f"event {first}" if first == until else f"an event from {first} to {until}"
    message = f"{place} was edited, and the hashes after it were made to fit"
    return Fault(first, _id(connection, first), "edited", message)


def _vouched(connection: Connection, key: PublicKey | None, seq: int, hash: str) -> bool | None:
    row = connection.execute(_CHECKPOINT, {"seq": seq}).one_or_none()
    if row is None:
        return None
    if key is None or row.hash != hash:
        return bool(row.hash == hash)
    if row.root is None:
        return _is_signed(key, signed_text(CHECKPOINT, seq, hash), row.signature)
    try:
        checkpoint = unsigned_checkpoint(VerifierKey(key.raw), seq, bytes.fromhex(row.root), hash)
    except ValueError:
        return False
    return _is_signed(key, checkpoint.text.encode(), row.signature)


def _is_signed(key: PublicKey, text: bytes, signature: str) -> bool:
    try:
        return key.verify(text, base64.b64decode(signature))
    except ValueError:
        return False


def _id(connection: Connection, seq: int) -> str | None:
    row = connection.execute(_EVENT, {"seq": seq}).one_or_none()
    return row.id if row else None


def verify_database(
    url: str, key: PublicKey | None, known: Sequence[Checkpoint] = (), store: SegmentStore | None = None
) -> Verification:
    """Check the log in a database that this opens for reading, in one snapshot."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise FileNotFoundError(f"{parsed.database} does not exist")
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    try:
        with snapshot(engine.connect()) as connection:
            if connection.dialect.name == "sqlite":
                # The driver begins a transaction for changes only, so each query would see a moment of its own.
                connection.exec_driver_sql("BEGIN")
            return verify(connection, key, known, store)
    finally:
        engine.dispose()


def snapshot(connection: Connection) -> Connection:
    """Make all reads of a fresh connection see the same moment; SQLite does so in any transaction."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection


def read_public_key(path: Path) -> PublicKey:
    """Read a public key as the platform writes it: Base64 of the raw bytes."""
    return PublicKey(base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True))


def read_checkpoints(files: Sequence[Path], key: PublicKey | None) -> list[Checkpoint]:
    """Read checkpoints that were kept elsewhere.

    Raises:
        EvidenceError: one is not signed by the platform, or there is no key to tell.
    """
    if files and key is None:
        raise EvidenceError("a checkpoint can't be opened without the platform's public key; give it with --key")
    return [open_checkpoint(file.read_text(encoding="utf-8"), VerifierKey(key.raw)) for file in files if key]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the log of a database; exit status 0 valid, 1 not valid, 2 could not be checked."""
    parser = argparse.ArgumentParser(prog="python -m backend.audit.verify", description=main.__doc__)
    parser.add_argument("--database", required=True, help="SQLAlchemy URL, for example sqlite:///platform.db")
    parser.add_argument("--key", type=Path, help="public audit key; audit/key.pub beside an SQLite file by default")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="earlier checkpoint from elsewhere; may be repeated",
    )
    parser.add_argument(
        "--segments",
        help="where sealed segments lie: a path or an object store's URL; audit/segments beside an SQLite file by default",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    options = parser.parse_args(arguments)
    try:
        key_file = options.key or _beside(options.database, "key.pub")
        key = read_public_key(key_file) if key_file else None
        place = options.segments or _beside(options.database, "segments")
        store = open_store(str(place)) if place else None
        result = verify_database(options.database, key, read_checkpoints(options.checkpoint, key), store)
    except (OSError, ValueError, EvidenceError, SQLAlchemyError) as error:
        sys.stderr.write(f"error: {str(error).splitlines()[0]}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
    else:
        verdict = "valid" if result.valid else "NOT VALID"
        within = f" ({result.sealed} of them in {result.segments} sealed segments)" if result.segments else ""
        sys.stdout.write(f"{verdict}: {result.events} events{within}, head {result.head.seq} {result.head.hash}\n")
        sys.stdout.write(f"signature of the head: {result.signature}\n")
        for warning in result.warnings:
            sys.stdout.write(f"warning {warning.seq}: {warning.message}\n")
        for fault in result.faults:
            sys.stdout.write(f"{fault.kind} {fault.seq} {fault.id or '-'}: {fault.message}\n")
    return 0 if result.valid else 1


def _beside(url: str, name: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    path = Path(parsed.database).parent / "audit" / name
    return path if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
