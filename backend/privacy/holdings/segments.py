"""Sealed segments of the audit log. Nothing of the log is deleted unless a setting says so."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.privacy.holdings.base import KeptForNow, Over
from backend.privacy.holds import LOG
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since


class Segments:
    """The :class:`~backend.privacy.holdings.base.Holding` of sealed segments."""

    kind = Kind.AUDIT_SEGMENT

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield segments by their newest event. What is held elsewhere is in them too, so each hold covers all of them."""
        keep = self._services.settings.retention.audit_segments
        if keep is None:
            return
        held = [hold.subject for hold in self._services.privacy.holds.in_force(session)]
        for row in self._services.removals.over(session, now - keep):
            at = datetime.fromisoformat(row.until)
            if is_over(at, keep, now):
                manifest = self._services.removals.manifest(row)
                refs = (f"kind:{self.kind}", LOG, *held)
                yield Over(self.kind, manifest.name, refs, at, over_since(at, keep), manifest.size, manifest.sha256)

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete a segment's file; its manifest stays.

        Raises:
            KeptForNow: something was put under a legal hold meanwhile.
        """
        with self._services.database.read() as session:
            if self._services.privacy.holds.in_force(session):
                raise KeptForNow("a legal hold was placed, and the log is about everything")
        first = int(item.name.partition("-")[0])
        self._services.removals.remove(first, f"retention-run:{item.run_id}", now)
