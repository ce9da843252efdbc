"""Sealing: what of the log is older than the setting leaves the table for files, whole segments at a time.

A segment is written to its place, read back from there and verified; then one transaction adds the segment, its event, and
takes the rows out. A process that dies before that transaction leaves a file that nobody refers to, which the next attempt
writes again with the same bytes.
"""

import logging
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.audit import repository as log_repository
from backend.audit import segment_repository as repository
from backend.audit.models import AuditSealing, AuditSegment, SealingState
from backend.audit.reading import LogDamaged
from backend.audit.segment_writing import read_back, write_segment
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.core.schemas import utc
from backend.identity.principal import Principal
from evidence.segments import BLOCK, SegmentManifest, file_name, manifest_name, segment_name

EVENT = "ml-platform.audit"
LOG = "audit:log"
"""The log as a subject, of events and of legal holds."""

_log = logging.getLogger(__name__)


class NothingIsSealed(Conflict):
    """No setting says how old events must be."""

    slug: ClassVar[str] = "nothing-is-sealed"
    title: ClassVar[str] = "Nothing is sealed"


class SealingRunning(Conflict):
    """One sealing at a time."""

    slug: ClassVar[str] = "sealing-running"
    title: ClassVar[str] = "Sealing running"


@dataclass(frozen=True)
class SealingPlan:
    """What a sealing would do now; ``first`` and ``last`` are 0 where that is nothing."""

    before: datetime
    first: int
    last: int
    segments: list[str]
    store: str
    held: str | None

    @property
    def events(self) -> int:
        """How many events would be sealed."""
        return self.last - self.first + 1 if self.last else 0


