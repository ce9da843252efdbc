"""The life of a worker: a model server that also consumes a stream."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from mlplatform.serving.app import Application, Engine
from mlplatform.serving.server import ModelServer, Settings, StartFailed
from mlplatform.spec.streaming import Streaming
from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable
from mlplatform.streaming.brokers.base import Broker, Limits, Retention, Topology
from mlplatform.streaming.consumer import Consumer, ModelStuck
from mlplatform.streaming.messages import Messages
from mlplatform.streaming.metrics import StreamMetrics
from mlplatform.streaming.pages import StreamPages
from mlplatform.streaming.pipeline import Pipeline
from mlplatform.streaming.suspects import Suspects

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_SUSPECTS = "suspects.json"
_GIVE_BACK_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamSettings:
    """What the command line says about the stream."""

    address: Address
    control: Path
    state: Path
    prefix: str
    retention: Retention
    create: bool


class StreamServer(ModelServer):
    """One process' worker."""

    def __init__(self, settings: Settings, stream: StreamSettings) -> None:
        super().__init__(settings)
        spec = settings.spec
        assert spec.streaming is not None
        try:
            self._version = int(settings.identity.version)
        except ValueError:
            raise StartFailed(
                f"the version of a streaming model is a number, not {settings.identity.version}"
            ) from None
        self._streaming: Streaming = spec.streaming
        self._stream = stream
        self._broker: Broker | None = None
        self._consumer: Consumer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pages = StreamPages(self._app)
        self._stream_metrics = StreamMetrics(self._metrics)

    def _door(self) -> Application:
        return self._pages

    async def _loaded(self, engine: Engine) -> None:
        """Reach the broker, however long that takes: not ready, and saying why, beats ending and being started again."""
        broker = await self._reached()
        spec, identity = self._settings.spec, self._settings.identity
        messages = Messages(
            self._streaming,
            engine.model.inputs,
            engine.model.outputs,
            name=identity.name,
            version=identity.version,
            environment=identity.environment,
            max_bytes=spec.serving.max_request_bytes,
            prefix=self._stream.prefix,
            attribute=broker.attribute,
        )
        pipeline = Pipeline(
            messages,
            engine.batcher,
            broker,
            self._stream_metrics,
            self._streaming,
            Suspects(self._stream.state / _SUSPECTS),
            self._sampler,
        )
        timeout = spec.serving.request_timeout.total_seconds()
        consumer = Consumer(self._stream.control, self._version, broker, pipeline, self._stream_metrics, timeout)
        self._broker, self._consumer = broker, consumer
        self._pages.serve(consumer, broker)
        for loop in (consumer.run, *pipeline.loops()):
            self._tasks.append(asyncio.ensure_future(loop()))

    async def _reached(self) -> Broker:
        pause, said = _SHORTEST_PAUSE, ""
        while True:
            broker = self._make_broker()
            try:
                await broker.connect()
                await broker.prepare()
                return broker
            except BrokerUnreachable as error:
                trouble = f"the broker can't be used: {error}"
            except BrokerError as error:
                trouble = str(error)
            await broker.close()
            self._pages.trouble = trouble
            if trouble != said:
                said = trouble
                log.warning("%s; trying again", trouble)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _make_broker(self) -> Broker:
        streaming, stream, identity = self._streaming, self._stream, self._settings.identity
        topology = Topology(
            stream.prefix + streaming.input, stream.prefix + streaming.output, stream.prefix + streaming.dead_letter
        )
        limits = Limits(
            streaming.max_in_flight, streaming.ack_wait.total_seconds(), self._settings.spec.serving.replicas
        )
        name = f"{identity.environment}/{identity.name}/v{identity.version}"
        return make_broker(stream.address, topology, limits, stream.retention, name=name, create=stream.create)

    def _beside(self) -> list["asyncio.Task[None]"]:
        return self._tasks

    async def _finish(self, deadline: float) -> None:
        """Fetch no more, finish what is in flight, and give back what does not get finished in time."""
        consumer, broker = self._consumer, self._broker
        if consumer is None or broker is None:
            return
        stuck = any(
            task.done() and not task.cancelled() and isinstance(task.exception(), ModelStuck) for task in self._tasks
        )
        if self._tasks:
            self._tasks[0].cancel()
        await consumer.stop()
        if not stuck and await consumer.pipeline.emptied(max(0.0, deadline - time.monotonic())):
            log.info("the stream is drained")
        elif given_back := await self._given_back(consumer):
            log.warning("out of time to drain the stream", extra={"givenBack": given_back})
        if not stuck:
            consumer.pipeline.suspects.stopped()
        consumer.pipeline.close()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await consumer.leave()
                await broker.close()

    async def _given_back(self, consumer: Consumer) -> int:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                return await consumer.pipeline.give_back()
        return 0


def make_broker(
    address: Address, topology: Topology, limits: Limits, retention: Retention, *, name: str, create: bool = True
) -> Broker:
    """Return the client for the kind of broker that the address names."""
    if address.kind == "kafka":
        from mlplatform.streaming.brokers.kafka import KafkaStream

        return KafkaStream(address, topology, limits, name=name)
    if address.kind == "redis":
        from mlplatform.streaming.brokers.redis import RedisStream

        return RedisStream(address, topology, limits, retention, name=name)
    from mlplatform.streaming.brokers.nats import NatsStream

    return NatsStream(address, topology, limits, retention, name=name, create=create)
