"""Writing packs as durable work: whole or not at all, and again from the beginning if the process was killed."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import ClassVar

from sqlalchemy.orm import Session

from backend.audit import reading
from backend.audit.sealed import SegmentUnreadable
from backend.core.container import Services
from backend.core.workflows import Steps
from backend.evidence import checks, repository
from backend.evidence.checks import ControlState
from backend.evidence.context import Context
from backend.evidence.models import ENDED, EvidencePack, PackState
from backend.evidence.pack import RootDiffers, Wanted, write_pack
from evidence.tables import Noted

_SWEEP_SECONDS = 600.0

_log = logging.getLogger(__name__)


class EvidenceWork:
    """The :class:`~backend.core.workflows.Work` of evidence packs."""

    name: ClassVar[str] = "evidence-pack"
    most: ClassVar[int | None] = 1

    def __init__(self, services: Services) -> None:
        self._services = services
        self._swept = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the packs that are not over."""
        return repository.to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """Write one pack."""
        steps.run("write", self.write, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a pack that can't be written."""
        with self._services.database.write() as session:
            pack = session.get(EvidencePack, id)
            if pack is not None and pack.state not in ENDED:
                pack.state, pack.reason, pack.finished_at = PackState.FAILED, reason, self._services.clock.now()
                self._services.evidence.record(session, "pack.failed", pack, reason=reason)

    def beat(self, *, changed: bool) -> None:
        """Delete files that were kept long enough, now and then."""
        if time.monotonic() - self._swept < _SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        oldest = self._services.clock.now() - self._services.settings.evidence.keep
        for file in self._services.evidence.folder.glob("*.zip*"):
            if file.stat().st_mtime < oldest.timestamp():
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """There is nothing to let go of."""

    def write(self, id: str) -> None:
        """Write a pack's file under another name, then give it its own, then say that it is there."""
        services = self._services
        with services.database.read() as session:
            pack = session.get(EvidencePack, id)
            if pack is None or pack.state in ENDED:
                return
            try:
                span = reading.span(session, services.audit, pack.since, pack.until)
            except (reading.LogDamaged, SegmentUnreadable) as error:
                self.give_up(id, str(error))
                return
        self._progress(id, 0, events=span.last - span.first + 1)
        tables = checks.tables_of(pack.control)
        wanted = Wanted(
            platform=services.settings.base_url,
            since=pack.since,
            until=pack.until,
            control=pack.control,
            tables=None if tables is None else sorted(tables),
            sample_size=pack.sample_size,
            sample_seed=pack.sample_seed,
            made_at=services.clock.now(),
        )
        file = services.evidence.file_of(id)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(".zip.part")
        try:
            source = DatabaseSource(services, span, pack)
            audit = services.audit
            write_pack(part, wanted, source, audit.verifier, audit.key.sign, lambda done: self._progress(id, done))
        except BaseException as error:
            part.unlink(missing_ok=True)
            if not isinstance(error, reading.LogDamaged | RootDiffers | SegmentUnreadable):
                raise
            self.give_up(id, str(error))
            return
        part.replace(file)
        self._finish(id, file)

    def _progress(self, id: str, done: int, *, events: int | None = None) -> None:
        self._services.runtime.wait(0)  # leaves when the runtime stops
        with self._services.database.write() as session:
            pack = session.get(EvidencePack, id)
            assert pack is not None, "packs are never deleted"
            pack.state, pack.written = PackState.RUNNING, done
            if events is not None:
                pack.events = events

    def _finish(self, id: str, file: Path) -> None:
        with file.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        with self._services.database.write() as session:
            pack = session.get(EvidencePack, id)
            if pack is None or pack.state in ENDED:
                return
            pack.state, pack.sha256, pack.bytes = PackState.DONE, digest, file.stat().st_size
            pack.finished_at = self._services.clock.now()
            self._services.evidence.record(session, "pack.written", pack, sha256=digest, bytes=pack.bytes)
        _log.info("evidence pack %s is written", id, extra={"bytes": file.stat().st_size})


class DatabaseSource:
    """The :class:`~backend.evidence.pack.Source` of the platform's own record."""

    def __init__(self, services: Services, span: reading.Span, pack: EvidencePack) -> None:
        self._services, self._span, self._pack = services, span, pack
        self.first, self.first_within, self.last_within = span.first, span.first_within, span.last_within
        self.checkpoint, self.note = span.checkpoint, span.note

    def frontier(self) -> Sequence[bytes]:
        """Return the tree's right edge before the first event."""
        with self._services.database.read() as session:
            return reading.frontier(session, self._services.audit.sealed, self.first - 1)

    def context(self) -> Iterator[tuple[str, list[bytes]]]:
        """Yield the events from before that belong to what was deployed or live, with proofs."""
        sealed = self._services.audit.sealed
        found = Context(self._services.database, sealed, self._span).events()
        with self._services.database.read() as session:
            proofs = reading.inclusion_proofs(session, sealed, [seq for seq, _ in found], self._span.last)
            for (_, text), proof in zip(found, proofs, strict=True):
                yield text, proof

    def events(self) -> Iterator[str]:
        """Yield the canonical texts."""
        return reading.texts(self._services.database, self._services.audit.sealed, self.first, self._span.last)

    def envelopes(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the envelopes as they were received."""
        with self._services.database.read() as session:
            return self._services.attestations.envelopes(session, ids)

    def keys(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the public keys that were bound here."""
        with self._services.database.read() as session:
            bindings = self._services.identity.bindings(session, ids)
        return {one.key.keyid: one.key.raw for one in bindings}

    def states(self, exceptions: Sequence[Noted]) -> Sequence[ControlState]:
        """Return what the controls' keeper says, or else what the record says by itself."""
        pack = self._pack
        with self._services.database.read() as session:
            said = self._services.evidence.states(session, pack.since, pack.until, pack.control)
        return checks.judged(exceptions, pack.control) if said is None else said
