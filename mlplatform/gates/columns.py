"""Holding the values of a column against what ``model.yaml`` declares, without ever showing one."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.gates.recorder import share
from mlplatform.spec.model import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_SHOWN_ROWS = 5
_EXACT_IN_DOUBLE = 2**53
_INTEGER_RANGE = {ColumnType.INTEGER: 2**31, ColumnType.LONG: 2**63}


@dataclass(frozen=True)
class Violation:
    """Rows of a column that break one rule, by their positions."""

    rule: str
    """``nulls``, ``type``, ``finite``, ``minimum``, ``maximum`` or ``enum``."""
    limit: str
    rows: tuple[int, ...]
    """Positions of the first few, counted from 0."""
    count: int
    total: int

    @property
    def observed(self) -> str:
        """Count, share and positions."""
        shown = ", ".join(str(row) for row in self.rows)
        return f"{share(self.count, self.total)} rows, at {shown}{', …' if self.count > len(self.rows) else ''}"


def violations(values: "pd.Series[Any]", column: Column) -> list[Violation]:
    """Return the rules of a declared column that the values break."""
    import numpy as np

    missing = values.isna().to_numpy()
    found = []
    if column.required and missing.any():
        found.append(_violation("nulls", "none, the column is required", missing))
    typed, wrong = _as_declared(values, column.type, missing)
    if wrong.any():
        found.append(_violation("type", column.type.value, wrong))
    present = ~missing & ~wrong
    if column.type in {ColumnType.FLOAT, ColumnType.DOUBLE}:
        infinite = np.zeros(len(values), dtype=bool)
        infinite[present] = np.isinf(typed[present].astype(float))
        if infinite.any():
            found.append(_violation("finite", "finite numbers", infinite))
        present &= ~infinite
    found += _out_of_range(typed, present, column)
    if column.enum is not None:
        allowed = {_comparable(value) for value in column.enum}
        outside = np.array([bool(p) and _comparable(v) not in allowed for p, v in zip(present, typed, strict=True)])
        if outside.any():
            found.append(_violation("enum", f"one of {len(allowed)} declared values", outside))
    return found


def _out_of_range(typed: "np.ndarray[Any, Any]", present: "np.ndarray[Any, Any]", column: Column) -> list[Violation]:
    import numpy as np

    found = []
    for rule, bound, is_outside in (
        ("minimum", column.minimum, np.less),
        ("maximum", column.maximum, np.greater),
    ):
        if bound is None or column.type in {ColumnType.STRING, ColumnType.BINARY, ColumnType.DATETIME}:
            continue
        outside = np.zeros(len(typed), dtype=bool)
        outside[present] = is_outside(typed[present].astype(float), bound)
        if outside.any():
            found.append(_violation(rule, f"{'>=' if rule == 'minimum' else '<='} {bound:g}", outside))
    return found


def _violation(rule: str, limit: str, mask: "np.ndarray[Any, Any]") -> Violation:
    import numpy as np

    rows = np.flatnonzero(mask)
    return Violation(rule, limit, tuple(int(row) for row in rows[:_SHOWN_ROWS]), len(rows), len(mask))


def _as_declared(
    values: "pd.Series[Any]", wanted: ColumnType, missing: "np.ndarray[Any, Any]"
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Return the values as an array and a mask of those that are not of the declared type.

    A narrower number is accepted where a wider one is declared, and integers of a column with gaps may be floats, since
    pandas stores them so.
    """
    import numpy as np
    import pandas as pd

    none_wrong = np.zeros(len(values), dtype=bool)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype) and wanted is ColumnType.BOOLEAN:
        return values.to_numpy(dtype=object), none_wrong
    if pd.api.types.is_datetime64_any_dtype(dtype) and wanted is ColumnType.DATETIME:
        return values.to_numpy(dtype=object), none_wrong
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        numbers = values.to_numpy(dtype=float, na_value=math.nan)
        if wanted in {ColumnType.FLOAT, ColumnType.DOUBLE}:
            return numbers, none_wrong
        if wanted in _INTEGER_RANGE:
            limit = _INTEGER_RANGE[wanted]
            whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers >= -limit) & (numbers < limit)
            if pd.api.types.is_float_dtype(dtype) and not missing.any():
                whole = none_wrong  # a float column without gaps is meant as one; the signature says long
            return numbers, ~whole & ~missing
        return numbers, ~missing
    objects = values.to_numpy(dtype=object)
    wrong = [not gap and not _is_a(value, wanted) for gap, value in zip(missing, objects, strict=True)]
    return objects, np.array(wrong, dtype=bool).reshape(len(values))


def _is_a(value: Any, wanted: ColumnType) -> bool:
    import datetime
    import numbers

    if wanted is ColumnType.STRING:
        return isinstance(value, str)
    if wanted is ColumnType.BINARY:
        return isinstance(value, bytes | bytearray)
    if wanted is ColumnType.DATETIME:
        return isinstance(value, datetime.date)
    is_bool = isinstance(value, bool) or type(value).__name__ == "bool_"
    if wanted is ColumnType.BOOLEAN:
        return is_bool
    if wanted in _INTEGER_RANGE:
        return isinstance(value, numbers.Integral) and not is_bool and _fits(int(value), _INTEGER_RANGE[wanted])
    if isinstance(value, numbers.Integral):
        return not is_bool and abs(int(value)) <= _EXACT_IN_DOUBLE
    return isinstance(value, numbers.Real)


def _fits(value: int, limit: int) -> bool:
    return -limit <= value < limit


def _comparable(value: Any) -> Any:
    """Make 1 and 1.0 the same, but not 1 and true or 1 and "1"."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value).__name__, value
    return "number", float(value)
