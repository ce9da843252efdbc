"""What the registry holds, for whoever decides how long: lists of it, and taking out what is over."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.core.errors import Conflict
from backend.registry import repository
from backend.registry.mlflow_store import MlflowStore, MlflowVersion
from backend.registry.models import VersionRow

_LEAVING = ".leaving-"


class RegistryContents:
    """The part of the registry's service that retention asks."""

    artefacts: Path
    store: MlflowStore

    def all_versions(self, session: Session, *, type: str | None = None) -> Iterator[VersionRow]:
        """Yield all versions, or those of a type, by model and number, deleted ones too."""
        return repository.all_versions(session, type=type)

    def first_at(self, session: Session) -> datetime | None:
        """Return when the first version was registered."""
        return repository.first_at(session)

    def newest_specs(self, session: Session) -> dict[str, dict[str, Any]]:
        """Return the newest ``model.yaml`` by model."""
        return repository.newest_specs(session)

    def is_newest(self, session: Session, model: str, version: int) -> bool:
        """Say whether a version is the newest of its model."""
        return repository.newest_versions(session, [model]).get(model) == version

    def bundles_in_use(self, session: Session) -> set[str]:
        """Return the folders of the artefact store that versions refer to."""
        return repository.bundles_in_use(session)

    def aliased(self, session: Session) -> set[tuple[str, int]]:
        """Return the versions that an alias points at."""
        return repository.aliased(session)

    def has_version_of(self, session: Session, run_id: str) -> bool:
        """Say whether a version that was not deleted came from a run."""
        return repository.has_run(session, run_id)

    def lock_version(self, session: Session, model: str, version: int) -> VersionRow:
        """Return a version as it is, and nobody else's until the transaction ends.

        Raises:
            Conflict: there is none.
        """
        row = repository.lock_version(session, model, version)
        if row is None:
            raise Conflict(f"the model {model} has no version {version}")
        return row

    def standing(self, session: Session, model: str, version: int) -> VersionRow:
        """Return a version that was not deleted, locked, so that it stays so until the transaction ends.

        Raises:
            Conflict: it was deleted because it was over.
        """
        row = self.lock_version(session, model, version)
        if row.deleted_at is not None:
            raise Conflict(
                f"v{version} of {model} was deleted on {row.deleted_at:%Y-%m-%d}, since its retention was over",
                fix="Train and register a new version.",
            )
        return row

    def remove_version(self, session: Session, model: str, version: int) -> None:
        """Remove the artefact of a version that is marked as deleted, and what MLflow has of it; again is no error."""
        row = repository.lock_version(session, model, version)
        if row is None or row.deleted_at is None:
            return
        if row.bundle not in repository.bundles_in_use(session):
            self.remove_artefact(row.bundle)
        self.store.unregister(model, MlflowVersion(version, row.run_id))
        self.store.erase_run(row.run_id)

    def remove_artefact(self, name: str) -> None:
        """Remove a folder of the artefact store: it disappears in one step."""
        leaving = self.artefacts / f"{_LEAVING}{name}"
        if (self.artefacts / name).exists():
            (self.artefacts / name).rename(leaving)
        if leaving.exists():
            shutil.rmtree(leaving)
