"""An MLflow model as something that takes checked rows and returns output columns.

There are three ways to call a model, and loading picks the quickest that gives the very answers of ``mlflow.pyfunc``:

``array``   a scikit-learn estimator on a numpy array: all columns are numbers, and nothing in it asks for columns by name
``frame``   a scikit-learn estimator on a DataFrame
``pyfunc``  ``mlflow.pyfunc`` with a DataFrame, for any other flavour
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from mlplatform.bytecode import kept_out_of_artefacts
from mlplatform.serving.problems import InvalidInput, ModelOutputInvalid
from mlplatform.serving.rows import InputSchema, OutputSchema, Rows
from mlplatform.serving.sklearn_path import forget_feature_names, takes_plain_arrays
from mlplatform.spec.model import ColumnType, Schema

_logger = logging.getLogger(__name__)
_PROBE_ROWS = 8

Way = Literal["array", "frame", "pyfunc"]
Call = Callable[[Any, dict[str, Any] | None], Any]


class ModelUnusable(Exception):
    """The model can't be served; the message is for people and goes through the redactor."""


@dataclass
class LoadedModel:
    """A model ready to be called."""

    way: Way
    flavour: str
    inputs: InputSchema
    outputs: OutputSchema
    example: Rows | None
    row_wise: bool = True
    """Whether each row is answered by itself, so that rows of different requests may share a call."""
    parameters: dict[str, type | tuple[type, ...]] = field(default_factory=dict)
    call: Call = field(default=lambda _data, _parameters: None, repr=False)

    def predict(self, batches: Sequence[Rows], parameters: dict[str, Any] | None = None) -> list[list[Any]]:
        """Return one list of values for each output, over the rows of all batches.

        Raises:
            ModelOutputInvalid: the answer has not the form that the output schema asks for.
        """
        result = self.call(self._data(batches), parameters)
        return columns_of(result, self.outputs, sum(rows.count for rows in batches))

    def checked_parameters(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return those of a request's parameters that the model's signature has, or ``None`` if it has none at all."""
        chosen = {}
        for name, kinds in self.parameters.items():
            if name not in given:
                continue
            value = given[name]
            allowed = kinds if isinstance(kinds, tuple) else (kinds,)
            if type(value) not in allowed:
                raise InvalidInput(f"Parameter {name} is not of the type {allowed[0].__name__}.", parameter=name)
            chosen[name] = value
        return chosen or None

    def _data(self, batches: Sequence[Rows]) -> Any:
        values = batches[0].values if len(batches) == 1 else [value for rows in batches for value in rows.values]
        if self.way == "array":
            return array_of(values, self.inputs)
        return frame_of(values, self.inputs, batches[0].absent)


def array_of(values: list[Any], schema: InputSchema) -> "np.ndarray[Any, Any]":
    """Return the rows as one array of the type that scikit-learn makes of a DataFrame with these columns."""
    dtype = np.result_type(*{column.dtype for column in schema.columns})
    # Column by column in memory, as a DataFrame's values are: another order rounds differently in the last place.
    array = np.asfortranarray(np.array(values, dtype=dtype).reshape(-1, schema.width))
    if dtype == np.float64:
        for place, column in enumerate(schema.columns):
            if column.type is ColumnType.FLOAT:
                array[:, place] = array[:, place].astype(np.float32)
    return array


def frame_of(values: list[Any], schema: InputSchema, absent: frozenset[str] = frozenset()) -> Any:
    """Return the rows as a DataFrame with the dtypes of the model's signature."""
    data = {}
    for place, column in enumerate(schema.columns):
        if column.name in absent:
            continue
        cells = values[place :: schema.width]
        if column.dtype == "object":
            data[column.name] = pd.Series(cells, dtype=object)
        else:
            data[column.name] = np.array(cells, dtype=column.dtype)
    return pd.DataFrame(data)


def columns_of(result: Any, schema: OutputSchema, count: int) -> list[list[Any]]:
    """Return what a model answered as one list for each output; raise ``ModelOutputInvalid`` where it does not fit."""
    columns = raw_columns_of(result, schema, count)
    return [column.tolist() if hasattr(column, "tolist") else list(column) for column in columns]


def raw_columns_of(result: Any, schema: OutputSchema, count: int) -> list[Any]:
    """Return what a model answered as one array, series or list for each output, each of ``count`` values.

    Raises:
        ModelOutputInvalid: the answer has not that form.
    """
    columns: list[Any]
    if isinstance(result, pd.DataFrame):
        by_name = set(schema.names) <= set(result.columns)
        columns = [result[name] for name in (schema.names if by_name else result.columns)]
    elif isinstance(result, dict):
        if not set(schema.names) <= set(result):
            raise ModelOutputInvalid(
                f"The model answered without {', '.join(sorted(set(schema.names) - set(result)))}."
            )
        columns = [result[name] for name in schema.names]
    elif isinstance(result, pd.Series):
        columns = [result]
    else:
        if hasattr(result, "toarray"):
            result = result.toarray()
        if isinstance(result, list) and result and isinstance(result[0], dict):
            return raw_columns_of(pd.DataFrame(result), schema, count)
        array = result if isinstance(result, np.ndarray) else np.asarray(result)
        if array.ndim not in (1, 2):
            raise ModelOutputInvalid(f"The model answered an array of {array.ndim} dimensions; 1 or 2 are expected.")
        columns = [array] if array.ndim == 1 else list(array.T)
    if len(columns) != len(schema.names):
        raise ModelOutputInvalid(
            f"The model answered {len(columns)} columns; model.yaml has {len(schema.names)} outputs: {', '.join(schema.names)}."
        )
    for values in columns:
        if len(values) != count:
            raise ModelOutputInvalid(f"The model answered {len(values)} rows to {count}.")
    return columns


def load(folder: Path, schema: Schema) -> LoadedModel:
    """Load the MLflow model in ``folder`` and pick the way to call it.

    Raises:
        ModelUnusable: the model and ``model.yaml`` contradict each other.
    """
    import mlflow.pyfunc

    if not (folder / "MLmodel").is_file():
        raise ModelUnusable(f"{folder.name} holds no MLmodel file, so it is not an MLflow model")
    with kept_out_of_artefacts():
        pyfunc = mlflow.pyfunc.load_model(str(folder))
    flavours = pyfunc.metadata.flavors
    inputs = _inputs_in_order_of_signature(InputSchema(schema.inputs), pyfunc.metadata.signature)
    example = _example(pyfunc, str(folder), inputs)
    flavour = next((name for name in flavours if name != "python_function"), "python_function")
    model = LoadedModel(
        way="pyfunc",
        flavour=flavour,
        inputs=inputs,
        outputs=OutputSchema(schema.outputs),
        example=example,
        parameters=_parameters(pyfunc.metadata.signature),
        call=lambda frame, parameters: pyfunc.predict(frame, params=parameters),
    )
    probe = example or made_rows(inputs)
    if flavour == "sklearn" and probe is not None:
        _quicken(model, pyfunc.get_raw_model(), flavours["python_function"].get("predict_fn", "predict"), probe)
    if probe is not None and probe.count > 1:
        model.row_wise = _answers_row_by_row(model, probe)
    return model


def _inputs_in_order_of_signature(inputs: InputSchema, signature: Any) -> InputSchema:
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        return inputs
    names = signature.inputs.input_names()
    unknown = sorted(set(inputs.names) - set(names))
    missing = sorted(set(signature.inputs.required_input_names()) - set(inputs.names))
    if unknown or missing:
        only = [f"only in model.yaml: {', '.join(unknown)}"] if unknown else []
        only += [f"only in the model's signature: {', '.join(missing)}"] if missing else []
        raise ModelUnusable(f"the inputs of model.yaml are not those of the model's signature ({'; '.join(only)})")
    return inputs.reordered([name for name in names if name in inputs.names])


def _parameters(signature: Any) -> dict[str, type | tuple[type, ...]]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "boolean": bool,
        "integer": int,
        "long": int,
        "float": (float, int),
        "double": (float, int),
        "string": str,
    }
    specified = signature.params if signature is not None and signature.params is not None else []
    return {item.name: kinds.get(item.dtype.name, str) if item.shape is None else list for item in specified}


