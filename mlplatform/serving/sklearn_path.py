"""Which scikit-learn estimators can be called with a plain array, and calling them so without a warning each time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_BY_NAME = frozenset({"ColumnTransformer", "FunctionTransformer", "make_column_selector"})
_FEATURE_NAMES = "feature_names_in_"


class Forgotten:
    """Feature names that were taken from estimators and can be given back."""

    def __init__(self) -> None:
        self._taken: list[tuple[Any, Any]] = []

    def take(self, estimator: Any) -> None:
        """Take the names from one estimator."""
        self._taken.append((estimator, vars(estimator).pop(_FEATURE_NAMES)))

    def restore(self) -> None:
        """Give all names back."""
        for estimator, names in self._taken:
            setattr(estimator, _FEATURE_NAMES, names)
        self._taken.clear()


def takes_plain_arrays(estimator: Any) -> bool:
    """Say whether the estimator, with all inside it, is scikit-learn's own and asks for no column by name."""
    for part in _estimators(estimator):
        kind = type(part)
        if kind.__module__.partition(".")[0] != "sklearn" or kind.__name__ in _BY_NAME:
            return False
    return True


def forget_feature_names(estimator: Any) -> Forgotten:
    """Remove the feature names that estimators keep from being fitted on a DataFrame.

    With them, each call with an array warns that it has no names; the columns' order is the schema's business here.
    """
    forgotten = Forgotten()
    for part in _estimators(estimator):
        if _FEATURE_NAMES in vars(part):
            forgotten.take(part)
    return forgotten


def _estimators(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple | set):
        parts: Any = value
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, np.ndarray) and value.dtype == object:
        parts = value.ravel().tolist()
    elif hasattr(value, "get_params") and hasattr(value, "__dict__"):
        yield value
        parts = vars(value).values()
    else:
        return
    for part in list(parts):
        yield from _estimators(part, seen)
