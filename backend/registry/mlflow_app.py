"""The embedded MLflow server under ``/mlflow``, behind the platform's own identity door.

Everybody who is signed in reads everything and tracks experiments, runs, artefacts and traces of their own; what that means
is in :mod:`backend.registry.mlflow_rules`. The model registry is read-only here: versions come from the registry domain
with lineage and attestations, and the aliases ``champion`` and ``challenger`` move only when traffic does. What a
tracking server does not need (gateway, assistant, jobs, MCP) does not answer at all.

MLflow takes its configuration from the process environment and from nowhere else, so one process can embed one store.
"""

import os
import re
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.errors import Forbidden, PlatformError, Unauthenticated, Unavailable
from backend.identity.auth import source_of
from backend.identity.principal import Principal
from backend.registry.mlflow_rules import ARTEFACT_ROOT, NotAllowed, WriteRules
from backend.registry.mlflow_store import MlflowStore

COOKIE = "ml-platform-token"
_SIGN_IN = "/sign-in"
_MOST_FORM_BYTES = 20_000
_OPEN = re.compile(r"^/(health|version|favicon\.ico|static-files/.*)?$")
_SERVED = re.compile(
    r"^/(?:ajax-api|api)/[23]\.0/(?:(?:preview/)?mlflow/(?:experiments|runs|metrics|artifacts|logged-models|traces"
    r"|get-trace-artifact|registered-models|model-versions|datasets|scorers|issues|label-schemas|review-queues|server-info"
    r"|ui-telemetry)|mlflow-artifacts/artifacts)(?:/|$)|^/(?:get-artifact|model-versions/get-artifact|graphql)$|^/v1/traces$"
)
# These write or start something past the stores, where no rule looks.
_NOT_SERVED = re.compile(r"/(?:invoke|create-promptlab-run|presigned-[a-z-]+)(?:/|$)")
_REGISTRY_WRITE = re.compile(
    r"/(registered-models|model-versions)/(create|delete|rename|update|alias|set-tag|delete-tag|transition-stage)$"
)
_LOCAL_HOSTS = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[[]::1]", "[[]::1]:*")
_SIGN_IN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>MLflow: sign in</title>
<style>body{{font:16px system-ui;max-width:42rem;margin:4rem auto;padding:0 1rem}}textarea{{width:100%;height:8rem}}
p.error{{color:#b00020}}</style><h1>Sign in to MLflow</h1>{error}
<p>Print your platform token with <code>platform login --show-token</code> and paste it here.
It stays in this browser until it expires.</p>
<form method="post" action="{action}"><label>Token<br><textarea name="token" autocomplete="off" required></textarea></label>
<p><button>Sign in</button></form></html>"""


@dataclass(frozen=True)
class MlflowRequest:
    """A request that came through the door, and whose it is."""

    principal: Principal
    source: str
    method: str
    path: str


Authenticate = Callable[[str, str], Principal]
"""Turns a bearer token and the address it came from into a principal, or raises :class:`Unauthenticated`."""
Refused = Callable[[MlflowRequest, str], None]
"""Told of each refused request, and why it was."""
RenderProblem = Callable[[PlatformError], Response]


class EmbeddedMlflow:
    """An ASGI app that guards MLflow's own one, which is imported in the background.

    ``authenticate`` and ``refused`` are called in threads: they may fetch keys and write audit events. ``may_manage``
    says whether somebody may write what is other people's, ``base_url`` is where people reach the platform, if that is
    another place than where it listens.
    """

    def __init__(
        self,
        store: MlflowStore,
        *,
        authenticate: Authenticate,
        refused: Refused,
        problem: RenderProblem,
        may_manage: Callable[[Principal], bool],
        base_url: str | None,
    ) -> None:
        self._store = store
        self._authenticate = authenticate
        self._refused = refused
        self._problem = problem
        self._may_manage = may_manage
        self._base_url = base_url
        self._request: ContextVar[MlflowRequest | None] = ContextVar("mlflow_request", default=None)
        self._app: ASGIApp | None = None
        self._failure: str | None = None
        self._thread: threading.Thread | None = None

    def load_in_background(self) -> None:
        """Start importing MLflow's server; requests are answered with 503 until it is there."""
        self._thread = threading.Thread(target=self._load, name="mlflow-import", daemon=True)
        self._thread.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to MLflow, or answer it here."""
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        try:
            if path == _SIGN_IN:
                response: Response | None = await self._sign_in(scope, receive)
            else:
                response = await self._answer(scope, path)
        except PlatformError as error:
            response = self._problem(error)
        if response is not None:
            await response(scope, receive, send)
            return
        if self._app is not None:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, path: str) -> Response | None:
        is_page = path == "/"
        if is_page or not _OPEN.match(path):
            headers = Headers(scope=scope)
            token = _bearer(headers) or _cookie(headers)
            source = source_of(Request(scope))
            try:
                principal = await run_in_threadpool(self._authenticate, token or "", source)
            except Unauthenticated:
                if is_page:
                    return RedirectResponse(f"{scope.get('root_path', '')}{_SIGN_IN}", status_code=303)
                raise
            request = MlflowRequest(principal, source, scope["method"], path)
            if (problem := _refusal(request)) is not None:
                await run_in_threadpool(self._refused, request, problem.detail)
                raise problem
            self._request.set(request)
        if self._app is None:
            raise Unavailable(self._failure or "MLflow is still starting; try again in a few seconds")
        return None

    async def _sign_in(self, scope: Scope, receive: Receive) -> Response:
        root = scope.get("root_path", "")
        if scope["method"] != "POST":
            return HTMLResponse(_SIGN_IN_PAGE.format(error="", action=f"{root}{_SIGN_IN}"))
        form = parse_qs((await _body(receive)).decode("utf-8", "replace"))
        token = form.get("token", [""])[0].strip()
        try:
            await run_in_threadpool(self._authenticate, token, source_of(Request(scope)))
        except Unauthenticated:
            page = _SIGN_IN_PAGE.format(
                error='<p class="error" role="alert">That token does not verify.</p>',
                action=f"{root}{_SIGN_IN}",
            )
            return HTMLResponse(page, status_code=401)
        response = RedirectResponse(f"{root}/", status_code=303)
        response.set_cookie(
            COOKIE,
            token,
            httponly=True,
            samesite="strict",
            path=root or "/",
            secure=scope["scheme"] == "https",
        )
        return response

    def _load(self) -> None:
        try:
            self._store.client()
            app = _import_server(self._store, self._base_url)
            self._guard()
            self._app = app
        except Exception as error:
            self._failure = f"MLflow could not be started: {type(error).__name__}"
            raise

    def _guard(self) -> None:
        from backend.registry.mlflow_guard import guard_server

        def rules(tracking: Any) -> WriteRules:
            request = self._request.get()
            if request is None:
                raise NotAllowed("nobody is signed in")
            return WriteRules(tracking, request.principal, self._may_manage)

        def refused(reason: str) -> None:
            request = self._request.get()
            if request is not None:
                self._refused(request, reason)

        guard_server(self._store.client_artefacts, self._store.client_uploads, rules, refused)


def _refusal(request: MlflowRequest) -> PlatformError | None:
    """Say why a request does not reach MLflow at all, whatever it is about."""
    served = _OPEN.match(request.path) or (_SERVED.search(request.path) and not _NOT_SERVED.search(request.path))
    if not served:
        return Forbidden(f"{request.path[:200]} is not served: the embedded MLflow does tracking only")
    if request.method not in {"GET", "HEAD"} and _REGISTRY_WRITE.search(request.path):
        return Forbidden(
            "the model registry is written by the platform only",
            fix="register with `platform register`; aliases move with `platform deploy` and `platform rollback`",
        )
    return None


def _import_server(store: MlflowStore, base_url: str | None) -> ASGIApp:
    if base_url is not None:
        # Of itself MLflow answers under local and private addresses only.
        hosts = [*_LOCAL_HOSTS, urlsplit(base_url).netloc]
        os.environ.setdefault("MLFLOW_SERVER_ALLOWED_HOSTS", ",".join(hosts))
        os.environ.setdefault("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", base_url.rstrip("/"))
    os.environ.update(
        {
            "_MLFLOW_SERVER_FILE_STORE": store.tracking_uri,
            "_MLFLOW_SERVER_REGISTRY_STORE": store.tracking_uri,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTEFACT_ROOT,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": store.client_artefacts.as_uri(),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
    )
    from mlflow.server.fastapi_app import app

    served: ASGIApp = app
    return served


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token else None


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


async def _body(receive: Receive) -> bytes:
    read: Callable[[], Awaitable[dict[str, object]]] = receive  # type: ignore[assignment]
    body = b""
    while len(body) <= _MOST_FORM_BYTES:
        message = await read()
        chunk = message.get("body", b"")
        body += chunk if isinstance(chunk, bytes) else b""
        if not message.get("more_body"):
            break
    return body[:_MOST_FORM_BYTES]
