"""Calling the model with a Polars chunk: the same call as a model server makes (:class:`~mlplatform.serving.model.LoadedModel`),
without a Python object for each value.
"""

import logging
import time
from typing import Any

import numpy as np
import polars as pl

from mlplatform.batch.checks import check, dtype_of, type_fault
from mlplatform.batch.faults import BatchFailed
from mlplatform.serving.columns import CheckedColumn, Rejected
from mlplatform.serving.model import LoadedModel, raw_columns_of
from mlplatform.serving.problems import ModelOutputInvalid

_NUMPY_KINDS = "biuf"

_logger = logging.getLogger(__name__)


class ModelCaller:
    """Calls a model chunk by chunk; ``seconds`` is the time that its calls have taken."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        # A column of this kind has no missing value: rows without it are scored as requests are that leave it out.
        self._droppable = [one.name for one in model.inputs.columns if not one.required and not one.nullable_in_numpy]
        self.seconds = 0.0

    def answers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the outputs for checked rows, row by row.

        Raises:
            BatchFailed: the model failed, or answered outside of its output schema.
        """
        if frame.height == 0:
            return pl.DataFrame(schema={one.name: dtype_of(one.type) for one in self._model.outputs.columns})
        droppable = [name for name in self._droppable if frame[name].null_count()]
        if not droppable:
            return self._called(frame, frozenset())
        place = "place of the row"
        parts = []
        marked = frame.with_row_index(place).with_columns(
            pl.col(name).is_null().alias(f"{name} is null") for name in droppable
        )
        patterns = [f"{name} is null" for name in droppable]
        for pattern, rows in marked.group_by(patterns, maintain_order=True):
            absent = frozenset(name for name, null in zip(droppable, pattern, strict=True) if null)
            parts.append(self._called(rows, absent).with_columns(rows[place]))
        return pl.concat(parts).sort(place).drop(place)

    def _called(self, frame: pl.DataFrame, absent: frozenset[str]) -> pl.DataFrame:
        data = self._array(frame) if self._model.way == "array" else self._frame(frame, absent)
        started = time.perf_counter()
        try:
            result = self._model.call(data, None)
        except (Exception, SystemExit) as error:
            _logger.error("the model failed", exc_info=error)
            raise BatchFailed(f"the model raised {type(error).__name__}; the log of the run has more") from None
        finally:
            self.seconds += time.perf_counter() - started
        try:
            columns = raw_columns_of(result, self._model.outputs, frame.height)
        except ModelOutputInvalid as problem:
            raise BatchFailed(problem.detail) from None
        declared = self._model.outputs.columns
        return pl.DataFrame([_output(one, column) for one, column in zip(declared, columns, strict=True)])

    def _array(self, frame: pl.DataFrame) -> "np.ndarray[Any, Any]":
        """Return the rows as :func:`mlplatform.serving.model.array_of` does."""
        columns = self._model.inputs.columns
        dtype = np.result_type(*{column.dtype for column in columns})
        array = np.empty((frame.height, len(columns)), dtype=dtype, order="F")
        for place, column in enumerate(columns):
            array[:, place] = frame[column.name].to_numpy()
        return array

    def _frame(self, frame: pl.DataFrame, absent: frozenset[str]) -> Any:
        """Return the rows as :func:`mlplatform.serving.model.frame_of` does."""
        import pandas as pd

        data: dict[str, Any] = {}
        for column in self._model.inputs.columns:
            if column.name in absent:
                continue
            values = frame[column.name]
            if column.dtype == "object":
                data[column.name] = pd.Series(values.to_list(), dtype=object)
            elif column.dtype.startswith("datetime64"):
                data[column.name] = values.cast(pl.Datetime("ns")).to_numpy()
            else:
                data[column.name] = values.to_numpy().astype(column.dtype, copy=False)
        return pd.DataFrame(data)


def _output(column: CheckedColumn, answered: Any) -> pl.Series:
    """Return one column of an answer as the output schema has it."""
    array = answered.to_numpy() if hasattr(answered, "to_numpy") else answered
    if isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in _NUMPY_KINDS:
        series = pl.Series(column.name, np.ascontiguousarray(array))
        if type_fault(column, series.dtype) is None:
            checked = check(column, series)
            for fault in checked.faults:
                _refuse(column, fault.rule, int(fault.mask.sum()), len(series))
            return checked.values
    values = answered.tolist() if hasattr(answered, "tolist") else list(answered)
    if not column.accepts(values):
        values = _coerced(column, values)
    return pl.Series(column.name, values, dtype_of(column.type))


def _coerced(column: CheckedColumn, values: list[Any]) -> list[Any]:
    taken = []
    for value in values:
        try:
            taken.append(column.coerce(value))
        except Rejected as rejected:
            _refuse(column, str(rejected), 1, len(values))
    return taken


def _refuse(column: CheckedColumn, rule: str, count: int, total: int) -> None:
    raise BatchFailed(f"the model's output {column.name} {rule} in {count} of {total} rows that were scored together")
