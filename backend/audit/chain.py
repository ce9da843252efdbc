"""Finds what was done to a hash chain, in one pass over its rows.

Each row holds the canonical text of its event, the hash of the event before it and its own hash. The text also holds the
event's sequence number. So a row can be checked by itself (was it edited?) and against its neighbours (is one missing,
new, or in another place?). The signed head says where the chain ends.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import orjson

from backend.audit.models import GENESIS

FaultKind = Literal["edited", "removed", "inserted", "reordered", "truncated", "unreadable"]
Row = tuple[int, str, str, str, str, str, str, str, str]
"""seq, id, type, subject, actor, time, event, prev_hash, hash."""

_MOST_FAULTS = 1000


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and the row it is wrong with."""

    seq: int
    id: str | None
    kind: FaultKind
    message: str


@dataclass
class _Last:
    """The row before, as far as the next one needs it."""

    seq: int = 0
    id: str | None = None
    hash: str = GENESIS
    sequence: int = 0
    shift: int = 0
    ordinary: bool = True
    edited: bool = False


@dataclass
class ChainCheck:
    """The state of a check; feed it all rows in the order of ``seq``, then call :meth:`finish`.

    ``is_genuine(seq, hash)`` says whether a checkpoint vouches for that hash (``None``: there is none), to find out which
    of two rows that don't fit is the false one. ``start`` and ``start_hash`` are the last event before the rows.
    """

    is_genuine: Callable[[int, str], bool | None]
    start: int = 0
    start_hash: str = GENESIS
    events: int = 0
    faults: list[Fault] = field(default_factory=list)
    _expected: int = 1
    _missing: list[tuple[int, int]] = field(default_factory=list)
    _last: _Last = field(default_factory=_Last)
    _doubles: tuple[_Last, _Last] | None = None

    def __post_init__(self) -> None:
        self._expected = self.start + 1
        self._last = _Last(self.start, None, self.start_hash, self.start)

    @property
    def last_sequence(self) -> int:
        """Number of the newest event seen."""
        return self._expected - 1

    @property
    def last_hash(self) -> str:
        """Hash of the last row seen."""
        return self._last.hash

    def feed_all(self, rows: Iterable[Row]) -> None:
        """Check the next rows. A row that is as it should be takes the short way, any other goes to :meth:`feed`."""
        last, sha256, loads = self._last, hashlib.sha256, orjson.loads
        for row in rows:
            seq, id, type, subject, actor, time, event, prev_hash, hash = row
            try:
                document = loads(event)
                good = (
                    prev_hash == last.hash
                    and seq == self._expected
                    and last.ordinary
                    and last.shift == 0
                    and sha256(f"{prev_hash}{event}".encode()).hexdigest() == hash
                    and int(document["sequence"]) == seq
                    and document["id"] == id
                    and document["type"] == type
                    and document["subject"] == subject
                    and document["actor"] == actor
                    and document["time"] == time
                )
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                good = False
            if good and self._doubles is None:
                last.seq = last.sequence = seq
                last.id, last.hash, last.edited = id, hash, False
                self._expected = seq + 1
                self.events += 1
            else:
                self.feed(row)
                last = self._last

    def feed(self, row: Row) -> None:
        """Check the next row, whatever is wrong with it."""
        seq, id, type, subject, actor, time, event, prev_hash, hash = row
        self.events += 1
        if self._doubles is not None:
            self._resolve_doubles(prev_hash)
        edited = None
        if hashlib.sha256(f"{prev_hash}{event}".encode()).hexdigest() != hash:
            edited = "its hash does not fit its text and the hash before it"
        try:
            document = orjson.loads(event)
            sequence = int(document["sequence"])
            for name, column in (("id", id), ("type", type), ("subject", subject), ("actor", actor)):
                if document[name] != column:
                    edited = edited or f"its column {name} says something else than its text"
            if document["time"] != time:
                edited = edited or "its column time says something else than its text"
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            edited, sequence = edited or "its text is no event", seq - self._last.shift
        if edited:
            self._fault(seq, id, "edited", f"row {seq} was edited: {edited}")
            # What an edited text says of its own place is worth nothing.
            sequence = self._believable(sequence, seq)
        last = self._last
        here = _Last(seq, id, hash, sequence, seq - sequence, True, edited is not None)
        if sequence == self._expected:
            self._expected += 1
            follows = last.sequence == sequence - 1
            if follows and prev_hash != last.hash and not edited and not last.edited:
                self._blame(last, here)
            if here.shift != last.shift and last.ordinary:
                here.ordinary = False
                self._fault(seq, id, "reordered", f"row {seq} holds event {sequence}: its number was changed")
        elif sequence > self._expected:
            here.ordinary = False
            self._missing.append((self._expected, sequence - 1))
            self._expected = sequence + 1
        else:
            here.ordinary = False
            if self._take_missing(sequence):
                self._fault(seq, id, "reordered", f"event {sequence} stands after event {last.sequence}")
            elif last.sequence == sequence:
                self._doubles = (last, here)
            else:
                self._fault(seq, id, "inserted", f"row {seq} was inserted: event {sequence} is there already")
        self._last = here

    def finish(self, next_hash: str | None) -> None:
        """Report what only the end shows; ``next_hash`` is what the head says the last hash is."""
        if self._doubles is not None:
            self._resolve_doubles(next_hash or "")
        for first, last in self._missing:
            names = f"event {first} is" if first == last else f"events {first} to {last} are"
            self._fault(first, None, "removed", f"{names} missing")

    def _believable(self, sequence: int, seq: int) -> int:
        return sequence if sequence == self._expected else seq - self._last.shift

    def _blame(self, last: _Last, here: _Last) -> None:
        """Two rows that each fit themselves don't fit each other: one of them was replaced."""
        last_is_genuine = last.seq == self.start or self.is_genuine(last.sequence, last.hash)
        false = here if last_is_genuine else last
        false.edited = True
        message = f"row {false.seq} was replaced: its neighbour was chained to another text"
        self._fault(false.seq, false.id, "edited", message)

    def _resolve_doubles(self, prev_hash: str) -> None:
        assert self._doubles is not None
        first, second = self._doubles
        self._doubles = None
        false = first if prev_hash == second.hash else second
        self._fault(false.seq, false.id, "inserted", f"row {false.seq} was inserted")
        if false is second:
            self._last.hash = first.hash

    def _take_missing(self, sequence: int) -> bool:
        for index, (first, last) in enumerate(self._missing):
            if first <= sequence <= last:
                rest = [(first, sequence - 1), (sequence + 1, last)]
                self._missing[index : index + 1] = [part for part in rest if part[0] <= part[1]]
                return True
        return False

    def _fault(self, seq: int, id: str | None, kind: FaultKind, message: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(seq, id, kind, message))
