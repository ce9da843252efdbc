"""Whether two versions gave the same answer to a request. Pure."""

import math
from dataclasses import dataclass
from typing import Any

_NOT_COMPARED = frozenset({"id", "model_name", "model_version", "parameters"})
"""What the Open Inference Protocol says of an answer besides the outputs."""
_SHOWN = 80


@dataclass(frozen=True)
class Compared:
    """What became of a comparison."""

    agrees: bool
    where: str | None = None
    """The first place where they differ, with both values."""
    largest: float = 0.0
    """The largest difference of two numbers."""


def compare(champion: Any, challenger: Any, tolerance: float) -> Compared:
    """Compare two answers: numbers within the tolerance, relative or absolute; labels and shapes exactly.

    Two values that are no numbers (NaN) agree, as do infinities of the same sign.
    """
    found = _Walk(tolerance)
    found.walk(champion, challenger, "")
    return Compared(found.where is None, found.where, found.largest)


class _Walk:
    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.where: str | None = None
        self.largest = 0.0

    def walk(self, one: Any, other: Any, place: str) -> None:
        if isinstance(one, dict) and isinstance(other, dict):
            for name in sorted((one.keys() | other.keys()) - _NOT_COMPARED):
                self.walk(one.get(name), other.get(name), f"{place}.{name}" if place else name)
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for index, pair in enumerate(zip(one, other, strict=True)):
                self.walk(*pair, f"{place}[{index}]")
        elif _is_number(one) and _is_number(other):
            self._numbers(float(one), float(other), place)
        elif type(one) is not type(other) or one != other:
            self._differ(one, other, place)

    def _numbers(self, one: float, other: float, place: str) -> None:
        if math.isnan(one) and math.isnan(other):
            return
        if math.isfinite(one) and math.isfinite(other):
            self.largest = max(self.largest, abs(one - other))
        if not math.isclose(one, other, rel_tol=self._tolerance, abs_tol=self._tolerance):
            self._differ(one, other, place)

    def _differ(self, one: Any, other: Any, place: str) -> None:
        if self.where is None:
            self.where = f"{place or 'answer'}: {_shown(one)} and {_shown(other)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = f"{len(value)} values" if isinstance(value, list) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
