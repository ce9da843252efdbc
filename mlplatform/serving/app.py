"""The server's ASGI application: paths, bodies, states. It knows nothing of how a model is called."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Literal

import orjson

from mlplatform.serving import problems, v1, v2
from mlplatform.serving.batching import Batcher
from mlplatform.serving.execution import Answer
from mlplatform.serving.experiments import Recorder, Taking
from mlplatform.serving.metrics import CONTENT_TYPE as METRICS_TYPE
from mlplatform.serving.metrics import Metrics
from mlplatform.serving.model import LoadedModel
from mlplatform.serving.problems import Problem
from mlplatform.serving.rows import Rows
from mlplatform.serving.samples import Sampler
from mlplatform.spec.model import Serving
from mlplatform.telemetry.context import begun, current, of_headers
from mlplatform.telemetry.tracing import RequestSpan, Tracing

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Protocol = Literal["v1", "v2"]
Page = Callable[[], tuple[int, bytes, bytes]]

JSON = b"application/json"
EXTENSIONS: list[str] = []
_logger = logging.getLogger(__name__)


class State(StrEnum):
    """Where the server is in its life. Predictions are answered in ``READY`` only."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True)
class Identity:
    """Which version of which model this server answers for."""

    name: str
    version: str
    environment: str
    server_version: str


@dataclass(frozen=True)
class Engine:
    """A loaded model with its queue."""

    model: LoadedModel
    batcher: Batcher
    encoder: v2.Encoder


