"""The registry's operations on what is registered; how something becomes so is in :mod:`backend.registry.registration`."""

import contextlib
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from backend.attestations.service import AttestationService
from backend.audit.service import AuditService
from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.errors import Conflict, NotFound, PlatformError
from backend.core.metrics import Metrics
from backend.identity.principal import Principal
from backend.registry.aliases import AliasMirror
from backend.registry.bundle import pack
from backend.registry.contents import RegistryContents
from backend.registry.mlflow_store import MlflowStore
from backend.registry.models import AliasRow, ModelRow, VersionRow
from backend.registry.repository import (
    aliases_of,
    all_names,
    bundles_before,
    has_artefact,
    made_at,
    newest_versions,
    registered,
    versions_of,
    versions_since,
)
from backend.registry.schemas import ModelOut, VersionOut
from mlplatform.attest.digest import artefact_digest
from mlplatform.attest.statement import Subject
from mlplatform.reference.profile import FILE as REFERENCE
from mlplatform.reference.profile import Reference, parse

CHAMPION = "champion"
CHALLENGER = "challenger"

_NUMBER = re.compile(r"^[1-9][0-9]{0,8}$")
_log = logging.getLogger(__name__)


class ArtefactDamaged(PlatformError):
    """The stored artefact is not what was registered; nothing may be served from it."""

    status: ClassVar[int] = 503
    slug: ClassVar[str] = "artefact-damaged"
    title: ClassVar[str] = "Artefact damaged"