def _example(pyfunc: Any, folder: str, inputs: InputSchema) -> Rows | None:
    """Return the model's own input example as checked rows, if it has one that fits its schema."""
    try:
        example = pyfunc.metadata.load_input_example(folder)
    except Exception:
        _logger.warning("the model's input example can't be read", exc_info=True)
        return None
    if example is None:
        return None
    if isinstance(example, tuple):  # an example with parameters
        example = example[0]
    try:
        frame = (
            example
            if isinstance(example, pd.DataFrame)
            else pd.DataFrame(np.asarray(example), columns=list(inputs.names))
        )
        plain = frame.head(_PROBE_ROWS).astype(object)
        records = plain.where(plain.notna(), None).to_dict("records")
        return inputs.from_records(
            [{str(name): _plain(value) for name, value in row.items() if name in inputs.names} for row in records]
        )
    except Exception as error:
        _logger.warning("the model's input example does not fit model.yaml: %s", error)
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


def made_rows(inputs: InputSchema) -> Rows | None:
    """Return two rows made from the schema, for a model without an input example."""
    made: dict[ColumnType, Any] = {
        ColumnType.STRING: "",
        ColumnType.BINARY: "",
        ColumnType.DATETIME: "2000-01-01T00:00:00",
    }
    row: dict[str, Any] = {}
    for column in inputs.columns:
        if column.enum:
            row[column.name] = min(column.enum, key=str)
        elif column.numeric:
            row[column.name] = min(max(0 if column.integral else 0.0, column.low), column.high)
        else:
            row[column.name] = made.get(column.type, False)
    try:
        return inputs.from_records([row, row])
    except InvalidInput:
        return None


