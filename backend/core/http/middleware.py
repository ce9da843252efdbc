"""What happens around every request: an id, headers, a size limit, a metric and a log line. Plain ASGI, so that
streams pass through unbuffered.
"""

import logging
import re
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.errors import PayloadTooLarge
from backend.core.http.problems import problem_response, unexpected_response
from backend.core.ids import new_id
from backend.core.metrics import Metrics
from mlplatform.telemetry.context import begun, of_headers
from mlplatform.telemetry.tracing import Tracing, at_work

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-site",
}
_API_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_QUIET = {"/healthz", "/readyz", "/metrics"}

_log = logging.getLogger("backend.access")


def cors(app: ASGIApp, *, origins: Iterable[str]) -> CORSMiddleware:
    """Let pages of these origins call the platform from a browser (Fetch standard, "CORS protocol").

    There are no cookies to send along: whoever calls has a token. It stands around everything else, so that a page can read
    errors too, and a preflight, which never has a token, reaches nothing that wants one.
    """
    return CORSMiddleware(
        app,
        allow_origins=tuple(origins),
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("Authorization", "Content-Type", "If-None-Match", "Idempotency-Key", "Last-Event-ID"),
        expose_headers=("ETag", "Retry-After", "Location", REQUEST_ID_HEADER),
        allow_credentials=False,
    )


class RequestContext:
    """Gives each request an id, security headers, a metric and one log line."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, open_prefixes: Iterable[str] = (), tracing: Tracing | None = None
    ) -> None:
        self._app, self._metrics, self._tracing = app, metrics, tracing
        self._pages = tuple(open_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = of_headers(scope["headers"])
        span, status = None, 500
        if self._tracing is not None and scope["path"] not in _QUIET:
            span = self._tracing.begin(trace, _method(scope))
        try:
            with at_work(span.context if span is not None else trace or begun()):
                status = await self._answered(scope, receive, send)
        finally:
            if span is not None:
                span.end(status, f"{_method(scope)} {self._route(scope)}")

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> int:
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.match(given) else new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        begun, started, status = time.perf_counter(), False, 500

        async def send_with_headers(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                extra = {} if scope["path"].startswith(self._pages) else _API_HEADERS
                for name, value in {**_SECURITY_HEADERS, **extra}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise  # half an answer is out: only breaking the connection tells the client
            response = unexpected_response(error, scope["path"], request_id)
            await response(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.perf_counter() - begun, request_id)
        return status

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = self._route(scope)
        method = _method(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(seconds)
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        _log.log(
            level,
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={"requestId": request_id, "route": route, "milliseconds": round(seconds * 1000, 1)},
        )

    def _route(self, scope: Scope) -> str:
        """Return the route's template: a path with names in it would make a metric of each name."""
        for prefix in self._pages:
            if scope["path"].startswith(prefix):
                return prefix
        route = scope.get("route")
        return str(getattr(route, "path_format", None) or getattr(route, "path", None) or "unmatched")


def _method(scope: Scope) -> str:
    return str(scope["method"]) if scope["method"] in _METHODS else "other"


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _TooLarge(HTTPException):
    """Raised where the body is read. FastAPI lets an HTTPException through there and turns all else into a 400."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the request body is larger than {limit} bytes")


class BodyLimit:
    """Refuses larger request bodies with 413, announced ones before a byte is read."""

    def __init__(self, app: ASGIApp, *, limit: int, larger: Iterable[tuple[re.Pattern[str], int]] = ()) -> None:
        self._app, self._limit, self._larger = app, limit, tuple(larger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as long as its body stays small."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for path, size in self._larger if path.match(scope["path"])), self._limit)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            error = PayloadTooLarge(_TooLarge(limit).detail)
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLarge(limit)
            return message

        await self._app(scope, counted, send)
