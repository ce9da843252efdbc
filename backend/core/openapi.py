"""The OpenAPI document: FastAPI's own, with the problem details that every route may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from backend.core.config import API_PREFIX
from backend.core.http.problems import MEDIA_TYPE, Problem

TAGS = [
    {"name": "identity", "description": "Who calls, and whose signature a key makes."},
    {"name": "registry", "description": "Models and their versions, with lineage."},
    {"name": "attestations", "description": "Signed gate results by artefact digest."},
    {"name": "deployments", "description": "Admission, rollouts, rollback and traffic."},
    {"name": "experiments", "description": "Shadow runs and A/B experiments, and what was decided by them."},
    {"name": "batch", "description": "Batch models: runs of days, backfills, schedules."},
    {"name": "scaffolds", "description": "New repositories, and the templates they are made from."},
    {"name": "pull requests", "description": "Pull requests of the embedded git host."},
    {"name": "repository files", "description": "What repositories of the embedded git host hold."},
    {
        "name": "fleet",
        "description": "Which template version every repository has, and campaigns that bring them along.",
    },
    {"name": "catalog", "description": "What there is and who owns it."},
    {"name": "data sets", "description": "How sensitive data is, column by column, and what models inherit from it."},
    {"name": "compliance", "description": "Controls as data, what they came to, and waivers."},
    {"name": "observability", "description": "Objectives and error budgets of live models, and incidents."},
    {"name": "notifications", "description": "Who was told what, and what became of it."},
    {
        "name": "drift",
        "description": "Live models held against their training data, and the truth as it becomes known.",
    },
    {"name": "cost", "description": "Usage, what it costs, bills, budgets, and what could be saved."},
    {"name": "support", "description": "Requests to the platform team, and the quarterly survey."},
    {"name": "overview", "description": "All models at a glance, and the platform's own figures."},
    {"name": "access", "description": "Who may do what: policies, decisions, time-bound grants, access reviews."},
    {"name": "privacy", "description": "Retention, legal holds, data-subject requests, payload samples and data keys."},
    {"name": "audit", "description": "The tamper-evident record of everything."},
    {"name": "evidence", "description": "Periods of the record, packed so that they verify offline."},
    {"name": "health", "description": "For whoever keeps the platform running."},
]
_REFERENCE = "#/components/schemas/Problem"


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schemas["Problem"].pop("$defs", {}))
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _describe_errors(operation)
                if method == "get" and path.startswith(API_PREFIX):
                    _describe_tags(operation)
        app.openapi_schema = schema
    return app.openapi_schema


def _describe_tags(operation: dict[str, Any]) -> None:
    if "application/json" in operation["responses"].get("200", {}).get("content", {}):
        operation["responses"]["304"] = {
            "description": "The client has this answer already: its `If-None-Match` says so"
        }


def _describe_errors(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE}}}
            if status == "422":
                response["description"] = "Invalid input"
    for status, title in (("413", "Payload too large"), ("507", "Insufficient storage")):
        if "requestBody" in operation:
            responses.setdefault(
                status,
                {"description": title, "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE}}}},
            )