@dataclass
class RegistryService(RegistryContents):
    """See the module's docstring."""

    settings: Settings
    clock: Clock
    audit: AuditService
    attestations: AttestationService
    metrics: Metrics
    changed: Callable[[Session, str], None] = lambda _session, _model: None
    """Told about each model of which something was registered, in the same transaction."""
    declared: Callable[[Session, VersionRow], None] = lambda _session, _version: None
    """Told about each new version, in the same transaction."""

    def __post_init__(self) -> None:
        home = self.settings.home
        self.artefacts = home / "artefacts"
        self.uploads = home / "uploads"
        self.store = MlflowStore(self.settings.mlflow.tracking_uri, home / "mlflow")
        self._mirror: AliasMirror | None = None
        self._database: Any = None

    def get_model(self, session: Session, name: str) -> ModelRow:
        """Return a model.

        Raises:
            NotFound: there is none of that name.
        """
        row = session.get(ModelRow, name)
        if row is None:
            raise NotFound(f"there is no model {name[:80]!r}", fix="Its first `platform register` makes it.")
        return row

    def registered(self, session: Session, names: Sequence[str]) -> dict[str, tuple[ModelRow, int | None, datetime]]:
        """Return those of these models that there are, with their newest version and when it was registered."""
        return {row.name: (row, latest, at) for row, latest, at in registered(session, names)}

    def made_at(
        self, session: Session, versions: Collection[tuple[str, int]]
    ) -> dict[tuple[str, int], tuple[datetime | None, datetime]]:
        """Return when each of these versions (model and number) was committed and registered, as far as there is one.

        The commit's time is what git says; it is nothing where that was not sent, or lies after the registration.
        """
        found = {}
        for key, (said, at) in made_at(session, versions).items():
            committed = None if said is None else datetime.fromisoformat(said)
            found[key] = (committed if committed is not None and committed <= at else None, at)
        return found

    def names(self, session: Session) -> Sequence[str]:
        """Return the names of all models."""
        return all_names(session)

    def versions_since(self, session: Session, since: datetime, limit: int) -> Sequence[VersionRow]:
        """Return the versions that were registered at a time or after it."""
        return versions_since(session, since, limit)

    def stored_before(self, session: Session, before: datetime) -> list[tuple[str, int, Path, datetime]]:
        """Return model, version, folder and time of registration of all versions that were there before a time."""
        rows = bundles_before(session, before)
        return [(model, version, self.artefacts / bundle, at) for model, version, bundle, at in rows]

    def model_of(self, session: Session, name: str, digest: str) -> ModelRow:
        """Return a model that has a version with this artefact.

        Raises:
            NotFound: there is no such model, or no such version of it.
        """
        row = self.get_model(session, name)
        if not has_artefact(session, name, digest):
            raise NotFound(f"no version of {name} has the artefact {digest}", fix="Register it first.")
        return row

    def get_version(self, session: Session, name: str, version: int | str | None = None) -> VersionRow:
        """Return a version by number or alias; the newest for ``None``.

        Raises:
            NotFound: there is none.
        """
        self.get_model(session, name)
        if isinstance(version, str):
            number = int(version) if _NUMBER.match(version) else self._aliased(session, name, version)
        else:
            number = newest_versions(session, [name]).get(name, 0) if version is None else version
        row = session.get(VersionRow, (name, number)) if 0 < number < 2**31 else None
        if row is None:
            raise NotFound(f"the model {name} has no version {number or version}")
        return row

    def versions_of(self, session: Session, wanted: Sequence[tuple[str, int]]) -> list[VersionRow]:
        """Return those of these versions (model and number) that there are."""
        return versions_of(session, wanted)

    def _aliased(self, session: Session, name: str, alias: str) -> int:
        row = session.get(AliasRow, (name, alias))
        if row is None:
            raise NotFound(f"the model {name} has no version {alias[:80]!r}")
        return row.version

    @staticmethod
    def subject(version: VersionRow) -> Subject:
        """Return what attestations about a version must be about."""
        return Subject(
            model=version.model,
            digest=version.digest,
            repository=version.repository,
            commit=version.commit,
            lock_digest=str(version.lineage["lockDigest"]),
            spec_digest=str(version.lineage["specDigest"]),
        )

    def bundle_path(self, version: VersionRow) -> Path:
        """Return the folder with the version's ``model/`` and ``environment/``, verified against its digest.

        Raises:
            ArtefactDamaged: it is gone or was changed.
            Conflict: it was deleted because it was over.
        """
        if version.deleted_at is not None:
            gone = f"the artefact of {version.model} {version.version} was deleted on {version.deleted_at:%Y-%m-%d}"
            raise Conflict(f"{gone}, since its retention was over", fix="Train and register a new version.")
        folder = self.artefacts / version.bundle
        fix = "Restore HOME/artefacts from a backup, or register the version again from its commit."
        try:
            intact = artefact_digest(folder) == version.bundle
        except (OSError, ValueError):
            raise ArtefactDamaged(f"the artefact of {version.model} {version.version} is gone", fix=fix) from None
        if not intact:
            raise ArtefactDamaged(f"the artefact of {version.model} {version.version} was changed", fix=fix)
        return folder

    def reference(self, version: VersionRow) -> Reference | None:
        """Return a version's training reference, verified against its digest; ``None`` if it was registered without one.

        Raises:
            ArtefactDamaged: it is gone or was changed.
        """
        digest = version.lineage.get("referenceDigest")
        if digest is None:
            return None
        fix = "Restore HOME/artefacts from a backup."
        what = f"the training reference of {version.model} {version.version}"
        try:
            content = (self.artefacts / version.bundle / REFERENCE).read_bytes()
        except OSError:
            raise ArtefactDamaged(f"{what} is gone", fix=fix) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArtefactDamaged(f"{what} was changed", fix=fix)
        return parse(content)

    def pack_bundle(self, version: VersionRow) -> Iterator[bytes]:
        """Return the version's bundle as a tar, piece by piece."""
        return pack(self.bundle_path(version))

    def aliases(self, session: Session, name: str) -> dict[str, int]:
        """Return which version each alias of a model points at."""
        return aliases_of(session, [name])[name]

    def set_alias(self, session: Session, model: str, alias: str, version: int, actor: Principal | str) -> None:
        """Point an alias at a version. Only the deployments domain calls this, when traffic moves."""
        self.get_version(session, model, version)
        row = session.get(AliasRow, (model, alias))
        before = row.version if row else None
        if before == version:
            return
        if row is None:
            session.add(AliasRow(model=model, alias=alias, version=version, moved_at=self.clock.now()))
        else:
            row.version, row.moved_at = version, self.clock.now()
        session.flush()
        self._alias_moved(session, model, alias, before, version, actor)

    def clear_alias(self, session: Session, model: str, alias: str, actor: Principal | str) -> None:
        """Take an alias away; nothing happens when there is none."""
        row = session.get(AliasRow, (model, alias))
        if row is None:
            return
        before = row.version
        session.delete(row)
        session.flush()
        self._alias_moved(session, model, alias, before, None, actor)

    def _alias_moved(
        self, session: Session, model: str, alias: str, before: int | None, now: int | None, actor: Principal | str
    ) -> None:
        self.audit.append(
            session,
            type="ml-platform.registry.alias.moved",
            subject=f"model:{model}",
            actor=actor,
            data={"alias": alias, "from": before, "to": now},
        )
        mirror = self._mirror
        if mirror is not None:
            event.listen(session, "after_commit", lambda _session: mirror.note(model), once=True)

    def sync_aliases(self, session: Session, model: str) -> None:
        """Make MLflow's aliases of a model like ours."""
        wanted = self.aliases(session, model)
        for alias, version in wanted.items():
            self.store.set_alias(model, alias, version)
        for alias in {CHAMPION, CHALLENGER} - wanted.keys():
            self.store.clear_alias(model, alias)

    def version_out(self, session: Session, row: VersionRow) -> VersionOut:
        """Return a version as the API shows it."""
        return self.versions_out(session, [row])[0]

    def versions_out(self, session: Session, rows: list[VersionRow]) -> list[VersionOut]:
        """Return versions as the API shows them."""
        aliases = aliases_of(session, sorted({row.model for row in rows}))
        return [
            VersionOut.model_validate(
                {
                    "model": row.model,
                    "version": row.version,
                    "digest": row.digest,
                    "createdAt": row.created_at,
                    "createdBy": row.created_by,
                    "aliases": [name for name, number in aliases[row.model].items() if number == row.version],
                    "lineage": {**row.lineage, "runId": row.run_id},
                    "metrics": row.metrics,
                    "params": row.params,
                    "spec": row.spec,
                    "mlflowUrl": self._mlflow_url(row),
                }
            )
            for row in rows
        ]

    def models_out(self, session: Session, rows: list[ModelRow]) -> list[ModelOut]:
        """Return models as the API shows them."""
        names = [row.name for row in rows]
        newest, aliases = newest_versions(session, names), aliases_of(session, names)
        own = ("name", "description", "type", "owner", "system", "tier", "cost_centre", "repository")
        return [
            ModelOut.model_validate(
                {
                    **{name: getattr(row, name) for name in (*own, "created_at", "created_by")},
                    "latest_version": newest.get(row.name),
                    "aliases": aliases[row.name],
                }
            )
            for row in rows
        ]

    def _mlflow_url(self, row: VersionRow) -> str | None:
        path = f"/#/models/{row.model}/versions/{row.version}"
        if self.settings.mlflow.embedded:
            return f"{self.settings.base_url}/mlflow{path}"
        uri = self.settings.mlflow.tracking_uri or ""
        return uri.rstrip("/") + path if uri.startswith(("http://", "https://")) else None

    def start(self, database: Any) -> None:
        """Start the work beside requests: clean up what a dead process left, keep MLflow's aliases like ours."""
        self._database = database
        self._mirror = AliasMirror(self._sync_one)
        self._mirror.start()
        threading.Thread(target=self._catch_up, name="registry-catch-up", daemon=True).start()

    def stop(self) -> None:
        """End the work beside requests."""
        if self._mirror is not None:
            self._mirror.stop()
            self._mirror = None

    def _sync_one(self, model: str) -> None:
        with self._database.read() as session:
            self.sync_aliases(session, model)

    def _catch_up(self) -> None:
        from backend.registry.registration import forget_abandoned

        with contextlib.suppress(Exception):
            forget_abandoned(self, self._database)
            with self._database.read() as session:
                models = session.execute(select(AliasRow.model).distinct()).scalars().all()
            mirror = self._mirror
            for model in models if mirror is not None else ():
                mirror.note(model)  # type: ignore[union-attr]
