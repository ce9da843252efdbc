"""What the server answers when it can't answer: RFC 9457 problem details, one class per reason.

Each document also has the member ``error``, in which clients of both inference protocols look for the message.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import orjson

CONTENT_TYPE = b"application/problem+json"


class Problem(Exception):
    """An answer other than 200. ``slug`` ends the problem's ``type`` URI and is stable: clients may switch on it."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, headers: Sequence[tuple[bytes, bytes]] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers
        self.extra = extra

    def body(self) -> bytes:
        """Return the problem document."""
        return orjson.dumps(
            {
                "type": f"urn:ml-platform:problem:{self.slug}",
                "title": self.title,
                "status": self.status.value,
                "detail": self.detail,
                "error": self.detail,
                **self.extra,
            }
        )


class MalformedRequest(Problem):
    """The body is not JSON, or not a request of the protocol."""

    status, slug, title = HTTPStatus.BAD_REQUEST, "malformed-request", "Malformed request"


class InvalidInput(Problem):
    """The request is well-formed, and its rows don't fit the schema in ``model.yaml``."""

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "Invalid input"


class NotFound(Problem):
    """No such path, model or version here."""

    status, slug, title = HTTPStatus.NOT_FOUND, "not-found", "Not found"


class MethodNotAllowed(Problem):
    """The path exists and wants another method."""

    status, slug, title = HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"


class BodyTimeout(Problem):
    """The body did not arrive in time."""

    status, slug, title = HTTPStatus.REQUEST_TIMEOUT, "request-timeout", "Request timeout"


class PayloadTooLarge(Problem):
    """The body is larger than ``serving.maxRequestBytes``, or holds more rows than one request may."""

    status, slug, title = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload-too-large", "Payload too large"


class NotReady(Problem):
    """The model is being loaded, or the server is about to stop."""

    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "Not ready"


class Overloaded(Problem):
    """More rows are waiting than the server takes on."""

    status, slug, title = HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Overloaded"


class ModelTimeout(Problem):
    """The prediction took longer than ``serving.requestTimeout``."""

    status, slug, title = HTTPStatus.GATEWAY_TIMEOUT, "model-timeout", "The model took too long"


class ModelFailed(Problem):
    """The model raised an exception."""

    slug, title = "model-failed", "The model failed"


class ModelOutputInvalid(Problem):
    """The model answered something outside of its output schema, such as NaN."""

    slug, title = "model-output-invalid", "The model's answer is outside of its output schema"
