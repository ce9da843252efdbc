"""Values of a column in one form, wherever they come from: a DataFrame in a model repository, or the JSON of a request."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlplatform.redaction.logging import clean
from mlplatform.spec.model import Slice

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_LONGEST = 100


def number_of(value: Any) -> float | None:
    """Return a usable number; ``None`` for what is missing, not finite, or no number."""
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def category_of(value: Any) -> str | None:
    """Return a value as a category: 1 and 1.0 are the same, texts are redacted; ``None`` for what is missing."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value != value:  # also NaN and NaT
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.12g}" if math.isfinite(value) else None
    return _redacted(value if isinstance(value, str) else str(value))


@lru_cache(maxsize=10_000)
def _redacted(text: str) -> str:
    return str(clean(text))[:_LONGEST]


def slice_name(one: Slice) -> str:
    """Return what a slice is called in reports."""
    if one.equals is not None:
        return f"{one.column} = {category_of(one.equals)}"
    low = "" if one.minimum is None else f"{one.minimum:g} <= "
    high = "" if one.maximum is None else f" < {one.maximum:g}"
    return f"{low}{one.column}{high}"


def in_slice(value: Any, one: Slice) -> bool:
    """Say whether a row with this value is in a slice."""
    if one.equals is not None:
        return category_of(value) == category_of(one.equals)
    number = number_of(value)
    if number is None:
        return False
    return (one.minimum is None or number >= one.minimum) and (one.maximum is None or number < one.maximum)


def selected(frame: "pd.DataFrame", one: Slice) -> "np.ndarray[Any, Any]":
    """Return which rows of a frame are in a slice; none where it lacks the column."""
    import numpy as np

    if one.column not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    return np.array([in_slice(value, one) for value in frame[one.column].tolist()], dtype=bool)
