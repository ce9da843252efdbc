"""Publishing checkpoints to second places, and refusing to where the log does not go on from what was published."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from backend.audit import repository
from backend.audit.models import AuditPublication, PublicationState
from backend.audit.places import Place, place_of
from backend.audit.service import PLATFORM
from backend.audit.tree import root_of
from backend.core.config_record import TargetSettings
from backend.core.container import Services
from backend.core.ids import new_id
from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.errors import EvidenceError

EVENT = "ml-platform.audit.publication"

_log = logging.getLogger(__name__)


class Inconsistent(Exception):
    """The log, or the place, is not what it was when a checkpoint was published there."""


@dataclass(frozen=True)
class Published:
    """What was published, and where it is; nothing of it is new if the place had it."""

    checkpoint: Checkpoint
    place: str


class Publications:
    """The rules of publication."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._targets: dict[str, TargetSettings] = {
            one.name: one for one in services.settings.audit.publication.targets
        }

    def due(self, session: Session) -> list[str]:
        """Return the targets whose time has come and for which there is something new."""
        now = self._services.clock.now()
        before = now - self._services.settings.audit.publication.interval
        found = []
        for name in self._targets:
            last = repository.last_publication(session, name)
            if last is not None and (last.finished_at is None or last.started_at > before):
                continue
            well = last is not None and last.state == PublicationState.PUBLISHED
            if well and last is not None and repository.newest_other_than(session, f"{EVENT}.") <= (last.size or 0):
                continue
            found.append(name)
        return found

    def begin(self, session: Session, targets: Sequence[str]) -> None:
        """Add a row for each of these targets."""
        now = self._services.clock.now()
        for name in targets:
            session.add(AuditPublication(id=new_id(), target=name, state=PublicationState.RUNNING, started_at=now))

    def publish(self, id: str) -> None:
        """Publish the newest checkpoint, if the log goes on from what lies in the place; else refuse, and say so on record.

        Raises:
            PlaceUnusable: the place does not answer or does not take it.
        """
        with self._services.database.read() as session:
            row = session.get(AuditPublication, id)
            if row is None or row.state != PublicationState.RUNNING:
                return
            last = repository.last_publication(session, row.target, PublicationState.PUBLISHED)
        target = self._targets.get(row.target)
        if target is None:
            self.end(id, PublicationState.FAILED, f"the target {row.target} is not configured any more")
            return
        known = last.size or 0 if last is not None else 0
        folder: Path = self._services.settings.home / "audit" / "publication" / target.name
        place = place_of(target, folder, known)
        try:
            published = self._published(place, known)
        except Inconsistent as error:
            self.end(id, PublicationState.REFUSED, str(error))
            return
        self._done(id, published)

    def end(self, id: str, state: PublicationState, reason: str) -> None:
        """End a publication that was refused or failed."""
        with self._services.database.write() as session:
            row = session.get(AuditPublication, id)
            if row is None or row.state != PublicationState.RUNNING:
                return
            row.state, row.reason, row.finished_at = state, reason, self._services.clock.now()
            self._record(session, row, reason=reason)
        level = logging.CRITICAL if state is PublicationState.REFUSED else logging.ERROR
        _log.log(level, "the audit log's checkpoint was not published to %s: %s", row.target, reason)

    def _published(self, place: Place, known: int) -> Published:
        note = place.newest()
        with self._services.database.read() as session:
            checkpoint, signed = self._services.audit.checkpoint(session)
            there = self._compared(session, note, known, checkpoint)
        if there is not None and there.size == checkpoint.size:
            return Published(checkpoint, "as before")
        return Published(checkpoint, place.put(checkpoint.size, signed, self._services.clock.now()))

    def _compared(self, session: Session, note: str | None, known: int, now: Checkpoint) -> Checkpoint | None:
        """Return the checkpoint that lies in the place, after comparing the log with it."""
        if note is None:
            if known:
                raise Inconsistent(f"a checkpoint over {known} events was published there, and there is none any more")
            return None
        try:
            there = open_checkpoint(note, self._services.audit.verifier)
        except EvidenceError as error:
            raise Inconsistent(f"what lies there is no checkpoint of this log: {error.message}") from None
        if there.size < known:
            raise Inconsistent(
                f"a checkpoint over {known} events was published there, and the newest is over {there.size}: "
                "the place was set back"
            )
        if there.size > now.size:
            raise Inconsistent(
                f"the log has {now.size} events, and a checkpoint over {there.size} was published: "
                "the log was cut off, or an older copy was restored"
            )
        if root_of(session, self._services.audit.sealed, there.size) != there.root:
            raise Inconsistent(
                f"the log's first {there.size} events are not those that the published checkpoint was signed for: "
                "the log was rewritten"
            )
        return there

    def _done(self, id: str, published: Published) -> None:
        with self._services.database.write() as session:
            row = session.get(AuditPublication, id)
            if row is None or row.state != PublicationState.RUNNING:
                return
            row.state, row.finished_at = PublicationState.PUBLISHED, self._services.clock.now()
            row.size, row.root = published.checkpoint.size, published.checkpoint.root.hex()
            row.place = published.place[:1000]
            self._record(session, row, size=row.size, root=row.root, place=row.place)

    def _record(self, session: Session, row: AuditPublication, **data: object) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{row.state}",
            subject="audit:log",
            actor=PLATFORM,
            data={"target": row.target, **data},
        )
