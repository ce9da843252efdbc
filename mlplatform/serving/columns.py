"""Columns of ``model.yaml`` made ready for checking values at request speed.

Values are looked at as Python objects, as they come out of the JSON parser and go back into it: for the few values of one
request that is faster than a round trip through numpy. Every check first asks whether all is well, in a handful of
built-in calls; only when it is not does it look for the value to blame.
"""

import math
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlplatform.spec.model import Column, ColumnType

_FLOAT32_MAX = 3.4028234663852886e38
_FLOAT64_MAX = 1.7976931348623157e308
_LIMITS: dict[ColumnType, tuple[float, float]] = {
    ColumnType.INTEGER: (-(2**31), 2**31 - 1),
    ColumnType.LONG: (-(2**63), 2**63 - 1),
    ColumnType.FLOAT: (-_FLOAT32_MAX, _FLOAT32_MAX),
    ColumnType.DOUBLE: (-_FLOAT64_MAX, _FLOAT64_MAX),
}
# Type, (name in the Open Inference Protocol, numpy dtype, word for messages)
_TYPES: dict[ColumnType, tuple[str, str, str]] = {
    ColumnType.BOOLEAN: ("BOOL", "bool", "a boolean"),
    ColumnType.INTEGER: ("INT32", "int32", "an integer"),
    ColumnType.LONG: ("INT64", "int64", "an integer"),
    ColumnType.FLOAT: ("FP32", "float32", "a number"),
    ColumnType.DOUBLE: ("FP64", "float64", "a number"),
    ColumnType.STRING: ("BYTES", "object", "a string"),
    ColumnType.BINARY: ("BYTES", "object", "a string in base64"),
    ColumnType.DATETIME: ("BYTES", "datetime64[ns]", "a date and time in ISO 8601"),
}
_FLOATS = frozenset({ColumnType.FLOAT, ColumnType.DOUBLE})
_INTEGERS = frozenset({ColumnType.INTEGER, ColumnType.LONG})


class Rejected(ValueError):
    """A value that a column doesn't take; the message has no value in it, since it may be personal data."""


@dataclass(frozen=True)
class CheckedColumn:
    """One column with all that is needed to check its values."""

    name: str
    type: ColumnType
    required: bool
    low: float
    high: float
    allowed: frozenset[Any]
    enum: frozenset[Any] | None
    bounded: bool

    @classmethod
    def of(cls, column: Column) -> "CheckedColumn":
        """Make ready a column of ``model.yaml``."""
        low, high = _LIMITS.get(column.type, (-math.inf, math.inf))
        allowed: set[Any] = {bool} if column.type is ColumnType.BOOLEAN else {str}
        if column.type in _LIMITS:
            allowed = {int} if column.type in _INTEGERS else {int, float}
        return cls(
            name=column.name,
            type=column.type,
            required=column.required,
            low=low if column.minimum is None else max(low, column.minimum),
            high=high if column.maximum is None else min(high, column.maximum),
            allowed=frozenset(allowed),
            enum=None if column.enum is None else frozenset(column.enum),
            bounded=column.minimum is not None or column.maximum is not None,
        )

    @property
    def datatype(self) -> str:
        """The type's name in the Open Inference Protocol."""
        return _TYPES[self.type][0]

    @property
    def dtype(self) -> str:
        """The numpy dtype of the column in a DataFrame."""
        return _TYPES[self.type][1]

    @property
    def numeric(self) -> bool:
        """Whether values are numbers (a boolean is not)."""
        return self.type in _LIMITS

    @property
    def integral(self) -> bool:
        """Whether values are whole numbers."""
        return self.type in _INTEGERS

    @property
    def nullable_in_numpy(self) -> bool:
        """Whether the dtype has a missing value of its own (NaN, NaT, None)."""
        return self.type not in _INTEGERS and self.type is not ColumnType.BOOLEAN

    def accepts(self, values: Sequence[Any]) -> bool:
        """Say whether all is well with these values as they are; quick, and never wrong when it says yes."""
        if not values:
            return True
        if not set(map(type, values)) <= self.allowed:
            return False
        if self.enum is not None and not self.enum.issuperset(values):
            return False
        if self.numeric:
            # NaN makes the sum NaN, while min and max may pass it over
            return self.low <= min(values) and max(values) <= self.high and math.isfinite(sum(values))
        return self.type not in {ColumnType.BINARY, ColumnType.DATETIME}

    def coerce(self, value: Any) -> Any:
        """Return the value as the column holds it.

        Raises:
            Rejected: the column doesn't take it; says why.
        """
        if value is None:
            if self.required:
                raise Rejected("is missing (null)")
            if not self.nullable_in_numpy:
                raise Rejected(f"is null, and {self.type.value} has no missing value: leave it out")
            return None
        value = self._typed(value)
        if self.numeric:
            if not math.isfinite(value):
                raise Rejected("is not a finite number")
            if not self.low <= value <= self.high:
                raise Rejected(self._limits())
        if self.enum is not None and value not in self.enum:
            raise Rejected(f"is not one of {', '.join(sorted(map(str, self.enum)))}")
        return value

    def _limits(self) -> str:
        if self.bounded:
            return f"is outside of {self.low:g} to {self.high:g}"
        return f"does not fit into the type {self.type.value}"

    def _typed(self, value: Any) -> Any:
        kind = type(value)
        if self.type is ColumnType.DATETIME:
            if isinstance(value, datetime):
                return value
            try:
                moment = datetime.fromisoformat(value)
            except (TypeError, ValueError):
                raise Rejected("is not a date and time in ISO 8601") from None
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        if self.type is ColumnType.BINARY:
            if kind is bytes:
                return value
            try:
                return b64decode(value, validate=True)
            except (TypeError, ValueError, Base64Error):
                raise Rejected("is not a string in base64") from None
        if kind in self.allowed:
            return value
        if self.integral and kind is float and value.is_integer():
            return int(value)  # clients that keep whole tables as floats
        if self.type is ColumnType.BOOLEAN and kind is int and value in (0, 1):
            return bool(value)
        raise Rejected(f"is not {_TYPES[self.type][2]}")
