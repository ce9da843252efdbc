"""Takes over what model servers wrote down about the requests of experiments; see :mod:`mlplatform.serving.experiments`."""

import hashlib
import hmac
import json
import logging
import os
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from backend.core.errors import NotFound, PlatformError
from backend.experiments import repository, results
from backend.experiments.compare import Compared, compare
from backend.experiments.models import Experiment, Kind, Pair, Phase, Prediction, Source, Unit, WaitingAnswer
from backend.local.folders import Folders
from mlplatform.crypto import Binding, CiphertextInvalid
from mlplatform.redaction.logging import clean
from mlplatform.serving.experiments import FOLDER, Told, binding_text
from mlplatform.serving.samples import RECIPIENT
from mlplatform.serving.spool import SEALED, spooled

if TYPE_CHECKING:
    from backend.core.container import Services

_PIECE = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """A line of the spool: what is sealed, and what that is about."""

    request: str
    version: int
    key_id: str
    sealed: bytes


class Intake:
    """See the module's docstring. Only the process that leads calls :meth:`take_over`."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._folder = Folders(services.settings.home).samples / FOLDER
        self.drained = False
        """Whether nothing was left when the spool was looked at last."""

    def publish(self) -> None:
        """Put the public key where model servers find it; without it they serve, and write nothing down. Never raises."""
        file = self._folder / RECIPIENT
        try:
            with self._services.database.write() as session:
                key_id, recipient = self._services.privacy.keys.recipient(session)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}.{os.getpid()}")
            temporary.write_text(json.dumps({"id": key_id, "x25519": recipient.public.hex()}))
            temporary.replace(file)
        except (PlatformError, OSError) as error:
            _log.warning("model servers can't write down what experiments meet: %s", error)

    def take_over(self) -> None:
        """Take over what is spooled."""
        files = sorted(self._folder.glob(f"*{SEALED}"))
        self.drained = len(files) <= _PIECE
        for file in files[:_PIECE]:
            with self._services.database.write() as session:
                self._take(session, file)
            file.unlink(missing_ok=True)

    def _take(self, session: Session, file: Path) -> None:
        found: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
        for line in spooled(file):
            try:
                place = (str(line["experiment"])[:36], str(line["environment"]), str(line["model"]))
                one = Line(
                    str(line["request"])[:64], int(line["version"]), str(line["key"]), bytes.fromhex(line["sealed"])
                )
            except (KeyError, TypeError, ValueError):
                continue
            found[place].append(one)
        for (id, environment, model), lines in sorted(found.items()):
            experiment = repository.lock(session, id)
            if experiment is None or (experiment.environment, experiment.model) != (environment, model):
                continue
            lines = [line for line in lines if line.version in (experiment.champion, experiment.challenger)]
            take = self._shadow if experiment.kind == Kind.SHADOW else self._assigned
            take(session, experiment, lines)
            flag_modified(experiment, "figures")

    def _shadow(self, session: Session, experiment: Experiment, lines: list[Line]) -> None:
        """Compare answers whose other half is there, and keep the others sealed until it is."""
        if experiment.phase != Phase.RUNNING:
            return
        requests = [line.request for line in lines]
        known = repository.compared(session, experiment.id, requests)
        waiting = repository.waiting(session, experiment.id, requests)
        for line in lines:
            if line.request in known or (line.request, line.version) in waiting:
                continue  # taken over before a crash, or a client that uses the id of a request again
            other = experiment.challenger if line.version == experiment.champion else experiment.champion
            half = waiting.pop((line.request, other), None)
            if half is None:
                row = WaitingAnswer(experiment_id=experiment.id, request=line.request, version=line.version)
                row.key_id, row.sealed, row.at = line.key_id, line.sealed, self._services.clock.now()
                session.add(row)
                waiting[line.request, line.version] = row
                continue
            known.add(line.request)
            second = Line(half.request, half.version, half.key_id, half.sealed)
            session.flush()
            session.delete(half)
            pair = {line.version: line, second.version: second}
            self._compare(session, experiment, pair[experiment.champion], pair[experiment.challenger])
        session.flush()
        settings = self._services.settings.experiments
        dropped = repository.drop_beyond(
            session, experiment.id, answers=settings.most_answers, pairs=settings.most_pairs
        )
        experiment.figures["unpaired"] += dropped

    def _compare(self, session: Session, experiment: Experiment, champion: Line, challenger: Line) -> None:
        one, other = self._told(session, experiment, champion), self._told(session, experiment, challenger)
        figures = experiment.figures
        unreadable = one is not None and other is not None and one.status == other.status == 200
        unreadable = unreadable and (one is None or other is None or None in (one.answer, other.answer))
        if one is None or other is None or unreadable:
            figures["unreadable"] += 1
            return
        if one.status != other.status:
            compared = Compared(False, f"status: {one.status} and {other.status}")
        else:
            compared = compare(clean(one.answer), clean(other.answer), experiment.tolerance or 0.0)
        results.add_pair(figures, compared, (one.status, other.status), (one.milliseconds, other.milliseconds))
        session.add(
            Pair(
                experiment_id=experiment.id,
                request=champion.request,
                seq=figures["compared"],
                at=datetime.fromtimestamp(one.at, UTC),
                agrees=compared.agrees,
                where=compared.where,
                champion_status=one.status,
                challenger_status=other.status,
                champion_ms=one.milliseconds,
                challenger_ms=other.milliseconds,
            )
        )

    def _assigned(self, session: Session, experiment: Experiment, lines: list[Line]) -> None:
        """Write down who met which version, and under which id an outcome may come."""
        if experiment.salt is None or experiment.started_at is None:
            return
        told = [(line, found) for line in lines if (found := self._told(session, experiment, line)) is not None]
        hashes = [None if one.unit is None else hashed(experiment.salt, one.unit) for _, one in told]
        units = repository.units(session, experiment.id, [one for one in hashes if one is not None])
        known = set(repository.predictions(session, [one.prediction for _, one in told]))
        figures = experiment.figures
        for (line, one), unit in zip(told, hashes, strict=True):
            if unit is None:
                figures["withoutKey"] += 1
                continue
            if one.prediction in known:
                continue
            known.add(one.prediction)
            row = units.get(unit)
            if row is None:
                row = units[unit] = Unit(
                    experiment_id=experiment.id, unit=unit, version=line.version, crossed=False, has_outcome=False
                )
                row.at = datetime.fromtimestamp(one.at, UTC)
                session.add(row)
                figures["keys"][results.side(experiment, line.version)] += 1
                self._own_outcome(experiment, row, one)
            elif row.version != line.version and not row.crossed:
                row.crossed = True
                figures["crossed"] += 1
            if figures["predictions"] >= self._services.settings.experiments.most_predictions:
                figures["dropped"] += 1
                continue
            figures["predictions"] += 1
            at = datetime.fromtimestamp(one.at, UTC)
            session.add(
                Prediction(
                    id=one.prediction, experiment_id=experiment.id, unit=unit, version=line.version, at=at, value=None
                )
            )
        session.flush()
        results.rejudge(experiment, figures, self._services.settings.experiments.least_units)

    def _own_outcome(self, experiment: Experiment, unit: Unit, one: Told) -> None:
        """Take what the server itself saw of a key's first request as its outcome, where that is what is tested."""
        if experiment.source == Source.OUTCOMES:
            return
        unit.has_outcome = True
        value = float(one.status >= 500) if experiment.source == Source.ERRORS else one.milliseconds
        results.add_value(experiment, experiment.figures, unit.version, value)

    def _told(self, session: Session, experiment: Experiment, line: Line) -> Told | None:
        binding = Binding("experiment-answer", binding_text(experiment.environment, experiment.model, line.request))
        try:
            recipient = self._services.privacy.keys.load_recipient(session, line.key_id)
            content: dict[str, Any] = json.loads(recipient.open(line.sealed, binding))
            told = Told(**content)
            uuid.UUID(told.prediction)
        except NotFound:
            # The database is another one than when the key was published.
            (self._folder / RECIPIENT).unlink(missing_ok=True)
            return None
        except (CiphertextInvalid, TypeError, ValueError):
            return None
        return told


def hashed(salt: bytes, key: str) -> str:
    """Return what stands for a key in the database: the same key the same, and no way back once the salt is gone."""
    return hmac.new(salt, key.encode(), hashlib.sha256).hexdigest()[:32]
