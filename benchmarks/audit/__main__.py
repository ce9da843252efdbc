"""How fast the audit log is written and verified, against the same without a chain and against a plain verifier."""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.orm import Session

from backend.app import build_services
from backend.audit.events import NewEvent, chained, envelope
from backend.audit.models import GENESIS, AuditRow
from backend.audit.repository import EventFilter
from backend.audit.service import AuditService
from backend.audit.tree import consistency, inclusion
from backend.audit.verify import read_public_key, verify_database
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.database import Base, Database
from backend.core.ids import new_id
from backend.core.metrics import Metrics
from backend.migrations import upgrade
from benchmarks import report

BATCH = 1000
PROOFS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--events", type=int, help="1,000,000 by default; 10,000,000 takes half an hour")
    options = parser.parse_args()
    count = options.events or (50_000 if options.quick else 1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="mlp-audit-bench-"))
    try:
        raw = measure(folder, count)
    finally:
        shutil.rmtree(folder)
    compared = (
        ("append, batches of 1,000", "append", "plain", "plain insert without a chain"),
        ("append, one event a transaction", "append_single", "plain_single", "plain insert, one a transaction"),
        (f"verify {count:,} events", "verify", "naive", "row by row with the ORM, canonical form made again"),
    )
    rows = [
        (
            what,
            f"{rate(raw[ours])} ({raw[ours]['seconds']:.1f} s)",
            f"{peer}: {rate(raw[theirs])}",
            share(raw, ours, theirs),
        )
        for what, ours, theirs, peer in compared
    ]
    proofs = raw["proofs"]["seconds"] / raw["proofs"]["events"]
    rows.append(("a proof of inclusion or consistency", f"{proofs * 1000:.1f} ms", "", ""))
    for what, name in (
        ("seal", "seal"),
        ("verify what is sealed", "verify_sealed"),
        ("search what is sealed for a subject", "search_sealed"),
    ):
        rows.append((what, f"{rate(raw[name])} ({raw[name]['seconds']:.1f} s)", "", ""))
    report.write(
        "audit",
        title="Audit log",
        command="python -m benchmarks.audit" + (f" --events {options.events}" if options.events else ""),
        header=("what", "ours", "peer", "ours / peer"),
        rows=rows,
        notes=f"SQLite (WAL, synchronous=FULL) on local disk, one thread, events of {raw['event_bytes']} bytes. "
        "Aims: 5,000 events/s appended in batches; 100,000 events/s verified.",
        raw=raw,
    )


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Write and verify ``count`` events on both sides."""
    ours = Database(f"sqlite:///{folder / 'ours.db'}")
    upgrade(ours, folder)
    audit = AuditService(ours, SystemClock(), Metrics(), folder / "audit")
    plain = create_engine(f"sqlite:///{folder / 'plain.db'}")
    Base.metadata.create_all(plain, tables=[AuditRow.__table__])  # type: ignore[list-item]
    compared = min(count, 50_000)
    single = min(count // 50, 2_000)

    def append(batch: list[NewEvent]) -> None:
        with ours.write() as session:
            audit.append_many(session, batch)

    numbers = {"value": 0}

    def append_plain(batch: list[NewEvent]) -> None:
        insert_plain(plain, batch, numbers)

    raw: dict[str, Any] = {
        "append_single": timed(append, events(single), 1),
        "plain_single": timed(append_plain, events(single), 1),
        "plain": timed(append_plain, events(compared), BATCH),
        "append": timed(append, events(count - single), BATCH),
    }
    raw["proofs"] = prove(ours, audit, count)
    start = time.perf_counter()
    result = verify_database(str(ours.url), read_public_key(folder / "audit" / "key.pub"))
    raw["verify"] = {"events": result.events, "seconds": time.perf_counter() - start}
    assert result.valid
    assert result.events == count
    start = time.perf_counter()
    checked = naive_verify(ours.engine, compared)
    raw["naive"] = {"events": checked, "seconds": time.perf_counter() - start}
    raw.update(seal(folder, str(ours.url)))
    with ours.read() as session:
        raw["event_bytes"] = len(session.execute(select(AuditRow.event).limit(1)).scalar_one())
    return raw


class Tomorrow(SystemClock):
    """A clock by which all that was written is old enough."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=2)


