"""What the registry holds: versions, artefacts of no version, and runs that no version came from."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.privacy.holdings.base import KeptForNow, Over, size_of
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since, retention_of, shorter


class Versions:
    """Versions that are neither in use nor needed to go back. The row stays, as the audit log and deployments refer to it."""

    kind = Kind.VERSION

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield versions by model and number; what is in use is not over, whatever its age."""
        registry = self._services.registry
        limit, needed = self._services.settings.retention.versions, self._services.deployments.needed_versions(session)
        needed |= self._services.batch.versions_at_work(session)
        kept = {
            model: shorter(limit, retention_of(spec).versions) for model, spec in registry.newest_specs(session).items()
        }
        for row in registry.all_versions(session):
            keep = kept.get(row.model)
            if keep is None or row.deleted_at is not None or (row.model, row.version) in needed:
                continue
            if not is_over(row.created_at, keep, now) or registry.is_newest(session, row.model, row.version):
                continue
            folder = registry.artefacts / row.bundle
            yield Over(
                kind=self.kind,
                name=f"{row.model}/{row.version}",
                refs=(f"kind:{self.kind}", f"model:{row.model}", f"model:{row.model}/versions/{row.version}"),
                at=row.created_at,
                since=over_since(row.created_at, keep),
                bytes=size_of(folder) if folder.is_dir() else 0,
                digest=row.digest,
            )

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete a version's artefact and what MLflow has of it.

        Raises:
            KeptForNow: it is in use by now.
        """
        model, _, number = item.name.partition("/")
        version = int(number)
        with self._services.database.write() as session:
            # Locks the version, so that no deployment of it can begin meanwhile.
            row = self._services.registry.lock_version(session, model, version)
            needed = self._services.deployments.needed_versions(session)
            if (model, version) in needed | self._services.batch.versions_at_work(session):
                raise KeptForNow("it is in use by now")
            if row.deleted_at is None:
                row.deleted_at = now
        with self._services.database.read() as session:
            self._services.registry.remove_version(session, model, version)


class Artefacts:
    """Folders of the artefact store that no version refers to, as a registration that was killed leaves them."""

    kind = Kind.ARTEFACT

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield folders by name."""
        keep = self._services.settings.retention.artefacts
        root = self._services.registry.artefacts
        referred = self._services.registry.bundles_in_use(session)
        for folder in sorted(root.iterdir()) if keep is not None and root.is_dir() else []:
            at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            if keep is None or not folder.is_dir() or folder.name in referred or not is_over(at, keep, now):
                continue
            refs = (f"kind:{self.kind}",)
            yield Over(self.kind, folder.name, refs, at, over_since(at, keep), size_of(folder), _hex(folder.name))

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Remove a folder.

        Raises:
            KeptForNow: a version refers to it by now.
        """
        with self._services.database.read() as session:
            if item.name in self._services.registry.bundles_in_use(session):
                raise KeptForNow("a version was registered from it")
        self._services.registry.remove_artefact(item.name)


class Runs:
    """Runs in MLflow that no version came from."""

    kind = Kind.RUN

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield runs by when they began. MLflow is asked only where runs are over at all."""
        limit = self._services.settings.retention.runs
        registry, specs = self._services.registry, self._services.registry.newest_specs(session)
        if limit is None and not specs:
            return
        shortest = min([retention_of(spec).runs for spec in specs.values()] + ([limit] if limit else []))
        for run_id, model, at in registry.store.runs_before(now - shortest):
            keep = shorter(limit, retention_of(specs[model]).runs if model in specs else None)
            if keep is None or not is_over(at, keep, now) or registry.has_version_of(session, run_id):
                continue
            refs = (f"kind:{self.kind}", *([f"model:{model}"] if model else []))
            yield Over(self.kind, run_id, refs, at, over_since(at, keep))

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete a run with its artefacts, for good.

        Raises:
            KeptForNow: a version came from it by now.
        """
        with self._services.database.read() as session:
            if self._services.registry.has_version_of(session, item.name):
                raise KeptForNow("a version came from it")
        self._services.registry.store.erase_run(item.name)


def _hex(name: str) -> str | None:
    return name if len(name) == 64 else None