def _quicken(model: LoadedModel, estimator: Any, predict_fn: str, probe: Rows) -> None:
    """Change the model to a quicker way of being called, where that gives the same answers on the probe."""
    function = getattr(estimator, predict_fn, None)
    if function is None:
        return
    try:
        expected = model.predict([probe])
    except Exception:
        return  # warming up will say what is wrong
    if (
        model.inputs.tabular
        and all(c.nullable_in_numpy or c.required for c in model.inputs.columns)
        and takes_plain_arrays(estimator)
    ):
        forgotten = forget_feature_names(estimator)
        if _same(
            LoadedModel("array", model.flavour, model.inputs, model.outputs, None, call=lambda x, _: function(x)),
            probe,
            expected,
        ):
            model.way, model.call = "array", lambda array, _parameters: function(array)
            return
        forgotten.restore()
    if _same(
        LoadedModel("frame", model.flavour, model.inputs, model.outputs, None, call=lambda x, _: function(x)),
        probe,
        expected,
    ):
        model.way, model.call = "frame", lambda frame, _parameters: function(frame)


def _same(candidate: LoadedModel, probe: Rows, expected: list[list[Any]]) -> bool:
    try:
        return candidate.predict([probe]) == expected
    except Exception:
        return False


def _answers_row_by_row(model: LoadedModel, probe: Rows) -> bool:
    """Say whether the answer to a row is the same alone as among others (but for rounding)."""
    width = model.inputs.width
    try:
        together = model.predict([probe])
        for number in range(min(probe.count, 3)):
            single = Rows(probe.values[number * width : (number + 1) * width], 1, probe.absent)
            for values, alone in zip(together, model.predict([single]), strict=True):
                if not _close(values[number], alone[0]):
                    return False
    except ModelOutputInvalid:
        return False
    except Exception:
        return True  # not the place to report it: warming up will
    return True


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-6, atol=1e-12, equal_nan=True))
    return bool(one == other)
