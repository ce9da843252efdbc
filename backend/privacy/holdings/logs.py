"""Logs under HOME/logs: of model servers, batch runs and the platform's own programs. A file is as old as its last line."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.local.folders import Folders
from backend.privacy.holdings.base import KeptForNow, Over
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since, retention_of, shorter
from mlplatform.batch.lake import file_digest

_SERVER = re.compile(r"models/(?P<environment>[^/]+)/(?P<model>[^/]+)/v(?P<version>\d+)-r\d+\.log(?P<rotated>\.\d+)?")
_BATCH = re.compile(r"batch/(?P<environment>[^/]+)/(?P<model>[^/]+)/[^/]+\.log")
_OWN = re.compile(r"[^/]+\.log(\.\d+)?")


class Logs:
    """The :class:`~backend.privacy.holdings.base.Holding` of logs."""

    kind = Kind.LOG

    def __init__(self, services: Services) -> None:
        self._services = services
        self._folders = Folders(services.settings.home)

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield log files that nothing was written to for long enough."""
        specs = self._services.registry.newest_specs(session)
        limit = self._services.settings.retention.logs
        for path, refs, model in log_files(self._folders):
            keep = shorter(limit, retention_of(specs.get(model)).logs if model else None)
            status = path.stat()
            at = datetime.fromtimestamp(status.st_mtime, UTC)
            if keep is None or not is_over(at, keep, now) or self._is_open(path):
                continue
            yield Over(
                kind=self.kind,
                name=path.relative_to(self._folders.logs).as_posix(),
                refs=refs,
                at=at,
                since=over_since(at, keep),
                bytes=status.st_size,
                digest=file_digest(path),
            )

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Remove a file.

        Raises:
            KeptForNow: it was written to since the run was planned, or a process has it open.
        """
        path = self._folders.logs / item.name
        if not path.exists():
            return
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if written > item.at + timedelta(seconds=1) or self._is_open(path):
            raise KeptForNow("it is being written to")
        path.unlink(missing_ok=True)

    def _is_open(self, path: Path) -> bool:
        name = path.relative_to(self._folders.logs).as_posix()
        if server := _SERVER.fullmatch(name):
            record = f"{server['environment']}--{server['model']}--v{server['version']}.json"
            return server["rotated"] is None and (self._folders.versions / record).exists()
        if _BATCH.fullmatch(name):
            return False
        return path.suffix == ".log"  # The platform's own programs append to it as long as it is up.


def log_files(folders: Folders) -> Iterator[tuple[Path, tuple[str, ...], str | None]]:
    """Yield all logs with what they belong to, and the model they are of."""
    for path in sorted(folders.logs.rglob("*")):
        name = path.relative_to(folders.logs).as_posix()
        if path.is_symlink() or not path.is_file():
            continue
        if match := _SERVER.fullmatch(name) or _BATCH.fullmatch(name):
            model = match["model"]
            refs = [f"kind:{Kind.LOG}", f"environment:{match['environment']}", f"model:{model}"]
            if "version" in match.groupdict():
                refs.append(f"model:{model}/versions/{match['version']}")
            yield path, tuple(refs), model
        elif _OWN.fullmatch(name):
            yield path, (f"kind:{Kind.LOG}",), None
