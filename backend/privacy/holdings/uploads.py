"""What uploads that were cut off have left. The registry clears up when it starts; this is for one that runs for months."""

import fcntl
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.privacy.holdings.base import KeptForNow, Over, size_of
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since
from backend.registry.uploads import LOCK


class Uploads:
    """The :class:`~backend.privacy.holdings.base.Holding` of uploads."""

    kind = Kind.UPLOAD

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield folders by name."""
        keep, root = self._services.settings.retention.uploads, self._services.registry.uploads
        for folder in sorted(root.iterdir()) if keep is not None and root.is_dir() else []:
            at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            if keep is not None and folder.is_dir() and is_over(at, keep, now):
                yield Over(self.kind, folder.name, (f"kind:{self.kind}",), at, over_since(at, keep), size_of(folder))

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Remove a folder.

        Raises:
            KeptForNow: a process is still receiving into it.
        """
        folder: Path = self._services.registry.uploads / item.name
        if not folder.is_dir():
            return
        with (folder / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KeptForNow("it is being received") from None
            shutil.rmtree(folder)
