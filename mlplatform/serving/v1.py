"""The v1 prediction protocol (TensorFlow Serving's and KServe's): ``{"instances": [...]}`` or ``{"inputs": {...}}``."""

from typing import Any

import orjson

from mlplatform.serving.problems import MalformedRequest
from mlplatform.serving.rows import InputSchema, OutputSchema, Rows


def decode(request: Any, schema: InputSchema) -> tuple[Rows, bool]:
    """Return the rows of a request, and whether it is columnar."""
    if not isinstance(request, dict):
        raise MalformedRequest("The request must be a JSON object with the member `instances` or `inputs`.")
    if ("instances" in request) == ("inputs" in request):
        raise MalformedRequest("Give either `instances` (a list of rows) or `inputs` (an object of columns).")
    if "instances" in request:
        return _rows(request["instances"], "instances", schema), False
    inputs = request["inputs"]
    if not isinstance(inputs, dict):
        return _rows(inputs, "inputs", schema), True
    if not all(isinstance(values, list) for values in inputs.values()):
        raise MalformedRequest("Each column in `inputs` must be a list of values.")
    return schema.from_columns(inputs), True


def _rows(rows: Any, member: str, schema: InputSchema) -> Rows:
    if not isinstance(rows, list):
        raise MalformedRequest(f"`{member}` must be a list of rows.")
    if rows and isinstance(rows[0], list):
        return schema.from_lists(rows)
    if rows and schema.width == 1 and not isinstance(rows[0], dict):
        return schema.from_flat(rows, len(rows))
    return schema.from_records(rows)


def encode(answer: list[list[Any]], schema: OutputSchema, *, columnar: bool) -> bytes:
    """Return the body of an answer: plain values for one output, objects (or columns) for several."""
    single = len(schema.names) == 1
    if columnar:
        return orjson.dumps({"outputs": answer[0] if single else dict(zip(schema.names, answer, strict=True))})
    if single:
        return orjson.dumps({"predictions": answer[0]})
    rows = [dict(zip(schema.names, row, strict=True)) for row in zip(*answer, strict=True)]
    return orjson.dumps({"predictions": rows})
