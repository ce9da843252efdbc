"""Trial requests: the model's own input example and rows made from the schema, with the answers checked."""

import http.client
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.spec.model import Column, ColumnType, ModelSpec

Row = dict[str, Any]

_MOST_EXAMPLE_ROWS = 8
_ROUNDS = 5
"""Single rows are sent this often: the first requests of a process are slow, and users should not be the ones to pay."""
_DATATYPES = {
    ColumnType.BOOLEAN: "BOOL",
    ColumnType.INTEGER: "INT32",
    ColumnType.LONG: "INT64",
    ColumnType.FLOAT: "FP32",
    ColumnType.DOUBLE: "FP64",
    ColumnType.STRING: "BYTES",
    ColumnType.BINARY: "BYTES",
    ColumnType.DATETIME: "BYTES",
}
_PLAIN: dict[ColumnType, Any] = {
    ColumnType.BOOLEAN: False,
    ColumnType.INTEGER: 0,
    ColumnType.LONG: 0,
    ColumnType.FLOAT: 0.0,
    ColumnType.DOUBLE: 0.0,
    ColumnType.STRING: "",
    ColumnType.BINARY: "",
    ColumnType.DATETIME: "2000-01-01T00:00:00",
}
_WHOLE = frozenset({ColumnType.INTEGER, ColumnType.LONG})
_NUMERIC = frozenset({*_WHOLE, ColumnType.FLOAT, ColumnType.DOUBLE})


class AnswerRefused(Exception):
    """The answer to a trial request is not what the schema promises; the message says what is wrong."""


