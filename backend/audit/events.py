"""Audit events as CloudEvents 1.0 in canonical JSON, and how they are chained."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import rfc8785

from backend.core.schemas import utc

_LARGEST_INTEGER = 2**53 - 1
_SEQUENCE_DIGITS = 16

Domain = str
HEAD: Domain = "head"
CHECKPOINT: Domain = "checkpoint"


@dataclass(frozen=True)
class NewEvent:
    """What is to be recorded; ``actor`` is a principal's ref."""

    type: str
    subject: str
    actor: str
    data: Mapping[str, Any] = field(default_factory=dict)
    source: str = "ml-platform"


def envelope(event: NewEvent, *, id: str, time: datetime, sequence: int) -> dict[str, Any]:
    """Return the event as a CloudEvent.

    ``sequence`` is CloudEvents' own extension for order; ``actor`` is an extension of ours.
    """
    return {
        "specversion": "1.0",
        "id": id,
        "source": event.source,
        "type": event.type,
        "subject": _text(event.subject)[:500],
        "actor": _text(event.actor)[:500],
        "time": utc(time),
        "sequence": str(sequence).zfill(_SEQUENCE_DIGITS),
        "datacontenttype": "application/json",
        "data": plain(event.data),
    }


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the one text of an event that is hashed (RFC 8785)."""
    return rfc8785.dumps(document)  # type: ignore[no-any-return,unused-ignore]


def chained(prev_hash: str, text: bytes) -> str:
    """Return the hash of an event: SHA-256 over the hash before it (as hex text) and its canonical text."""
    return hashlib.sha256(prev_hash.encode() + text).hexdigest()


def signed_text(domain: Domain, seq: int, hash: str) -> bytes:
    """Return what the audit key signs; the domain keeps a checkpoint from being passed off as a head.

    Checkpoints that hold the tree's root are signed as notes instead (:mod:`evidence.checkpoint`).
    """
    return f"ml-platform audit {domain} v1\n{seq}\n{hash}\n".encode()


def plain(value: Any) -> Any:
    """Turn a value into what canonical JSON can hold, without ever failing: an event must not be lost."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # NaN and infinity are no JSON
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return [plain(one) for one in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return _text(str(value))


def _text(value: str) -> str:
    """Replace what is no text: lone surrogates, and NUL, which PostgreSQL refuses."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
