"""Payload samples: all of a model in an environment that are over are one item."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.privacy import sample_repository as repository
from backend.privacy.holdings.base import Over, digest_of
from backend.privacy.models import Kind, RetentionItem
from backend.privacy.policies import is_over, over_since, retention_of, shorter


class SampleHolding:
    """The :class:`~backend.privacy.holdings.base.Holding` of payload samples."""

    kind = Kind.PAYLOAD_SAMPLE

    def __init__(self, services: Services) -> None:
        self._services = services

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield, by environment and model, the samples up to a time."""
        specs = self._services.registry.newest_specs(session)
        limit = self._services.settings.retention.payload_samples
        for environment, model in repository.places(session):
            keep = shorter(limit, retention_of(specs.get(model)).payload_samples)
            if keep is None:
                continue
            before = now - keep
            count, oldest, size = repository.older(session, environment, model, before)
            if not count or oldest is None or not is_over(oldest, keep, now):
                continue
            yield Over(
                kind=self.kind,
                name=f"{environment}/{model}@{before.isoformat()}",
                refs=(f"kind:{self.kind}", f"environment:{environment}", f"model:{model}"),
                at=oldest,
                since=over_since(oldest, keep),
                bytes=size,
                digest=digest_of(repository.ids_older(session, environment, model, before)),
            )

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete those up to the item's time."""
        place, _, before = item.name.rpartition("@")
        environment, _, model = place.partition("/")
        with self._services.database.write() as session:
            ids = repository.ids_older(session, environment, model, datetime.fromisoformat(before))
            repository.forget(session, ids)