def example_rows(model_dir: Path, spec: ModelSpec) -> list[Row]:
    """Return rows of the model's own input example, as far as it has one for these columns."""
    for name in ("serving_input_example.json", "input_example.json"):
        try:
            document = json.loads((model_dir / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        rows = _rows_of(document, spec)
        if rows:
            return rows[:_MOST_EXAMPLE_ROWS]
    return []


def _rows_of(document: Any, spec: ModelSpec) -> list[Row]:
    names = [column.name for column in spec.schema_.inputs]
    required = {column.name for column in spec.schema_.inputs if column.required}
    if isinstance(document, dict):
        document = document.get("dataframe_split", document)
        document = document.get("inputs", document)
    if isinstance(document, dict) and {"columns", "data"} <= set(document):
        found = [dict(zip(document["columns"], row, strict=False)) for row in document["data"]]
    elif isinstance(document, list) and document and isinstance(document[0], dict):
        found = document
    elif isinstance(document, list) and document and isinstance(document[0], list):
        found = [dict(zip(names, row, strict=False)) for row in document]
    else:
        return []
    rows = [{name: row[name] for name in names if row.get(name) is not None} for row in found]
    return [row for row in rows if required <= set(row)]


def schema_rows(spec: ModelSpec, base: Row | None = None) -> list[Row]:
    """Return rows at the borders of what the schema accepts.

    A column without limits keeps the value of ``base``: nothing says which others the model knows.
    """
    columns = [column for column in spec.schema_.inputs if column.required or (base and column.name in base)]
    plain = {column.name: _inside(column, (base or {}).get(column.name)) for column in columns}
    rows = [plain]
    for pick in (_lowest, _highest):
        rows.append({column.name: _or_else(pick(column), plain[column.name]) for column in columns})
    for column in columns:
        rows += [{**plain, column.name: value} for value in (column.enum or [])[:10]]
    unique = {json.dumps(row, sort_keys=True, default=str): row for row in rows}
    return list(unique.values())


def _or_else(value: Any, other: Any) -> Any:
    return other if value is None else value


def _inside(column: Column, value: Any) -> Any:
    if value is not None:
        return value
    if column.enum:
        return column.enum[0]
    low, high = _lowest(column), _highest(column)
    if low is not None and high is not None:
        middle = (low + high) / 2
        return math.floor(middle) if column.type in _WHOLE else middle
    return _or_else(low, _or_else(high, _PLAIN[column.type]))


def _lowest(column: Column) -> Any:
    if column.enum:
        return column.enum[0]
    if column.minimum is None or column.type not in _NUMERIC:
        return None
    return math.ceil(column.minimum) if column.type in _WHOLE else column.minimum


def _highest(column: Column) -> Any:
    if column.enum:
        return column.enum[-1]
    if column.maximum is None or column.type not in _NUMERIC:
        return None
    return math.floor(column.maximum) if column.type in _WHOLE else column.maximum


def trial_batches(spec: ModelSpec, model_dir: Path) -> list[list[Row]]:
    """Return the batches to send: single rows several times, then all of them as one batch."""
    examples = example_rows(model_dir, spec)
    made = schema_rows(spec, examples[0] if examples else None)
    singles = [[row] for row in [*examples, *made]]
    together = _alike([*examples, *made])[: spec.serving.max_batch_size]
    return [*singles * _ROUNDS, together] if len(together) > 1 else singles * _ROUNDS


def _alike(rows: list[Row]) -> list[Row]:
    """Keep the rows that have the columns of the first: a tensor has a value for each row."""
    return [row for row in rows if rows and row.keys() == rows[0].keys()]


def infer_request(rows: Sequence[Row], spec: ModelSpec) -> dict[str, Any]:
    """Write rows as an Open Inference Protocol v2 request with one tensor per column."""
    return {
        "inputs": [
            {
                "name": column.name,
                "shape": [len(rows), 1],
                "datatype": _DATATYPES[column.type],
                "data": [row[column.name] for row in rows],
            }
            for column in spec.schema_.inputs
            if column.name in rows[0]
        ]
    }


def check_answer(answer: Any, rows: int, spec: ModelSpec) -> None:
    """Check an answer against the output schema.

    Raises:
        AnswerRefused: an output is missing, of another length, or has values that it must not have.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("outputs"), list):
        raise AnswerRefused("the answer has no outputs")
    outputs = {one.get("name"): one.get("data") for one in answer["outputs"] if isinstance(one, Mapping)}
    for column in spec.schema_.outputs:
        if column.name not in outputs:
            if column.required:
                raise AnswerRefused(f"output {column.name} is missing; there are {', '.join(map(str, outputs))}")
            continue
        data = outputs[column.name]
        if not isinstance(data, list) or len(data) != rows:
            size = len(data) if isinstance(data, list) else "no"
            raise AnswerRefused(f"output {column.name} has {size} values for {rows} rows")
        for value in data:
            _check_value(column, value)


def _check_value(column: Column, value: Any) -> None:
    if column.type in _NUMERIC:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AnswerRefused(f"output {column.name} is not a number")
        if not math.isfinite(value):
            raise AnswerRefused(f"output {column.name} is {value}")
        if column.minimum is not None and value < column.minimum:
            raise AnswerRefused(f"output {column.name} is below its minimum {column.minimum:g}")
        if column.maximum is not None and value > column.maximum:
            raise AnswerRefused(f"output {column.name} is above its maximum {column.maximum:g}")
    elif value is None and column.required:
        raise AnswerRefused(f"output {column.name} has no value")
    if column.enum is not None and value not in column.enum:
        raise AnswerRefused(f"output {column.name} is none of its accepted values")


def send_batches(port: int, spec: ModelSpec, batches: Sequence[Sequence[Row]]) -> int:
    """Send all batches to one server and check the answers; return how many were sent.

    Raises:
        AnswerRefused: saying what was wrong with which answer.
    """
    timeout = spec.serving.request_timeout.total_seconds() + 1
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        for batch in batches:
            body = json.dumps(infer_request(batch, spec))
            try:
                connection.request("POST", f"/v2/models/{spec.name}/infer", body, {"content-type": "application/json"})
                response = connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as fault:
                raise AnswerRefused(f"no answer ({fault or type(fault).__name__})") from fault
            check_answer(_answer(response.status, text), len(batch), spec)
    finally:
        connection.close()
    return len(batches)


def _answer(status: int, text: bytes) -> Any:
    try:
        document = json.loads(text)
    except ValueError as fault:
        raise AnswerRefused(f"status {status}, and the answer is not JSON") from fault
    if status != 200:
        detail = (document.get("detail") or document.get("error")) if isinstance(document, dict) else None
        raise AnswerRefused(f"status {status}: {detail or 'no reason given'}")
    return document
