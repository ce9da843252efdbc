"""Payload samples: some predictions, redacted in this process, sealed for the platform alone, and spooled.

Sealed is by HPKE (RFC 9180) for the public key that the platform has put into the spool's folder, so neither this process nor
the model in it can read what others have spooled. The work is done by a thread; when that falls behind, or nobody takes the
spool over, samples are dropped rather than requests held up.
"""

import json
import logging
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlplatform.crypto.binding import Binding
from mlplatform.redaction.logging import clean
from mlplatform.serving.spool import Spool

FOLDER_VARIABLE = "ML_PLATFORM_SAMPLES"
"""Where the platform's launcher says the spool is; not an argument, since older toolkits would refuse one."""
RECIPIENT = "recipient.json"
_NAMED = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ml-platform:prediction")
_MOST_WAITING = 64
_LARGEST = 1 << 20
_FLUSH_SECONDS = 1.0

_logger = logging.getLogger(__name__)

Seal = Callable[[bytes, bytes], bytes]
_Taken = tuple[str, float, bytes, bytes]


@dataclass(frozen=True)
class Place:
    """Which version answers, and where."""

    environment: str
    model: str
    version: str


def binding_text(environment: str, model: str, id: str) -> str:
    """Return what a sample is bound to."""
    return f"{environment}/{model}/{id}"


class Sampler:
    """Takes a share of the predictions."""

    def __init__(self, folder: Path, place: Place, rate: float, key_id: str, seal: Seal) -> None:
        self._place, self._rate = place, rate
        self._key_id, self._seal = key_id, seal
        self._spool: Spool[_Taken] = Spool(
            folder, "payload samples", self._lines, most_waiting=_MOST_WAITING, flush_seconds=_FLUSH_SECONDS
        )

    def wants_one(self) -> bool:
        """Say whether the next prediction is one to be sampled."""
        return random.random() < self._rate and not self._spool.full  # noqa: S311 - not a secret

    def id_for_one(self, known: str | None = None) -> str | None:
        """Return an id for the prediction that is about to be answered, if it is one to be sampled; the one it has already."""
        return (known or new_id()) if self.wants_one() else None

    def take(self, id: str, request: bytes, answer: bytes) -> None:
        """Hand a prediction over; returns at once."""
        self._spool.take((id, time.time(), request, answer))

    def flush(self, patience: float) -> None:
        """Wait until what was taken is spooled."""
        self._spool.flush(patience)

    def _lines(self, taken: Sequence[_Taken]) -> list[bytes]:
        return [self._line(*one) for one in taken]

    def _line(self, id: str, at: float, request: bytes, answer: bytes) -> bytes:
        content = json.dumps({"request": _redacted(request), "answer": _redacted(answer)}).encode()
        place = self._place
        bound = Binding("payload-sample", binding_text(place.environment, place.model, id)).encoded()
        return json.dumps(
            {
                "id": id,
                "at": at,
                "environment": place.environment,
                "model": place.model,
                "version": place.version,
                "key": self._key_id,
                "sealed": self._seal(content, bound).hex(),
            }
        ).encode()


def sampler(rate: float, place: Place) -> Sampler | None:
    """Return a sampler for this process, if the platform wants samples here and they can be sealed."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    try:
        recipient = json.loads((folder / RECIPIENT).read_text(encoding="utf-8"))
        seal = sealing(bytes.fromhex(recipient["x25519"]))
        return Sampler(folder, place, rate, str(recipient["id"]), seal)
    except (OSError, ValueError, KeyError, ImportError) as error:
        _logger.warning("no payload samples are taken: %s", type(error).__name__)
        return None


def sealing(public: bytes) -> Seal:
    """Return what seals for the platform's public key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    suite, key = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM), X25519PublicKey.from_public_bytes(public)
    return lambda data, info: suite.encrypt(data, key, info=info)


def _redacted(body: bytes) -> Any:
    if len(body) > _LARGEST:
        return {"omitted": f"{len(body)} bytes"}
    try:
        return clean(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {"omitted": "no JSON"}


def named_id(environment: str, model: str, *names: str) -> str:
    """Return the id of a prediction that has names of its own, such as a message's id: the same names, the same id.

    A UUIDv5 (RFC 9562, section 5.5). Whoever knows the names finds the prediction; the names themselves need not be kept.
    """
    return str(uuid.uuid5(_NAMED, json.dumps([environment, model, *names])))


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7), so that samples sort by time."""
    value = (time.time_ns() // 1_000_000) << 80 | random.SystemRandom().getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
