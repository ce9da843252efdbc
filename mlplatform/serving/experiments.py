"""What a server tells the platform about the requests of an experiment: sealed, spooled, and never in anybody's way.

The proxy marks those requests; see ``backend.deployments.targets.local.envoy``. In a shadow run both servers write down what
they answered, so that the answers can be compared by the request's id. In an A/B experiment a server writes down for whom it
predicted, and gives the prediction an id under which its outcome can be reported later.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlplatform.crypto.binding import Binding
from mlplatform.redaction.logging import clean
from mlplatform.serving.samples import FOLDER_VARIABLE, RECIPIENT, Place, Seal, new_id, sealing
from mlplatform.serving.spool import Spool

FOLDER = "experiments"
"""Within the folder of the payload samples."""
_HEADERS = {b"x-experiment": 0, b"x-experiment-unit": 1, b"x-request-id": 2}
_MOST_WAITING = 512
_LARGEST = 1 << 16
_LONGEST = 200
_FLUSH_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 5.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taking:
    """How a request takes part in an experiment."""

    experiment: str
    unit: str | None
    request: str
    prediction: str
    """The id that an outcome can be reported under."""


@dataclass(frozen=True)
class Told:
    """What a server wrote down about a request; ``answer`` is ``None`` where answers are not compared."""

    at: float
    milliseconds: float
    status: int
    unit: str | None
    prediction: str
    answer: Any


@dataclass(frozen=True)
class _Taken:
    taking: Taking
    at: float
    seconds: float
    status: int
    answer: bytes


def binding_text(environment: str, model: str, request: str) -> str:
    """Return what a record is bound to."""
    return f"{environment}/{model}/{request}"


class Recorder:
    """Writes down what the requests of experiments met; when that falls behind, some of it is left out."""

    def __init__(self, folder: Path, place: Place) -> None:
        self._folder, self._place = folder, place
        self._spool: Spool[_Taken] = Spool(
            folder, "what experiments meet", self._lines, most_waiting=_MOST_WAITING, flush_seconds=_FLUSH_SECONDS
        )
        self._seal: tuple[str, Seal] | None = None
        self._looked = float("-inf")

    def taking(self, headers: Iterable[tuple[bytes, bytes]]) -> Taking | None:
        """Return how a request takes part in an experiment, if it does."""
        found: list[str | None] = [None, None, None]
        for name, value in headers:
            if (place := _HEADERS.get(name)) is not None:
                found[place] = value.decode("latin-1")[:_LONGEST]
        experiment, unit, request = found
        if experiment is None or request is None:
            return None
        return Taking(experiment, unit or None, request, new_id())

    def take(self, taking: Taking, seconds: float, status: int, answer: bytes) -> None:
        """Hand over what was answered; returns at once."""
        self._spool.take(_Taken(taking, time.time(), seconds, status, answer))

    def flush(self, patience: float) -> None:
        """Wait until what was taken is spooled."""
        self._spool.flush(patience)

    def _lines(self, taken: Sequence[_Taken]) -> list[bytes]:
        seal = self._sealing()
        return [] if seal is None else [self._line(*seal, one) for one in taken]

    def _line(self, key_id: str, seal: Seal, one: _Taken) -> bytes:
        place = self._place
        taking = one.taking
        told = Told(one.at, one.seconds * 1000, one.status, taking.unit, taking.prediction, _compared(one))
        bound = Binding("experiment-answer", binding_text(place.environment, place.model, taking.request)).encoded()
        return json.dumps(
            {
                "experiment": taking.experiment,
                "request": taking.request,
                "environment": place.environment,
                "model": place.model,
                "version": place.version,
                "key": key_id,
                "sealed": seal(json.dumps(told.__dict__).encode(), bound).hex(),
            }
        ).encode()

    def _sealing(self) -> tuple[str, Seal] | None:
        """Return the platform's public key; the first experiment comes long after the server has started."""
        if self._seal is None and time.monotonic() - self._looked > _LOOK_AGAIN_SECONDS:
            self._looked = time.monotonic()
            try:
                recipient = json.loads((self._folder / RECIPIENT).read_text(encoding="utf-8"))
                self._seal = str(recipient["id"]), sealing(bytes.fromhex(recipient["x25519"]))
            except (OSError, ValueError, KeyError, ImportError) as error:
                _logger.warning("nothing is written down for experiments: %s", type(error).__name__)
        return self._seal


def recorder(place: Place) -> Recorder | None:
    """Return a recorder for this process, if a platform runs it."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Recorder(Path(named) / FOLDER, place) if named else None


def _compared(one: _Taken) -> Any:
    """Return what is compared of an answer, redacted; nothing in an A/B experiment, where nobody compares answers."""
    if one.taking.unit is not None or one.status >= 400 or len(one.answer) > _LARGEST:
        return None
    try:
        return clean(orjson.loads(one.answer))
    except orjson.JSONDecodeError:
        return None
