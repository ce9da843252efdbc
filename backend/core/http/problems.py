"""Errors on the wire: RFC 9457 problem details, made in one place."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from backend.core.errors import (
    Conflict,
    Forbidden,
    InsufficientStorage,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PlatformError,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ml-platform:problem:"
_DISK_FULL_TEXTS = ("database or disk is full", "No space left on device", "disk full")
_MOST_FAULTS = 50
_KNOWN: dict[int, type[PlatformError]] = {
    error.status: error
    for error in (
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PayloadTooLarge,
        InvalidInput,
        Unavailable,
        InsufficientStorage,
    )
}

_log = logging.getLogger(__name__)


class FieldFault(BaseModel):
    """One thing that is wrong with the input."""

    pointer: str = Field(description="JSON Pointer into the body, or `query/<name>`, `path/<name>`, `header/<name>`.")
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457). ``type`` ends with a stable slug; more members depend on it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=[f"{TYPE_PREFIX}not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="Path of the request.")
    fix: str | None = Field(default=None, description="What to do about it.")
    errors: list[FieldFault] | None = Field(default=None, description="For invalid input: each fault by itself.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that can fail with these."""
    return {
        status: {
            "description": _KNOWN[status].title if status in _KNOWN else "Error",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(statuses)
    }


def problem_response(error: PlatformError, instance: str | None = None) -> Response:
    """Render an expected failure."""
    members: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if instance is not None:
        members["instance"] = instance
    if error.fix is not None:
        members["fix"] = error.fix
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="ml-platform"'
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "5"
    content = {**jsonable_encoder(error.extra, by_alias=True), **members}
    return JSONResponse(content, status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make the app answer every error with problem details.

    Unexpected ones are answered by the outermost middleware, so that they have an id and headers too.
    """
    app.add_exception_handler(PlatformError, _on_platform_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(OperationalError, _on_database_error)


async def _on_platform_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlatformError)
    if error.refusal is not None:
        await run_in_threadpool(request.app.state.services.audit.record, error.refusal)
    return problem_response(error, request.url.path)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = field_faults(error.errors())
    detail = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults[:3])
    if len(faults) > 3:
        detail += f"; and {len(faults) - 3} more"
    invalid = InvalidInput(detail, errors=[fault.model_dump() for fault in faults])
    return problem_response(invalid, request.url.path)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _KNOWN.get(error.status_code, PlatformError)
    slug = {400: "bad-request", 405: "method-not-allowed"}.get(error.status_code, kind.slug)
    members = {
        "type": f"{TYPE_PREFIX}{slug}",
        "title": str(error.detail) if error.status_code in {400, 405} else kind.title,
        "status": error.status_code,
        "detail": _http_detail(request, error),
        "instance": request.url.path,
    }
    return JSONResponse(members, error.status_code, headers=error.headers, media_type=MEDIA_TYPE)


def _http_detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"there is nothing at {request.url.path}; see /openapi.json for what there is"
    if error.status_code == 405:
        return f"{request.method} is not possible at {request.url.path}"
    return str(error.detail)


async def _on_database_error(request: Request, error: Exception) -> Response:
    if any(text in str(error) for text in _DISK_FULL_TEXTS):
        _log.error("the disk is full", exc_info=error)
        full = InsufficientStorage(
            "the platform's disk is full; nothing was changed",
            fix="Free space under the platform's home, then try again.",
        )
        return problem_response(full, request.url.path)
    _log.error("the database does not answer", exc_info=error)
    down = Unavailable("the platform's database does not answer; nothing was changed", fix="Try again in a moment.")
    return problem_response(down, request.url.path)


def unexpected_response(error: Exception, path: str, request_id: str) -> Response:
    """Render an error that nobody expected: it is told to the log, not to the caller."""
    _log.error("unexpected error", exc_info=error, extra={"path": path, "requestId": request_id})
    unexpected = PlatformError(
        "something went wrong that should not have; nothing was changed",
        fix="Tell the platform team the request id; the log has the rest under it.",
        requestId=request_id,
    )
    return problem_response(unexpected, path)


def field_faults(errors: Sequence[Any]) -> list[FieldFault]:
    """Turn pydantic's errors into pointers and sentences, without repeating the input (it may be a secret)."""
    faults = []
    for error in errors[:_MOST_FAULTS]:
        place, *path = error["loc"] or ("body",)
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "json_invalid":
            faults.append(FieldFault(pointer="/", detail=f"is not JSON: {error.get('ctx', {}).get('error', message)}"))
            continue
        if error["type"] == "extra_forbidden":
            message = "unknown member"
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
        pointer = "/" + "/".join(steps) if place == "body" else "/".join([str(place), *steps])
        faults.append(FieldFault(pointer=pointer, detail=message))
    return faults
