"""Places in a stream, comparable and writable, whatever the broker calls them.

A stream has one part (NATS, Redis) or several (Kafka's partitions). Within a part places are whole numbers: NATS' stream
sequence, Kafka's offset, and Redis' entry id with its two halves put together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

WHOLE = ""
"""Name of the only part of a stream that has no others."""
_HALF = 64


@dataclass(frozen=True)
class Position:
    """For each part of a stream the first place that is meant; a part that is not named begins at its beginning."""

    parts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = {part: place for part, place in sorted(self.parts.items()) if place > 0}
        object.__setattr__(self, "parts", MappingProxyType(kept))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and dict(self.parts) == dict(other.parts)

    def __hash__(self) -> int:
        return hash(tuple(self.parts.items()))

    def at(self, part: str) -> int:
        """Return the place in one part."""
        return self.parts.get(part, 0)

    def reached_by(self, part: str, place: int) -> bool:
        """Tell whether a place lies at this position or behind it."""
        return place >= self.parts.get(part, 0)

    def to_json(self) -> dict[str, str]:
        """Write it down; numbers as text, since they outgrow what JSON readers keep exactly."""
        return {part: write_place(place) for part, place in self.parts.items()}

    @staticmethod
    def from_json(document: Mapping[str, str]) -> "Position":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: a place is none.
        """
        return Position({part: read_place(text) for part, text in document.items()})


BEGINNING = Position()


def earliest(positions: Iterable[Position]) -> Position:
    """Return the position at which all that lie behind any of these begin."""
    first, *others = positions
    parts = dict(first.parts)
    for other in others:
        parts = {part: min(place, other.at(part)) for part, place in parts.items()}
    return Position(parts)


def latest(positions: Iterable[Position]) -> Position:
    """Return the position behind which only what lies behind all of these is."""
    parts: dict[str, int] = {}
    for position in positions:
        for part, place in position.parts.items():
            parts[part] = max(place, parts.get(part, 0))
    return Position(parts)


def join_halves(high: int, low: int) -> int:
    """Make one whole number of the two halves of a Redis entry id (milliseconds and sequence)."""
    return high << _HALF | low


def split_halves(place: int) -> tuple[int, int]:
    """Undo :func:`join_halves`."""
    return place >> _HALF, place & ((1 << _HALF) - 1)


def write_place(place: int) -> str:
    """Write a place as its broker does: ``17``, or ``1700000000000-5``."""
    high, low = split_halves(place)
    return f"{high}-{low}" if high else str(low)


def read_place(text: str) -> int:
    """Read what :func:`write_place` wrote.

    Raises:
        ValueError: it is no place.
    """
    high, dash, low = text.partition("-")
    return join_halves(int(high), int(low)) if dash else int(high)