class ServingApp:
    """One model version over HTTP."""

    def __init__(
        self, identity: Identity, serving: Serving, metrics: Metrics, openapi: bytes, tracing: Tracing | None = None
    ) -> None:
        self.identity = identity
        self.state = State.LOADING
        self.running = 0
        self._engine: Engine | None = None
        self._sampler: Sampler | None = None
        self._recorder: Recorder | None = None
        self._metrics = metrics
        self._openapi = openapi
        self._tracing = tracing
        self._max_bytes = serving.max_request_bytes
        self._timeout = serving.request_timeout.total_seconds()
        self._version_header = (b"x-model-version", identity.version.encode())
        self._fine_headers = [(b"content-type", JSON), self._version_header]
        self._pages = self._make_pages()
        self._predictions = self._make_predictions()
        metrics.watch(
            lambda: self._engine.batcher.waiting_rows if self._engine else 0,
            lambda: self.running,
            lambda: float(self.state is State.READY),
        )

    def ready(self, engine: Engine, sampler: Sampler | None = None, recorder: Recorder | None = None) -> None:
        """Begin to answer predictions (unless the server is already asked to stop)."""
        self._engine, self._sampler, self._recorder = engine, sampler, recorder
        if self.state is State.LOADING:
            self.state = State.READY

    def drain(self) -> None:
        """Answer no new predictions."""
        self.state = State.DRAINING

    def abandon(self) -> None:
        """Answer those whose time to drain is over with a problem, rather than closing on them."""
        if self._engine is not None:
            self._engine.batcher.abandon()

    # /ping and /invocations are what SageMaker asks of a container (Amazon SageMaker developer guide, "Use your own inference
    # code with hosting services").
    def _make_pages(self) -> dict[str, Page]:
        name, version = self.identity.name, self.identity.version
        server = orjson.dumps({"name": "mlplatform", "version": self.identity.server_version, "extensions": EXTENSIONS})
        pages: dict[str, Page] = {
            "/": lambda: (200, JSON, b'{"status":"alive"}'),
            "/healthz": lambda: (200, JSON, orjson.dumps({"status": "ok", "state": self.state})),
            "/metrics": lambda: (200, METRICS_TYPE, self._metrics.text()),
            "/openapi.json": lambda: (200, JSON, self._openapi),
            "/v2": lambda: (200, JSON, server),
            "/v2/health/live": lambda: (200, JSON, b'{"live":true}'),
            "/v2/health/ready": lambda: self._readiness({}),
            "/ping": lambda: self._readiness({}),
            "/v1/models": lambda: (200, JSON, orjson.dumps({"models": [name]})),
            f"/v1/models/{name}": lambda: self._readiness({"name": name}),
        }
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
            pages[path] = self._model_metadata
            pages[f"{path}/ready"] = lambda: self._readiness({"name": name})
        return pages

    def _make_predictions(self) -> dict[str, Protocol]:
        name, version = self.identity.name, self.identity.version
        return {
            f"/v2/models/{name}/infer": "v2",
            f"/v2/models/{name}/versions/{version}/infer": "v2",
            f"/v1/models/{name}:predict": "v1",
            f"/v1/models/{name}/versions/{version}:predict": "v1",
            "/invocations": "v1",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"this server speaks HTTP only, not {scope['type']}")
        protocol = self._predictions.get(scope["path"])
        if protocol is None or scope["method"] != "POST":
            await self._page(scope, send)
            return
        trace = of_headers(scope["headers"])
        span = self._tracing.begin(trace, f"POST {protocol}", **{"url.path": scope["path"]}) if self._tracing else None
        token = current.set(span.context if span is not None else trace or begun())
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            status = await self._answer(protocol, scope, receive, send, span)
        finally:
            current.reset(token)
            if span is not None:
                span.end(status.value)

    async def _answer(
        self, protocol: Protocol, scope: Scope, receive: Receive, send: Send, span: RequestSpan | None
    ) -> HTTPStatus:
        taking = None if self._recorder is None else self._recorder.taking(scope["headers"])
        started = time.perf_counter()
        self.running += 1
        try:
            asked = await self._body(scope, receive) if self.state is State.READY else b""
            body = await self._predict(protocol, asked, span)
            self._metrics.answered(protocol, time.perf_counter() - started)
        except Exception as error:
            problem = error if isinstance(error, Problem) else self._unexpected(error)
            self._metrics.refused(protocol, problem.status, problem.slug, time.perf_counter() - started)
            self._write_down(taking, started, problem.status.value, b"")
            await self._send_problem(send, problem)
            return problem.status
        finally:
            self.running -= 1
        self._write_down(taking, started, 200, body)
        headers = [*self._fine_headers, (b"content-length", b"%d" % len(body))]
        prediction = taking.prediction if taking is not None and taking.unit is not None else None
        if self._sampler is not None and (id := self._sampler.id_for_one(prediction)) is not None:
            self._sampler.take(id, asked, body)
            prediction = id
        if prediction is not None:
            headers.append((b"x-prediction-id", prediction.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return HTTPStatus.OK

    def _write_down(self, taking: Taking | None, started: float, status: int, body: bytes) -> None:
        if taking is not None and self._recorder is not None:
            self._recorder.take(taking, time.perf_counter() - started, status, body)

    async def _predict(self, protocol: Protocol, body: bytes, span: RequestSpan | None) -> bytes:
        engine = self._engine
        if self.state is not State.READY or engine is None:
            raise self._not_ready()
        request = _parsed(body)
        model = engine.model
        if protocol == "v1":
            rows, columnar = v1.decode(request, model.inputs)
            answer = await self._called(engine, rows, None, span)
            return v1.encode(answer, model.outputs, columnar=columnar)
        rows = v2.decode(request, model.inputs)
        identifier = v2.request_id(request)
        places = v2.chosen_outputs(request, model.outputs)
        given = v2.parameters(request)
        parameters = model.checked_parameters(given) if given and model.parameters else None
        answer = await self._called(engine, rows, parameters, span)
        return engine.encoder.encode(answer, rows.count, places, identifier)

    async def _called(
        self, engine: Engine, rows: Rows, parameters: dict[str, Any] | None, span: RequestSpan | None
    ) -> Answer:
        rows.trace = current.get()
        width = engine.model.inputs.width
        if span is None:
            return await engine.batcher.predict(rows, parameters, width)
        with span.inside("predict", rows=rows.count):  # the time in the queue is part of it
            return await engine.batcher.predict(rows, parameters, width)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the body; refuse it as soon as it is known to be too large, told or not."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                if value.isdigit() and int(value) > self._max_bytes:
                    raise self._too_large()
            elif name == b"inference-header-content-length":
                raise problems.MalformedRequest("Binary tensor data is not taken; send `data` as JSON.")
        message = await self._received(receive)
        if not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > self._max_bytes:
                raise self._too_large()
            return body
        parts, size = [message["body"]], len(message["body"])
        while message.get("more_body"):
            message = await self._received(receive)
            if message["type"] == "http.disconnect":
                raise problems.MalformedRequest("The client went away.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise self._too_large()
        return b"".join(parts)

    async def _received(self, receive: Receive) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                return await receive()
        except TimeoutError:
            raise problems.BodyTimeout(
                f"The body did not arrive within {self._timeout:g} s.", headers=((b"connection", b"close"),)
            ) from None

    async def _page(self, scope: Scope, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        page = self._pages.get(path)
        if page is None:
            known = path in self._predictions
            await self._send_problem(send, self._wrong_method(method, "POST") if known else self._not_found(path))
            return
        if method not in ("GET", "HEAD"):
            await self._send_problem(send, self._wrong_method(method, "GET, HEAD"))
            return
        try:
            status, kind, body = page()
        except Problem as problem:
            await self._send_problem(send, problem)
            return
        headers = [(b"content-type", kind), self._version_header, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _send_problem(self, send: Send, problem: Problem) -> None:
        body = problem.body()
        headers = [
            (b"content-type", problems.CONTENT_TYPE),
            self._version_header,
            (b"content-length", b"%d" % len(body)),
            *problem.headers,
        ]
        await send({"type": "http.response.start", "status": problem.status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _readiness(self, members: dict[str, Any]) -> tuple[int, bytes, bytes]:
        ready = self.state is State.READY
        return (200 if ready else 503), JSON, orjson.dumps({**members, "ready": ready, "state": self.state})

    def _model_metadata(self) -> tuple[int, bytes, bytes]:
        if self._engine is None:
            raise self._not_ready()
        model = self._engine.model
        document = v2.model_metadata(self.identity.name, self.identity.version, model.inputs, model.outputs)
        return 200, JSON, orjson.dumps(document)

    def _not_ready(self) -> Problem:
        draining = self.state is State.DRAINING
        detail = "The server is about to stop." if draining else "The model is being loaded."
        close = ((b"connection", b"close"),) if draining else ()
        return problems.NotReady(detail, headers=((b"retry-after", b"1"), *close))

    def _not_found(self, path: str) -> Problem:
        return problems.NotFound(
            f"Nothing is served here; this server answers for model {self.identity.name} version {self.identity.version}.",
            instance=path[:500],
        )

    @staticmethod
    def _wrong_method(method: str, allowed: str) -> Problem:
        return problems.MethodNotAllowed(
            f"{method[:20]} is not answered here; use {allowed}.", headers=((b"allow", allowed.encode()),)
        )

    def _too_large(self) -> Problem:
        return problems.PayloadTooLarge(
            f"The body is larger than the {self._max_bytes} bytes that are accepted (serving.maxRequestBytes).",
            maxBytes=self._max_bytes,
        )

    @staticmethod
    def _unexpected(error: Exception) -> Problem:
        instance = f"urn:uuid:{uuid.uuid4()}"
        _logger.error("unexpected error", exc_info=error, extra={"instance": instance})
        return Problem("Something went wrong in the server; its log has more.", instance=instance)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise problems.MalformedRequest(f"The body is not JSON: {error}.") from None