class Sealing:
    """The rules of sealing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def plan(self, session: Session) -> SealingPlan:
        """Say what would be sealed now.

        Raises:
            NothingIsSealed: no setting says how old events must be.
        """
        before = self._before(self._services.clock.now())
        names: list[str] = []
        first, last = 0, 0
        begin = repository.horizon(session) + 1
        while (end := self._end(session, begin, before)) is not None:
            first, last = first or begin, end
            names.append(segment_name(begin, end))
            begin = end + 1
        return SealingPlan(before, first, last, names, self._services.audit.sealed.store.place, self.held(session))

    def request(self, session: Session, caller: Principal) -> AuditSealing:
        """Ask for a sealing.

        Raises:
            Forbidden: the policies say no.
            NothingIsSealed: no setting says how old events must be.
            SealingRunning: one is under way.
            UnderLegalHold: a legal hold keeps the log as it is.
        """
        decision = self._services.access.require(
            session,
            caller,
            Action.SEAL_AUDIT_LOG,
            PlatformResource(),
            detail=f"{caller.ref} may not seal the audit log",
            fix=f"Members of {' or '.join(self._services.settings.permissions.platform_admins)} may.",
            event=f"{EVENT}.sealing.refused",
            subject=LOG,
        )
        if running := repository.open_sealings(session):
            raise SealingRunning("a sealing is under way", fix="Wait for it to end.", sealing=running[0])
        self._services.privacy.holds.check(session, [LOG], "the audit log is not sealed")
        return self.begin(session, caller, scheduled=False, access=decision.as_json())

    def begin(self, session: Session, actor: Principal | str, *, scheduled: bool, **said: Any) -> AuditSealing:
        """Add a sealing; its audit event says ``said`` as well.

        Raises:
            NothingIsSealed: no setting says how old events must be.
        """
        now = self._services.clock.now()
        row = AuditSealing(
            id=new_id(),
            state=SealingState.RUNNING,
            scheduled=scheduled,
            requested_by=actor if isinstance(actor, str) else actor.ref,
            requested_at=now,
            before=self._before(now),
            segments=0,
            events=0,
            bytes=0,
        )
        session.add(row)
        self._record(session, row, "requested", actor, before=utc(row.before), scheduled=scheduled, **said)
        session.flush()
        return row

    def get(self, session: Session, id: str) -> AuditSealing:
        """Return a sealing.

        Raises:
            NotFound: there is none with that id.
        """
        row = session.get(AuditSealing, id, populate_existing=True)
        if row is None:
            raise NotFound(f"there is no sealing {id}")
        return row

    def held(self, session: Session) -> str | None:
        """Return the legal holds that keep the log as it is, in words; nothing where there are none."""
        return self._services.privacy.holds.in_words(session, [LOG])

    def seal_next(self, id: str) -> bool:
        """Seal the next segment; false when the sealing is over.

        Raises:
            StoreFailed: the store does not answer.
        """
        services = self._services
        with services.database.read() as session:
            row = self.get(session, id)
            if row.state != SealingState.RUNNING:
                return False
            first = repository.horizon(session) + 1
            last = self._end(session, first, row.before)
            held = self.held(session)
        if last is None or held is not None:
            self.end(id, SealingState.DONE if last is None else SealingState.HELD, held)
            return False
        try:
            manifest = self._stored(row, first, last)
        except LogDamaged as error:
            self.end(id, SealingState.FAILED, str(error))
            return False
        return self._taken_out(id, manifest)

    def end(self, id: str, state: SealingState, reason: str | None) -> None:
        """End a sealing."""
        with self._services.database.write() as session:
            row = self.get(session, id)
            if row.state != SealingState.RUNNING:
                return
            row.state, row.reason, row.finished_at = state, reason, self._services.clock.now()
            said = {"outcome": str(state), "segments": row.segments, "events": row.events, "reason": reason}
            self._record(session, row, "finished", PLATFORM, **said)
        if state is SealingState.FAILED:
            _log.error("the audit log was not sealed: %s", reason)

    def _before(self, now: datetime) -> datetime:
        keep: timedelta | None = self._services.settings.audit.sealing.keep
        if keep is None:
            raise NothingIsSealed(
                "no setting says how long events stay in the database",
                fix="Set mlPlatform.audit.sealing.keep, for example to 400d.",
            )
        return now - keep

    def _end(self, session: Session, first: int, before: datetime) -> int | None:
        """Return where the segment that begins with an event ends: behind its last whole block that is old enough."""
        most = self._services.settings.audit.sealing.segment_events
        last = min(first + most - 1, log_repository.last_seq(session))
        younger = repository.first_in_from(session, first, last, utc(before)) if last >= first else None
        count = (last if younger is None else younger - 1) - first + 1
        whole = count - count % BLOCK
        return first + whole - 1 if whole > 0 else None

    def _stored(self, row: AuditSealing, first: int, last: int) -> SegmentManifest:
        """Write a segment to its place, and see that it is there."""
        services, store = self._services, self._services.audit.sealed.store
        folder: Path = services.settings.home / "audit"
        with tempfile.TemporaryDirectory(prefix="sealing-", dir=folder) as scratch:
            file, beside = Path(scratch) / "events", Path(scratch) / "manifest"
            # The time of the request, and not of now: a second attempt makes the same manifest.
            manifest = write_segment(services.database, services.audit, file, first, last, row.requested_at)
            store.put(file_name(manifest.name), file)
            read_back(services.audit, manifest)
            beside.write_text(self._note(manifest), encoding="utf-8")
            store.put(manifest_name(manifest.name), beside)
            with store.open(manifest_name(manifest.name)) as stream:
                if stream.read() != beside.read_bytes():
                    raise LogDamaged(f"{store.place} gives back another manifest than was put there")
        return manifest

    def _taken_out(self, id: str, manifest: SegmentManifest) -> bool:
        """Add the segment and its event, and take the rows out: all of it or nothing."""
        services = self._services
        with services.database.write() as session:
            row = self.get(session, id)
            if row.state != SealingState.RUNNING:
                return False
            if self.held(session) is not None:
                return True  # the next look ends it
            services.audit.append(
                session,
                type=f"{EVENT}.segment.sealed",
                subject=f"audit:log/segments/{manifest.name}",
                actor=PLATFORM,
                data={
                    "sealing": id,
                    "first": manifest.first,
                    "last": manifest.last,
                    "root": manifest.root.hex(),
                    "chain": manifest.chain,
                    "sha256": manifest.sha256,
                    "bytes": manifest.size,
                    "place": services.audit.sealed.store.place,
                },
            )
            session.add(
                AuditSegment(
                    first_seq=manifest.first,
                    last_seq=manifest.last,
                    since=manifest.since,
                    until=manifest.until,
                    manifest=self._note(manifest),
                    sealed_at=services.clock.now(),
                )
            )
            session.flush()
            deleted = repository.delete_rows(session, manifest.first, manifest.last)
            if deleted != manifest.events:
                raise RuntimeError(f"{deleted} events were there of the {manifest.events} of segment {manifest.name}")
            row.segments += 1
            row.events += manifest.events
            row.bytes += manifest.size
        _log.info("segment %s of the audit log is sealed", manifest.name, extra={"bytes": manifest.size})
        return True

    def _note(self, manifest: SegmentManifest) -> str:
        audit = self._services.audit
        return manifest.note(audit.verifier, audit.key.sign)

    def _record(self, session: Session, row: AuditSealing, event: str, actor: Principal | str, **data: object) -> None:
        self._services.audit.append(
            session, type=f"{EVENT}.sealing.{event}", subject=LOG, actor=actor, data={"sealing": row.id, **data}
        )
