"""Audit events as the pack's files hold them: one canonical CloudEvent a line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from evidence.errors import EvidenceError

_MEMBERS = itemgetter("id", "time", "type", "subject", "actor")


@dataclass(slots=True)
class Event:
    """What of an event the tables are made from."""

    seq: int
    id: str
    time: str
    type: str
    subject: str
    actor: str
    data: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a member of the data as text; empty if there is none."""
        return plain(self.data.get(name))


def read_event(line: bytes) -> Event:
    """Read one line.

    Raises:
        EvidenceError: it is no audit event.
    """
    try:
        return event_of(json.loads(line))
    except (ValueError, RecursionError):
        raise EvidenceError("it is no JSON") from None


def event_of(document: Any) -> Event:
    """Take an event's members from its parsed text.

    Raises:
        EvidenceError: it is no audit event.
    """
    try:
        id, time, type, subject, actor = _MEMBERS(document)
        seq, data = int(document["sequence"]), document["data"]
    except (KeyError, TypeError, ValueError):
        raise EvidenceError("it is no audit event") from None
    if not (id.__class__ is time.__class__ is type.__class__ is subject.__class__ is actor.__class__ is str):
        raise EvidenceError("it is no audit event")
    if data.__class__ is not dict:
        raise EvidenceError("it is no audit event")
    return Event(seq, id, time, type, subject, actor, data)


def plain(value: Any) -> str:
    """Return a JSON value as the text of a table's cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
