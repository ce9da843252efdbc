"""The one function that writes to the audit log, in the transaction of the change that it records."""

import base64
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from backend.audit import repository, searching
from backend.audit.events import HEAD, NewEvent, canonical, chained, envelope, signed_text
from backend.audit.models import GENESIS, AuditCheckpoint, AuditHead, AuditNode, AuditRow
from backend.audit.repository import EventFilter
from backend.audit.sealed import SealedSegments
from backend.audit.segment_store import FolderStore, SegmentStore
from backend.audit.tree import GrowingTree, root_of, unsigned_checkpoint
from backend.core.clock import Clock
from backend.core.database import Database, lock_for_transaction
from backend.core.errors import NotFound, Refusal
from backend.core.ids import new_id
from backend.core.metrics import Metrics
from backend.identity.principal import Principal
from evidence.checkpoint import Checkpoint, sign_checkpoint
from evidence.merkle import leaf_hash
from evidence.notes import VerifierKey
from mlplatform.attest.keys import SigningKey

PLATFORM = "service:ml-platform"
"""The actor of what the platform does by itself."""
_PAGE = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditEvent:
    """An event as it was written."""

    seq: int
    id: str
    event: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class AuditedEvent:
    """An event as other domains read it."""

    id: str
    type: str
    subject: str
    actor: str
    time: datetime
    data: dict[str, Any]


