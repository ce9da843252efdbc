"""The server's OpenAPI document, made from ``model.yaml``: callers see the model's own columns with their limits."""

from typing import Any

from mlplatform.serving.columns import CheckedColumn
from mlplatform.serving.rows import MAX_ROWS
from mlplatform.spec.model import Column, ColumnType, ModelSpec

_JSON_TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.INTEGER: {"type": "integer", "format": "int32"},
    ColumnType.LONG: {"type": "integer", "format": "int64"},
    ColumnType.FLOAT: {"type": "number", "format": "float"},
    ColumnType.DOUBLE: {"type": "number", "format": "double"},
    ColumnType.STRING: {"type": "string"},
    ColumnType.BINARY: {"type": "string", "contentEncoding": "base64"},
    ColumnType.DATETIME: {"type": "string", "format": "date-time"},
}


def document(spec: ModelSpec, *, name: str, version: str, environment: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of this model's server."""
    v2, v1 = f"/v2/models/{name}", f"/v1/models/{name}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name} ({environment})",
            "version": version,
            "description": spec.description or f"Predictions of the model {name}.",
            "x-owner": spec.owner,
        },
        "paths": {
            f"{v2}/infer": {
                "post": _prediction("infer", "Open Inference Protocol v2", "InferRequest", "InferResponse")
            },
            f"{v2}/versions/{version}/infer": {
                "post": _prediction(
                    "inferVersion", "Open Inference Protocol v2, with the version", "InferRequest", "InferResponse"
                )
            },
            f"{v1}:predict": {
                "post": _prediction("predict", "v1 prediction protocol", "PredictRequest", "PredictResponse")
            },
            "/invocations": {
                "post": _prediction(
                    "invocations", "v1 prediction protocol, as SageMaker calls it", "PredictRequest", "PredictResponse"
                )
            },
            v2: {"get": _page("modelMetadata", "The model's inputs and outputs", not_ready=True)},
            f"{v2}/ready": {"get": _page("modelReady", "Whether the model answers", not_ready=True)},
            "/v2": {"get": _page("serverMetadata", "The server")},
            "/v2/health/live": {"get": _page("live", "Whether the process is alive")},
            "/v2/health/ready": {"get": _page("ready", "Whether predictions are answered", not_ready=True)},
            "/ping": {"get": _page("ping", "Whether predictions are answered, as SageMaker asks it", not_ready=True)},
            "/healthz": {"get": _page("health", "Whether the process is alive, and its state")},
            "/metrics": {
                "get": {
                    **_page("metrics", "Metrics for Prometheus"),
                    "responses": {"200": {"description": "Metrics", "content": {"text/plain": {}}}},
                }
            },
        },
        "components": {"schemas": _schemas(spec)},
    }


def _schemas(spec: ModelSpec) -> dict[str, Any]:
    inputs, outputs = spec.schema_.inputs, spec.schema_.outputs
    required = [column.name for column in inputs if column.required]
    row: dict[str, Any] = {
        "type": "object",
        "properties": {column.name: _value(column) for column in inputs},
        "additionalProperties": False,
    }
    columns: dict[str, Any] = {
        "type": "object",
        "properties": {
            column.name: {"type": "array", "items": _value(column), "minItems": 1, "maxItems": MAX_ROWS}
            for column in inputs
        },
        "additionalProperties": False,
    }
    if required:
        row["required"] = columns["required"] = required
    answer = _value(outputs[0]) if len(outputs) == 1 else _object(outputs)
    answers = {"type": "array", "items": answer}
    by_column = {"type": "object", "properties": {c.name: {"type": "array", "items": _value(c)} for c in outputs}}
    return {
        "Row": row,
        "PredictRequest": {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["instances"],
                    "properties": {
                        "instances": {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": MAX_ROWS}
                    },
                },
                {"type": "object", "required": ["inputs"], "properties": {"inputs": columns}},
            ]
        },
        "PredictResponse": {
            "type": "object",
            "properties": {"predictions": answers, "outputs": answers if len(outputs) == 1 else by_column},
        },
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string", "maxLength": 1000},
                "parameters": {"type": "object"},
                "inputs": {"type": "array", "minItems": 1, "items": _ref("InputTensor")},
                "outputs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"enum": [c.name for c in outputs]}},
                    },
                },
            },
        },
        "InputTensor": _tensor(
            inputs, "One tensor for each column, or (if all columns are numbers) one for all of them."
        ),
        "InferResponse": {
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": {
                "model_name": {"const": spec.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "outputs": {"type": "array", "items": _ref("OutputTensor")},
            },
        },
        "OutputTensor": {**_tensor(outputs, "One output column."), "additionalProperties": False},
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "error": {"type": "string"},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "row": {"type": "integer"},
                            "column": {"type": "string"},
                            "detail": {"type": "string"},
                        },
                    },
                },
            },
        },
    }


def _tensor(columns: list[Column], description: str) -> dict[str, Any]:
    names = ", ".join(f"{column.name} ({CheckedColumn.of(column).datatype})" for column in columns)
    return {
        "type": "object",
        "description": f"{description} Columns: {names}.",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"type": "string", "examples": [column.name for column in columns]},
            "datatype": {
                "type": "string",
                "examples": sorted({CheckedColumn.of(column).datatype for column in columns}),
            },
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
    }


def _object(columns: list[Column]) -> dict[str, Any]:
    return {"type": "object", "properties": {column.name: _value(column) for column in columns}}


def _value(column: Column) -> dict[str, Any]:
    schema = dict(_JSON_TYPES[column.type])
    if column.minimum is not None:
        schema["minimum"] = column.minimum
    if column.maximum is not None:
        schema["maximum"] = column.maximum
    if column.enum is not None:
        schema["enum"] = list(column.enum)
    if column.description:
        schema["description"] = column.description
    return schema


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _prediction(operation: str, summary: str, request: str, response: str) -> dict[str, Any]:
    problems = {
        "400": "Not a request of the protocol",
        "408": "The body did not arrive in time",
        "413": "The body is too large, or has too many rows",
        "422": "The rows don't fit the schema",
        "500": "The model failed, or answered something outside of its output schema",
        "503": "The model is being loaded, the server is about to stop, or too much is waiting",
        "504": "The model took too long",
    }
    return {
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(request)}}},
        "responses": {
            "200": {
                "description": "The predictions",
                "headers": _headers(),
                "content": {"application/json": {"schema": _ref(response)}},
            },
            **{code: _problem(text) for code, text in problems.items()},
        },
    }


def _page(operation: str, summary: str, *, not_ready: bool = False) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "200": {
            "description": "OK",
            "headers": _headers(),
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    }
    if not_ready:
        kinds = ("application/json", "application/problem+json")
        responses["503"] = {
            "description": "Not ready",
            "content": {kind: {"schema": {"type": "object"}} for kind in kinds},
        }
    return {"operationId": operation, "summary": summary, "responses": responses}


def _headers() -> dict[str, Any]:
    return {"x-model-version": {"description": "The version that answered", "schema": {"type": "string"}}}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref("Problem")}}}
