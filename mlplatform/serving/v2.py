"""The Open Inference Protocol v2 over REST: requests into rows, answers into tensors."""

from itertools import chain
from typing import Any

import orjson

from mlplatform.serving.columns import CheckedColumn
from mlplatform.serving.problems import InvalidInput, MalformedRequest
from mlplatform.serving.rows import InputSchema, OutputSchema, Rows

_INTEGER_RANGES = {
    f"{sign}INT{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for bits in (8, 16, 32, 64)
    for sign in ("", "U")
}
_NUMBERS = frozenset({*_INTEGER_RANGES, "FP16", "FP32", "FP64", "BF16"})
_DATATYPES = frozenset({*_NUMBERS, "BOOL", "BYTES"})


def decode(request: Any, schema: InputSchema) -> Rows:
    """Return the rows of an inference request.

    Taken are one tensor for each column, shaped ``[rows]`` or ``[rows, 1]``; and, if all columns are numbers, one tensor of
    any name shaped ``[rows, columns]``.
    """
    if not isinstance(request, dict):
        raise MalformedRequest("The request must be a JSON object with the member `inputs`.")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise MalformedRequest("`inputs` must be a list with at least one tensor.")
    if len(inputs) == 1 and schema.tabular and isinstance(inputs[0], dict):
        shape = inputs[0].get("shape")
        is_matrix = isinstance(shape, list) and len(shape) == 2 and (shape[1] != 1 or schema.width == 1)
        if is_matrix or inputs[0].get("name") not in schema.names:
            return _matrix(inputs[0], schema)
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        name, _, shape, data = _tensor(tensor)
        if name in columns:
            raise MalformedRequest(f"Two tensors are named {name!r}.")
        if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise InvalidInput(
                f"Tensor {name!r} has shape {shape}; one column is shaped [rows] or [rows, 1].", column=name
            )
        columns[name] = data
    return schema.from_columns(columns)


def _matrix(tensor: dict[str, Any], schema: InputSchema) -> Rows:
    name, datatype, shape, data = _tensor(tensor)
    if len(shape) != 2 or shape[1] != schema.width:
        raise InvalidInput(
            f"Tensor {name!r} has shape {shape}; the model takes [rows, {schema.width}] with the columns "
            f"{', '.join(schema.names)}, or one tensor for each column."
        )
    if datatype == "BYTES":
        raise InvalidInput(f"Tensor {name!r} has datatype BYTES; the model's columns are numbers.")
    return schema.from_flat(data, shape[0])


def _tensor(tensor: Any) -> tuple[str, str, list[int], list[Any]]:
    """Return name, datatype, shape and flattened data; raise if they don't belong together."""
    try:
        name, datatype, shape, data = tensor["name"], tensor["datatype"], tensor["shape"], tensor["data"]
    except KeyError as error:
        extra = tensor.get("parameters")
        if isinstance(extra, dict) and "binary_data_size" in extra:
            raise MalformedRequest("Binary tensor data is not taken; send `data` as JSON.") from None
        raise MalformedRequest(f"A tensor has no member {error}; it needs name, datatype, shape and data.") from None
    except TypeError:
        raise MalformedRequest("Each tensor must be an object with name, datatype, shape and data.") from None
    if not isinstance(name, str) or not isinstance(shape, list) or not shape:
        raise MalformedRequest("A tensor's name must be a string and its shape a list of sizes.")
    if not isinstance(datatype, str) or datatype not in _DATATYPES:
        raise MalformedRequest(
            f"Tensor {name[:200]!r} has an unknown datatype; known are {', '.join(sorted(_DATATYPES))}."
        )
    size = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise MalformedRequest(f"The shape of tensor {name!r} must hold whole numbers of zero or more.")
        size *= length
    if not isinstance(data, list):
        raise MalformedRequest(f"The data of tensor {name!r} must be a list.")
    while data and type(data[0]) is list:  # the protocol takes nested lists too, in row-major order
        if not all(type(part) is list for part in data):
            raise MalformedRequest(f"The data of tensor {name!r} is nested unevenly.")
        data = list(chain.from_iterable(data))
    if len(data) != size:
        raise MalformedRequest(f"Tensor {name!r} has {len(data)} values, and its shape {shape} holds {size}.")
    _check_datatype(name, datatype, data)
    return name, datatype, shape, data


def _check_datatype(name: str, datatype: str, data: list[Any]) -> None:
    kinds = set(map(type, data))
    kinds.discard(type(None))
    limits = _INTEGER_RANGES.get(datatype)
    if datatype == "BYTES":
        fits = kinds <= {str}
    elif datatype == "BOOL":
        fits = kinds <= {bool, int}
    elif limits:
        fits = kinds <= {int}
    else:
        fits = kinds <= {int, float}
    if fits and limits and kinds:
        low, high = limits
        fits = all(value is None or low <= value <= high for value in data)
    if not fits:
        raise InvalidInput(f"Tensor {name!r} holds values that are not {datatype}.", column=name)


def chosen_outputs(request: dict[str, Any], schema: OutputSchema) -> tuple[int, ...]:
    """Return the places of the outputs that the request asks for, which are all of them if it names none."""
    chosen = request.get("outputs")
    if not chosen:
        return tuple(range(len(schema.columns)))
    places = []
    for output in chosen if isinstance(chosen, list) else [chosen]:
        name = output.get("name") if isinstance(output, dict) else None
        if name not in schema.names:
            raise InvalidInput(f"The model has no such output; it has {', '.join(schema.names)}.")
        places.append(schema.names.index(name))
    return tuple(places)


def request_id(request: dict[str, Any]) -> str | None:
    """Return the request's id, which the answer repeats."""
    identifier = request.get("id")
    if identifier is not None and (not isinstance(identifier, str) or len(identifier) > 1000):
        raise MalformedRequest("`id` must be a string of at most 1000 characters.")
    return identifier


def parameters(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request's parameters."""
    given = request.get("parameters")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise MalformedRequest("`parameters` must be an object.")
    return given


class Encoder:
    """Writes answers; the parts that never change are made once."""

    def __init__(self, name: str, version: str, schema: OutputSchema) -> None:
        self._head = {"model_name": name, "model_version": version}
        self._columns = schema.columns

    def encode(self, answer: list[list[Any]], count: int, places: tuple[int, ...], identifier: str | None) -> bytes:
        """Return the body of an answer with the chosen outputs."""
        outputs = []
        for place in places:
            column = self._columns[place]
            outputs.append({"name": column.name, "shape": [count], "datatype": column.datatype, "data": answer[place]})
        if identifier is None:
            return orjson.dumps({**self._head, "outputs": outputs})
        return orjson.dumps({**self._head, "id": identifier, "outputs": outputs})


def model_metadata(name: str, version: str, inputs: InputSchema, outputs: OutputSchema) -> dict[str, Any]:
    """Return the model metadata response."""
    return {
        "name": name,
        "versions": [version],
        "platform": "mlflow_pyfunc",
        "inputs": [_tensor_metadata(column) for column in inputs.columns],
        "outputs": [_tensor_metadata(column) for column in outputs.columns],
    }


def _tensor_metadata(column: CheckedColumn) -> dict[str, Any]:
    return {"name": column.name, "datatype": column.datatype, "shape": [-1]}
