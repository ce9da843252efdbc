"""Payload samples: taken over from the model servers' spool, sealed anew, bounded, and read by whoever watches a model."""

import json
import logging
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM, AuditService
from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.database import Database
from backend.core.errors import NotFound, PlatformError
from backend.local.folders import Folders
from backend.privacy import sample_repository as repository
from backend.privacy.keys import SAMPLES, DataKeys
from backend.privacy.models import PayloadSample
from mlplatform.crypto import Binding, CiphertextInvalid, Recipient
from mlplatform.redaction.logging import clean
from mlplatform.serving.samples import RECIPIENT, binding_text
from mlplatform.serving.spool import SEALED, spooled

LEAKED = "ml-platform.privacy.samples.leaked"
"""A model server's samples still held personal data or secrets when they were taken over."""
_PIECE = 500
_MARK = "[REDACTED:"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A prediction that was sampled; ``request`` and ``answer`` are redacted JSON."""

    id: str
    environment: str
    model: str
    version: int
    at: datetime
    request: Any
    answer: Any


@dataclass(frozen=True)
class Leak:
    """Samples in which a model server had left personal data or secrets."""

    at: datetime
    subject: str
    environment: str
    samples: int


class Samples:
    """See the module's docstring."""

    def __init__(
        self, settings: Settings, clock: Clock, database: Database, keys: DataKeys, audit: AuditService
    ) -> None:
        self._settings, self._clock, self._database, self._keys = settings.privacy.samples, clock, database, keys
        self._audit = audit
        self._folder = Folders(settings.home).samples

    def publish(self) -> None:
        """Put the public key where model servers find it; without it they serve, and take no samples. Never raises."""
        file = self._folder / RECIPIENT
        if not self._settings.enabled:
            file.unlink(missing_ok=True)
            return
        if file.exists():
            return
        try:
            with self._database.write() as session:
                key_id, recipient = self._keys.recipient(session)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}.{os.getpid()}")
            temporary.write_text(json.dumps({"id": key_id, "x25519": recipient.public.hex()}))
            temporary.replace(file)
        except (PlatformError, OSError) as error:
            _log.warning("model servers can't take samples: %s", error)

    def take_over(self) -> int:
        """Move what the model servers have spooled into the store; return how many samples there are more."""
        taken = 0
        for file in sorted(self._folder.glob(f"*{SEALED}"))[:_PIECE]:
            taken += self._take_over(file)
            file.unlink(missing_ok=True)
        return taken

    def add(self, session: Session, samples: Sequence[Sample]) -> int:
        """Seal and keep samples; those that are there already stay as they are."""
        by_id = {sample.id: sample for sample in reversed(samples)}
        known = repository.known(session, by_id)
        fresh = [sample for sample in samples if sample.id not in known and by_id[sample.id] is sample]
        if not fresh:
            return 0
        key_id, key = self._keys.active(session, SAMPLES)
        leaked: dict[tuple[str, str, int], int] = {}
        for sample in fresh:
            # Again, whatever an older toolkit in a model's environment knew to redact.
            content = json.dumps({"request": clean(sample.request), "answer": clean(sample.answer)})
            if content.count(_MARK) > json.dumps({"request": sample.request, "answer": sample.answer}).count(_MARK):
                place = (sample.environment, sample.model, sample.version)
                leaked[place] = leaked.get(place, 0) + 1
            sealed = key.seal(content.encode(), _binding(sample.environment, sample.model, sample.id))
            row = PayloadSample(id=sample.id, environment=sample.environment, model=sample.model, key_id=key_id)
            row.version, row.at, row.sealed = sample.version, sample.at, sealed
            session.add(row)
        session.flush()
        for environment, model in sorted({(sample.environment, sample.model) for sample in fresh}):
            repository.drop_beyond(session, environment, model, self._settings.most)
        for (environment, model, version), number in sorted(leaked.items()):
            self._audit.append(
                session,
                type=LEAKED,
                subject=f"model:{model}/versions/{version}",
                actor=PLATFORM,
                data={"environment": environment, "samples": number},
            )
        return len(fresh)

    def leaks(self, session: Session, since: datetime) -> list[Leak]:
        """Return when samples came that still held personal data or secrets, since a time; kept they were without."""
        return [
            Leak(
                datetime.fromisoformat(event["time"]),
                event["subject"],
                event["data"]["environment"],
                event["data"]["samples"],
            )
            for event in self._audit.events(session, LEAKED, since, self._clock.now())
        ]

    def read(
        self,
        session: Session,
        environment: str,
        model: str,
        *,
        version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Sample]:
        """Yield a model's samples, oldest first, opened.

        Raises:
            EncryptionUnavailable: the keys are not to be had.
        """
        after: tuple[datetime, str] | None = None
        while rows := repository.piece(
            session, environment, model, version=version, since=since, until=until, after=after, limit=_PIECE
        ):
            for row in rows:
                yield self.opened(session, row)
            after = (rows[-1].at, rows[-1].id)

    def there(self, session: Session, environment: str, model: str, ids: Collection[str]) -> set[str]:
        """Return which of these predictions of a model were sampled."""
        return repository.there(session, environment, model, ids)

    def of(
        self, session: Session, environment: str, model: str, ids: Collection[str], *, version: int
    ) -> Iterator[Sample]:
        """Yield a version's samples of these predictions, opened.

        Raises:
            EncryptionUnavailable: the keys are not to be had.
        """
        for row in repository.of_ids(session, environment, model, ids):
            if row.version == version:
                yield self.opened(session, row)

    def get(self, session: Session, sample_id: str) -> Sample:
        """Return a sample by the prediction's id.

        Raises:
            NotFound: that prediction was not sampled, or the sample is over.
        """
        row = session.get(PayloadSample, sample_id)
        if row is None:
            raise NotFound(f"there is no sample of a prediction {sample_id[:40]!r}")
        return self.opened(session, row)

    def opened(self, session: Session, row: PayloadSample) -> Sample:
        """Return a row's sample.

        Raises:
            EncryptionUnavailable: the key is not to be had.
            PlatformError: the row was changed.
        """
        key = self._keys.load(session, row.key_id)
        try:
            content = json.loads(key.open(row.sealed, _binding(row.environment, row.model, row.id)))
        except CiphertextInvalid as error:
            raise PlatformError(f"the sample {row.id} is damaged: {error.message}", fix=error.fix) from None
        return Sample(
            row.id, row.environment, row.model, row.version, row.at, content.get("request"), content.get("answer")
        )

    def reseal(self, session: Session, most: int) -> int:
        """Seal samples of former keys with the present one; return how many that were."""
        key_id, key = self._keys.active(session, SAMPLES)
        rows = repository.sealed_by_others(session, key_id, limit=most)
        for row in rows:
            binding = _binding(row.environment, row.model, row.id)
            row.sealed = key.seal(self._keys.load(session, row.key_id).open(row.sealed, binding), binding)
            row.key_id = key_id
        session.flush()
        return len(rows)

    def _take_over(self, file: Path) -> int:
        with self._database.write() as session:
            samples, lost = [], 0
            for line in spooled(file):
                try:
                    recipient = self._keys.load_recipient(session, str(line["key"]))
                    samples.append(_sample(line, recipient))
                except NotFound:
                    # The database is another one than when the key was published.
                    (self._folder / RECIPIENT).unlink(missing_ok=True)
                    lost += 1
                except (KeyError, TypeError, ValueError, CiphertextInvalid):
                    lost += 1
            if lost:
                _log.warning("%s spooled samples can't be read and are dropped", lost, extra={"file": file.name})
            return self.add(session, samples)


def _sample(line: dict[str, Any], recipient: Recipient) -> Sample:
    place = (str(line["environment"])[:63], str(line["model"])[:63])
    id = str(uuid.UUID(str(line["id"])))
    binding = Binding("payload-sample", binding_text(*place, id))
    content = json.loads(recipient.open(bytes.fromhex(line["sealed"]), binding))
    at = datetime.fromtimestamp(float(line["at"]), UTC)
    return Sample(id, *place, int(line["version"]), at, content.get("request"), content.get("answer"))


def _binding(environment: str, model: str, id: str) -> Binding:
    return Binding("payload-sample", binding_text(environment, model, id))
