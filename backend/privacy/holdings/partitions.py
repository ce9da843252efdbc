"""Partitions of the environments' lakes: what batch models read and what they wrote."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.privacy.holdings.base import KeptForNow, Over, digest_of
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import end_of, is_over, over_since
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, open_lake
from mlplatform.spec.batch import REJECTED
from mlplatform.spec.model import ModelType


@dataclass(frozen=True, order=True)
class BatchFolder:
    """A folder of a lake, and the models it belongs to."""

    folder: str
    partition: str
    kind: Kind
    models: tuple[str, ...]


def folders_of_models(services: Services, session: Session) -> list[BatchFolder]:
    """Return the folders that registered batch models read and write, with their rejected rows."""
    found: dict[tuple[str, str, Kind], set[str]] = {}
    for version in services.registry.all_versions(session, type=ModelType.BATCH):
        batch = version.spec.get("batch")
        if not isinstance(batch, dict):
            continue
        partition = str(batch.get("partition", "date"))
        for name, kind in (
            (batch["input"], Kind.DATASET),
            (batch["output"], Kind.BATCH_OUTPUT),
            (batch["output"] + REJECTED, Kind.BATCH_OUTPUT),
        ):
            found.setdefault((name, partition, kind), set()).add(version.model)
    return sorted(BatchFolder(*key, tuple(sorted(models))) for key, models in found.items())


class Partitions:
    """The :class:`~backend.privacy.holdings.base.Holding` of one kind of partition."""

    def __init__(self, services: Services, kind: Kind) -> None:
        self._services, self.kind = services, kind

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield partitions whose day is over long enough; a folder that two kinds of model share goes by the longer."""
        retention = self._services.settings.retention
        for folder in folders_of_models(self._services, session):
            if folder.kind is not self.kind:
                continue
            outputs = self.kind is Kind.BATCH_OUTPUT
            keep = retention.batch_outputs if outputs else retention.datasets.get(folder.folder)
            if keep is not None:
                yield from self._of(folder, keep, now)

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Remove a partition: it disappears in one step.

        Raises:
            KeptForNow: it is being written at this moment.
        """
        environment, folder, partition, day = named(item.name)
        lake = self._lake(environment)
        if lake is None:
            raise KeptForNow(f"the environment {environment} is not configured any more")
        try:
            with lake.alone(folder, partition, day):
                lake.remove(folder, partition, day)
        except BatchFailed as fault:
            if fault.again:
                raise KeptForNow(fault.message) from None
            raise

    def _of(self, folder: BatchFolder, keep: timedelta, now: datetime) -> Iterator[Over]:
        for environment in self._services.settings.environments:
            lake = self._lake(environment)
            if lake is None:
                continue
            for day in lake.days(folder.folder, folder.partition):
                at = end_of(day)
                if not is_over(at, keep, now):
                    continue
                files = lake.files(folder.folder, folder.partition, day)
                yield Over(
                    kind=self.kind,
                    name=f"{environment}:{folder.folder}:{folder.partition}={day.isoformat()}",
                    refs=(
                        f"kind:{self.kind}",
                        f"environment:{environment}",
                        f"dataset:{folder.folder}",
                        *(f"model:{model}" for model in folder.models),
                    ),
                    at=at,
                    since=over_since(at, keep),
                    bytes=sum(file.bytes for file in files),
                    digest=digest_of(f"{file.name} {file.bytes} {file.mark}" for file in files),
                )

    def _lake(self, environment: str) -> Lake | None:
        settings = self._services.settings
        return open_lake(settings.lake_of(environment)) if environment in settings.environments else None


def named(name: str) -> tuple[str, str, str, date]:
    """Return the environment, folder, partition column and day in a partition's name."""
    environment, folder, rest = name.split(":")
    partition, _, day = rest.partition("=")
    return environment, folder, partition, date.fromisoformat(day)
