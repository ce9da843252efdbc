"""The life of a model server: listen, load, warm up, serve, drain."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvicorn

from mlplatform.serving import openapi
from mlplatform.serving.app import Application, Engine, Identity, ServingApp
from mlplatform.serving.batching import Batcher
from mlplatform.serving.execution import Execution
from mlplatform.serving.experiments import Recorder, recorder
from mlplatform.serving.metrics import Metrics
from mlplatform.serving.output import one_line
from mlplatform.serving.samples import Place, Sampler, sampler
from mlplatform.serving.v2 import Encoder
from mlplatform.serving.warm_up import Loaded, LoadFailed, load_and_warm
from mlplatform.serving.worker import Worker
from mlplatform.spec.model import ModelSpec
from mlplatform.telemetry.tracing import tracing

_logger = logging.getLogger(__name__)
_WARM_UP_CALLS = 5
_LAST_RESPONSES = 2.0
_LAST_SAMPLES = 2.0


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    model_dir: Path
    spec: ModelSpec
    identity: Identity
    host: str
    port: int


class StartFailed(Exception):
    """The server can't serve this model; the message is one redacted line for people."""


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: it would stop listening before readiness is off."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ModelServer:
    """One process' server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        identity = settings.identity
        self._metrics = Metrics(identity.name, identity.version, identity.environment)
        document = openapi.document(
            settings.spec, name=identity.name, version=identity.version, environment=identity.environment
        )
        place = {"service.version": identity.version, "deployment.environment.name": identity.environment}
        self._tracing = tracing(identity.name, place)
        self._app = ServingApp(identity, settings.spec.serving, self._metrics, orjson.dumps(document), self._tracing)
        self._failure: str | None = None
        self._sampler: Sampler | None = None
        self._recorder: Recorder | None = None

    def run(self) -> None:
        """Serve until asked to stop.

        Raises:
            StartFailed: the port is taken, or the model can't be loaded or answers nonsense.
        """
        listener = self._listen()
        config = uvicorn.Config(
            self._door(),
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        server = _Uvicorn(config)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(self._serve(server, listener))
        if self._failure is not None:
            raise StartFailed(self._failure)

    def _door(self) -> Application:
        """Return what answers HTTP requests."""
        return self._app

    async def _loaded(self, engine: Engine) -> None:
        """Do what has to be done between loading and being ready; a server of another kind has something to do here."""

    def _beside(self) -> list["asyncio.Task[None]"]:
        """Return tasks that run beside the HTTP door; the server ends when one of them does."""
        return []

    async def _finish(self, deadline: float) -> None:
        """Finish what came in by other ways than HTTP, until the deadline of the monotonic clock."""

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise StartFailed(f"can't listen on {host}:{port}: {error.strerror}; give another --port") from None
        _logger.info("listening", extra={"host": host, "port": listener.getsockname()[1]})
        return listener

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        serving = loop.create_task(server.serve(sockets=[listener]))
        stop = loop.create_task(stopping.wait())
        load = loop.create_task(self._load())
        await asyncio.wait({stop, load, serving}, return_when=asyncio.FIRST_COMPLETED)
        if load.done():
            load.result()
        if load.done() and self._failure is None:
            beside = self._beside()
            await asyncio.wait({stop, serving, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    _logger.error("the server can't go on", exc_info=error)
                    self._failure = one_line(f"{type(error).__name__}: {error}")
        load.cancel()
        await self._drain()
        server.should_exit = True
        await serving

    async def _drain(self) -> None:
        """Turn readiness off at once, and give running requests their time."""
        self._app.drain()
        allowed = self._settings.spec.serving.drain_timeout.total_seconds()
        _logger.info("draining", extra={"running": self._app.running, "allowedSeconds": allowed})
        deadline = time.monotonic() + allowed
        await self._finish(deadline)
        while self._app.running and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if self._app.running:
            _logger.warning("out of time to drain", extra={"running": self._app.running})
            self._app.abandon()
        else:
            _logger.info("drained")
        await asyncio.sleep(0.02)  # the last answers are on their way out
        if self._sampler is not None:
            await asyncio.to_thread(self._sampler.flush, _LAST_SAMPLES)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.flush, _LAST_SAMPLES)
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)

    async def _load(self) -> None:
        """Load and warm up in the worker's thread, then open the door."""
        loop = asyncio.get_running_loop()
        worker = Worker()
        outcome: asyncio.Future[Loaded | LoadFailed] = loop.create_future()

        def work() -> None:
            result = load_and_warm(self._settings.model_dir, self._settings.spec.schema_, _WARM_UP_CALLS)
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server was asked to stop meanwhile
                loop.call_soon_threadsafe(_settle, outcome, result)

        started = time.monotonic()
        worker.put(work)
        serving = self._settings.spec.serving
        try:
            async with asyncio.timeout(serving.startup_timeout.total_seconds()):
                loaded = await outcome
        except TimeoutError:
            limit = serving.startup_timeout.total_seconds()
            self._failure = f"the model was not ready within {limit:g} s (serving.startupTimeout)"
            return
        if isinstance(loaded, LoadFailed):
            self._failure = one_line(loaded.message)
            return
        model, seconds = loaded.model, time.monotonic() - started
        batcher = Batcher(
            Execution(model),
            worker,
            self._metrics,
            max_rows=serving.max_batch_size,
            timeout=serving.request_timeout.total_seconds(),
            shared=model.row_wise,
        )
        batcher.observe(loaded.call_seconds)
        identity = self._settings.identity
        self._metrics.loaded(seconds, flavour=model.flavour, way=model.way, row_wise=model.row_wise)
        engine = Engine(model, batcher, Encoder(identity.name, identity.version, model.outputs))
        place = Place(identity.environment, identity.name, identity.version)
        self._sampler = sampler(serving.samples.rate, place) if serving.samples else None
        self._recorder = recorder(place)
        await self._loaded(engine)
        # What is there now stays: the collector need not look through hundreds of thousands of objects again and again.
        gc.collect()
        gc.freeze()
        self._app.ready(engine, self._sampler, self._recorder)
        facts = {
            "flavour": model.flavour,
            "way": model.way,
            "batched": model.row_wise,
            "threaded": batcher.threaded,
            "loadSeconds": round(seconds, 3),
            "callMilliseconds": round(loaded.call_seconds * 1000, 3),
        }
        _logger.info("ready", extra=facts)


def _settle(outcome: "asyncio.Future[Loaded | LoadFailed]", result: Loaded | LoadFailed) -> None:
    if not outcome.done():
        outcome.set_result(result)