def seal(folder: Path, url: str) -> dict[str, Any]:
    """Seal the log, verify it from its files, and search them for what is in none of them."""
    said = {
        "home": str(folder),
        "database": {"url": url},
        "audit": {"sealing": {"keep": "1d"}},
        "mlflow": {"embedded": False},
    }
    services = build_services(Settings.model_validate(said), Tomorrow())
    with services.database.write() as session:
        id = services.sealing.begin(session, "service:ml-platform", scheduled=False).id
    start = time.perf_counter()
    while services.sealing.seal_next(id):
        pass
    sealing = time.perf_counter() - start
    with services.database.read() as session:
        done = services.sealing.get(session, id)
    assert done.state == "done", done.reason
    start = time.perf_counter()
    key, store = services.audit.key.public_key, services.audit.sealed.store
    result = verify_database(url, key, store=store)
    verifying = time.perf_counter() - start
    assert result.valid
    start = time.perf_counter()
    with services.database.read() as session:
        services.audit.find(session, EventFilter(subject="deployment:none"), after=None, limit=1)
    searching = time.perf_counter() - start
    services.database.close()
    return {
        "seal": {"events": done.events, "seconds": sealing, "bytes": done.bytes},
        "verify_sealed": {"events": result.sealed, "seconds": verifying},
        "search_sealed": {"events": result.sealed, "seconds": searching},
    }


def prove(database: Database, audit: AuditService, count: int) -> dict[str, float]:
    """Make proofs for places all over the log."""
    made, start = 0, time.perf_counter()
    for seq in range(1, count, count // PROOFS):
        with database.read() as session:
            inclusion(session, audit.sealed, seq, count)
            consistency(session, audit.sealed, seq, count)
        made += 2
    return {"events": made, "seconds": time.perf_counter() - start}


def events(count: int) -> Iterator[NewEvent]:
    """Events like those of a rollout."""
    for number in range(count):
        yield NewEvent(
            "ml-platform.deployments.rollout.step_passed",
            f"deployment:{number % 1000}",
            "service:ml-platform",
            {
                "step": number % 4,
                "weight": 25,
                "requests": number,
                "successRate": 0.9987,
                "reason": "success rate 99.87 % >= 99 %, p99 31 ms <= 500 ms",
            },
        )


def timed(write: Callable[[list[NewEvent]], None], source: Iterator[NewEvent], size: int) -> dict[str, float]:
    """Write all events in batches; return how many and how long."""
    total, seconds, batch = 0, 0.0, []
    for event in source:
        batch.append(event)
        if len(batch) == size:
            start = time.perf_counter()
            write(batch)
            seconds += time.perf_counter() - start
            total, batch = total + size, []
    if batch:
        start = time.perf_counter()
        write(batch)
        seconds += time.perf_counter() - start
        total += len(batch)
    return {"events": total, "seconds": seconds}


def insert_plain(engine: Engine, batch: list[NewEvent], numbers: dict[str, int]) -> None:
    """What a log without a chain does: the same columns, JSON as it comes."""
    rows = []
    for event in batch:
        numbers["value"] += 1
        document = envelope(event, id=new_id(), time=datetime.now(UTC), sequence=numbers["value"])
        columns = {name: document[name] for name in ("id", "type", "subject", "actor", "time")}
        rows.append({"seq": numbers["value"], "event": json.dumps(document), "prev_hash": "", "hash": "", **columns})
    with engine.begin() as connection:
        connection.execute(insert(AuditRow), rows)


def naive_verify(engine: Engine, count: int) -> int:
    """Verify the way one would write it down first."""
    last, checked = GENESIS, 0
    with Session(engine) as session:
        for row in session.scalars(select(AuditRow).order_by(AuditRow.seq).limit(count)):
            document = json.loads(row.event)
            assert (document["id"], document["type"], document["subject"]) == (row.id, row.type, row.subject)
            assert (document["actor"], document["time"]) == (row.actor, row.time)
            assert row.prev_hash == last
            assert chained(last, rfc8785.dumps(document)) == row.hash
            last, checked = row.hash, checked + 1
    return checked


def rate(measured: dict[str, float]) -> str:
    return f"{measured['events'] / measured['seconds']:,.0f} events/s"


def share(raw: dict[str, Any], ours: str, peer: str) -> str:
    mine, theirs = (raw[name]["events"] / raw[name]["seconds"] for name in (ours, peer))
    return f"{mine / theirs:.2f}×"


if __name__ == "__main__":
    main()