class AuditService:
    """Appends to the hash chain, and to the Merkle tree over it. What is read may lie in sealed segments."""

    def __init__(
        self, database: Database, clock: Clock, metrics: Metrics, folder: Path, store: SegmentStore | None = None
    ) -> None:
        self._database, self._clock, self._metrics = database, clock, metrics
        self.key = SigningKey.load_or_create(folder / "key")
        self.verifier = VerifierKey(self.key.public_bytes)
        self.sealed = SealedSegments(store or FolderStore(folder / "segments"), self.verifier)
        public = folder / "key.pub"
        text = base64.b64encode(self.key.public_bytes).decode() + "\n"
        if not public.exists() or public.read_text() != text:
            public.write_text(text)

    def append(
        self,
        session: Session,
        *,
        type: str,
        subject: str,
        actor: Principal | str,
        data: dict[str, Any] | None = None,
        source: str = "ml-platform",
    ) -> AuditEvent:
        """Record one event in the session's transaction."""
        ref, said = (actor, data or {}) if isinstance(actor, str) else (actor.ref, _with_person(actor, data or {}))
        return self.append_many(session, [NewEvent(type, subject, ref, said, source)])[0]

    def append_many(self, session: Session, events: Sequence[NewEvent]) -> list[AuditEvent]:
        """Record events in the session's transaction, in this order; they share a lock and a signature."""
        if not events:
            return []
        head = self._lock_head(session)
        seq, last = (head.seq, head.hash) if head else (0, GENESIS)
        tree = GrowingTree(seq, head.frontier if head else "")
        now = self._clock.now()
        written: list[AuditEvent] = []
        rows: list[dict[str, Any]] = []
        for event in events:
            seq += 1
            document = envelope(event, id=new_id(), time=now, sequence=seq)
            text = canonical(document)
            hash = chained(last, text)
            tree.append(leaf_hash(text))
            columns = {name: document[name] for name in ("id", "type", "subject", "actor", "time")}
            rows.append({"seq": seq, "event": text.decode(), "prev_hash": last, "hash": hash, **columns})
            written.append(AuditEvent(seq, document["id"], document, hash))
            last = hash
        session.execute(insert(AuditRow.__table__), rows)  # type: ignore[arg-type]
        if tree.completed:
            session.execute(insert(AuditNode.__table__), tree.completed)  # type: ignore[arg-type]
        checkpoint = unsigned_checkpoint(self.verifier, seq, tree.root(), last)
        session.execute(
            insert(AuditCheckpoint.__table__),  # type: ignore[arg-type]
            {
                "seq": seq,
                "hash": last,
                "root": checkpoint.root.hex(),
                "signature": self._sign(checkpoint.text.encode()),
            },
        )
        self._move_head(session, head, seq, last, tree.frontier)
        for event in events:
            self._metrics.audit_events.labels(event.type).inc()
        return written

    def find(
        self, session: Session, wanted: EventFilter, *, after: int | None, limit: int, newest_first: bool = False
    ) -> Sequence[AuditRow]:
        """Return the events that match, oldest or newest first, behind a sequence number in that order.

        Raises:
            SegmentUnreadable: some may be in a sealed segment that can't be read.
        """
        return searching.find_events(session, self.sealed, wanted, after=after, limit=limit, newest_first=newest_first)

    def about(
        self, session: Session, subject: str, type: str, since: datetime, until: datetime, limit: int
    ) -> list[AuditedEvent]:
        """Return the newest events of a type about a subject and what belongs to it, between two times; newest first."""
        wanted = EventFilter(subject=subject, type=type, since=since, until=until)
        rows = self.find(session, wanted, after=None, limit=limit, newest_first=True)
        return [_as_read(row) for row in rows]

    def newest(self, session: Session, type: str) -> AuditedEvent | None:
        """Return the newest event of a type, if there is one."""
        rows = self.find(session, EventFilter(type=type), after=None, limit=1, newest_first=True)
        return _as_read(rows[0]) if rows else None

    def record_refusal(
        self, *, type: str, subject: str, actor: Principal | str, data: dict[str, Any] | None = None
    ) -> None:
        """Record that someone was refused, in a transaction of its own: the refused one is rolled back.

        Must not be called while this thread still has a :meth:`~backend.core.database.Database.write` block open.
        """
        with self._database.write() as session:
            self.append(session, type=type, subject=subject, actor=actor, data=data)

    def record(self, refusal: Refusal) -> None:
        """Record the refusal that an error carries."""
        self.record_refusal(type=refusal.type, subject=refusal.subject, actor=refusal.actor, data=refusal.data)

    def events(self, session: Session, type: str, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        """Yield the events of a type that were recorded in a period, oldest first."""
        wanted, after = EventFilter(type=type, since=since, until=until), None
        while rows := self.find(session, wanted, after=after, limit=_PAGE):
            for row in rows:
                yield orjson.loads(row.event)
            after = rows[-1].seq

    def began(self, session: Session) -> datetime | None:
        """Return when the first event was recorded; nothing where there is none."""
        found = searching.first_time(session)
        return None if found is None else datetime.fromisoformat(found)

    def checkpoint(self, session: Session, size: int | None = None) -> tuple[Checkpoint, str]:
        """Return the checkpoint at a size, or at the log's end, and its signed note.

        Raises:
            NotFound: the log is empty, or no transaction ended at that size.
        """
        head = repository.head(session)
        if head is None:
            raise NotFound("the audit log has no events yet")
        row = repository.checkpoint(session, size or head.seq)
        if row is not None and row.root is not None:
            found = unsigned_checkpoint(self.verifier, row.seq, bytes.fromhex(row.root), row.hash)
            return found, found.note(self.verifier, base64.b64decode(row.signature))
        if row is None:
            raise NotFound(
                f"there is no checkpoint at event {size or head.seq}: no transaction ended there",
                fix="Leave the size out for the newest one.",
            )
        # Written before the log had a tree.
        made = unsigned_checkpoint(self.verifier, row.seq, root_of(session, self.sealed, row.seq), row.hash)
        return made, sign_checkpoint(made, self.verifier, self.key.sign)

    def _lock_head(self, session: Session) -> AuditHead | None:
        query = select(AuditHead).where(AuditHead.id == 1).with_for_update()
        # The session may have seen the head before others moved it.
        head = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
        if head is not None:
            return head
        lock_for_transaction(session, "audit-head")
        head = session.execute(query).scalar_one_or_none()
        if head is None and session.execute(select(AuditRow.seq).limit(1)).first() is not None:
            raise RuntimeError("the audit log has events but no head; run `platform audit verify`")
        return head

    def _move_head(self, session: Session, head: AuditHead | None, seq: int, hash: str, frontier: str) -> None:
        signature = self._sign(signed_text(HEAD, seq, hash))
        if head is None:
            said = AuditHead(id=1, seq=seq, hash=hash, key_id=self.key.keyid, signature=signature, frontier=frontier)
            session.add(said)
        else:
            head.seq, head.hash, head.key_id, head.signature = seq, hash, self.key.keyid, signature
            head.frontier = frontier
        session.flush()

    def _sign(self, text: bytes) -> str:
        return base64.b64encode(self.key.sign(text)).decode()


def _as_read(row: AuditRow) -> AuditedEvent:
    one = json.loads(row.event)
    time, data = datetime.fromisoformat(one["time"]), one.get("data") or {}
    return AuditedEvent(one["id"], one["type"], one["subject"], one["actor"], time, data)


def _with_person(actor: Principal, data: dict[str, Any]) -> dict[str, Any]:
    """Add who started the CI job that acted, and which job that was; or the service that a user acted through."""
    more = {"onBehalfOf": actor.on_behalf_of, "run": actor.run, "via": actor.via}
    return {**data, **{name: value for name, value in more.items() if value is not None}}
