"""Deletion of sealed segments, as retention asks for it: the file goes, its manifest and a signed note of the deletion stay."""

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from backend.audit import segment_repository as repository
from backend.audit.models import AuditSegment, AuditSegmentRemoval
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.schemas import utc
from evidence.segments import Removal, SegmentManifest, file_name, removal_name

EVENT = "ml-platform.audit.segment.removed"


class SegmentRemovals:
    """What may be deleted, and its deletion."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, before: datetime) -> Sequence[AuditSegment]:
        """Return the segments whose newest event is from before a time, in order."""
        return repository.kept_before(session, utc(before))

    def manifest(self, row: AuditSegment) -> SegmentManifest:
        """Return what the platform signed about a segment.

        Raises:
            SegmentUnreadable: its row is not the platform's.
        """
        return self._services.audit.sealed.manifest_in(row)

    def remove(self, first: int, by: str, at: datetime) -> None:
        """Delete the file of the segment that begins with an event; ``by`` names what deletes it.

        The file goes before it is on record that it is gone, so that a record of it is never untrue; whoever is cut off between
        the two does both again.

        Raises:
            SegmentUnreadable: its row is not the platform's.
            StoreFailed: the store does not answer, or keeps it.
        """
        audit = self._services.audit
        with self._services.database.read() as session:
            if session.get(AuditSegmentRemoval, first) is not None:
                return
            manifest = self.manifest(session.get_one(AuditSegment, first))
        removal = Removal(manifest.origin, manifest.name, manifest.root.hex(), utc(at), by)
        note = removal.note(audit.verifier, audit.key.sign)
        with tempfile.TemporaryDirectory(prefix="removal-", dir=self._services.settings.home / "audit") as scratch:
            file = Path(scratch) / "note"
            file.write_text(note, encoding="utf-8")
            audit.sealed.store.put(removal_name(manifest.name), file)
        audit.sealed.store.delete(file_name(manifest.name))
        with self._services.database.write() as session:
            session.add(AuditSegmentRemoval(first_seq=first, note=note, removed_at=at))
            audit.append(
                session,
                type=EVENT,
                subject=f"audit:log/segments/{manifest.name}",
                actor=PLATFORM,
                data={
                    "by": by,
                    "first": manifest.first,
                    "last": manifest.last,
                    "root": manifest.root.hex(),
                    "sha256": manifest.sha256,
                },
            )
