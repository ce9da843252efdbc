"""A worker inside the test's own process: everything but the HTTP door and the loading of a model is the real thing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.serving.batching import Batcher
from mlplatform.serving.execution import Execution
from mlplatform.serving.metrics import Metrics
from mlplatform.serving.model import LoadedModel
from mlplatform.serving.rows import InputSchema, OutputSchema
from mlplatform.serving.samples import Sampler
from mlplatform.serving.worker import Worker
from mlplatform.spec.model import Column
from mlplatform.spec.streaming import Streaming
from mlplatform.streaming.brokers.address import Address
from mlplatform.streaming.brokers.base import Broker, Limits, Retention, Topology
from mlplatform.streaming.consumer import Consumer
from mlplatform.streaming.control import Control, whole_stream, write_control
from mlplatform.streaming.messages import Messages
from mlplatform.streaming.metrics import StreamMetrics
from mlplatform.streaming.pipeline import Pipeline
from mlplatform.streaming.server import make_broker
from mlplatform.streaming.suspects import Suspects
from tests.mlplatform.streaming.servers import Client
from tests.waiting import pause_after

INPUTS = InputSchema([Column(name="x", type="double", minimum=0, maximum=1_000_000)])
OUTPUTS = OutputSchema([Column(name="y", type="double")])
INPUT, OUTPUT, DEAD = "shop.orders", "shop.scores", "shop.dead"


def streaming(**options: Any) -> Streaming:
    document = {
        "broker": "nats", "input": INPUT, "output": OUTPUT, "deadLetter": DEAD, "key": "customer", "carry": ["order"],
        "ackWait": "2s", **options,
    }  # fmt: skip
    return Streaming.model_validate(document)


@dataclass
class Model:
    """A model that doubles, fails where it is told to, and can be slow."""

    seconds: float = 0.0
    fails_on: set[float] = field(default_factory=set)
    calls: list[list[float]] = field(default_factory=list)

    def __call__(self, frame: Any, _parameters: Any) -> Any:
        values = [float(value) for value in frame["x"]]
        self.calls.append(values)
        time.sleep(self.seconds)
        if self.fails_on & set(values):
            raise RuntimeError("no")
        return frame["x"] * 2


@dataclass
class Rig:
    """One worker of one version."""

    consumer: Consumer
    broker: Broker
    model: Model
    metrics: Metrics
    tasks: list["asyncio.Task[None]"]

    @property
    def pipeline(self) -> Pipeline:
        return self.consumer.pipeline

    def figure(self, name: str, **labels: str) -> float:
        """Return a metric's value."""
        want = {"model": "wine", "version": str(self.consumer.version), "environment": "test", **labels}
        value = self.metrics.registry.get_sample_value(f"mlplatform_stream_{name}", want)
        return 0.0 if value is None else value

    def count(self, outcome: str) -> int:
        return int(self.figure("messages_total", outcome=outcome))

    async def kill(self, *, stop: bool = True) -> None:
        """Vanish without a word, as after kill -9."""
        self.consumer._stopping = True
        self.pipeline.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.consumer._subscription is not None and stop:
            await self.consumer._subscription.stop(wait=False)

    async def drain(self, seconds: float) -> int:
        self.tasks[0].cancel()
        await self.consumer.stop()
        given_back = 0 if await self.pipeline.emptied(seconds) else await self.pipeline.give_back()
        await self.consumer.leave()
        for task in self.tasks:
            task.cancel()
        return given_back


@asynccontextmanager
async def worker(
    address: Address,
    control: Path,
    *,
    version: int = 1,
    model: Model | None = None,
    spec: Streaming | None = None,
    state: Path | None = None,
    max_rows: int = 64,
    timeout: float = 5.0,
    retention: Retention | None = None,
    sampler: Sampler | None = None,
) -> AsyncIterator[Rig]:
    spec, model = spec or streaming(), model or Model()
    metrics = Metrics("wine", str(version), "test")
    loaded = LoadedModel("frame", "test", INPUTS, OUTPUTS, None, call=model)
    batcher = Batcher(Execution(loaded), Worker(), metrics, max_rows=max_rows, timeout=timeout, shared=True)
    batcher.threaded = True
    limits = Limits(spec.max_in_flight, spec.ack_wait.total_seconds(), 1)
    topology = Topology(spec.input, spec.output, spec.dead_letter)
    broker = make_broker(address, topology, limits, retention or Retention(), name=f"test/wine/v{version}")
    await broker.connect()
    await broker.prepare()
    messages = Messages(
        spec, INPUTS, OUTPUTS, name="wine", version=str(version), environment="test", max_bytes=10_000,
        attribute=broker.attribute,
    )  # fmt: skip
    stream_metrics = StreamMetrics(metrics)
    folder = state or control.parent / f"state-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(messages, batcher, broker, stream_metrics, spec, Suspects(folder / "suspects.json"), sampler)
    consumer = Consumer(control, version, broker, pipeline, stream_metrics, timeout)
    tasks = [asyncio.ensure_future(loop()) for loop in (consumer.run, *pipeline.loops())]
    rig = Rig(consumer, broker, model, metrics, tasks)  # type: ignore[arg-type]
    try:
        yield rig
    finally:
        await rig.kill()
        await broker.close()


def everything(path: Path, version: int = 1) -> Control:
    """Give a version the whole stream."""
    control = whole_stream("test", "wine", version)
    write_control(path, control)
    return control


async def send(client: Client, count: int, *, first: int = 0, customers: int = 7) -> None:
    """Publish so many orders, numbered from ``first``."""
    for number in range(first, first + count):
        body = json.dumps({"x": number, "customer": f"c{number % customers}", "order": f"o{number}"})
        await client.publish(INPUT, body.encode(), {"Nats-Msg-Id": f"m{number}", "ce-id": f"m{number}"})


async def until(what: Callable[[], Any], seconds: float = 15.0, show: Callable[[], Any] = lambda: "") -> Any:
    """Wait for something to be true; ``what`` may be a coroutine function."""
    begun = time.monotonic()
    while True:
        found = what()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {show()}"
        await asyncio.sleep(pause_after(begun))


async def answers(client: Client, subject: str = OUTPUT) -> list[dict[str, Any]]:
    """Return the answers that lie at the broker."""
    return [json.loads(body) for body, _ in await client.read(subject)]


async def orders(client: Client) -> list[int]:
    """Return the numbers of the answered orders, in the order of the answers."""
    return [int(answer["order"].removeprefix("o")) for answer in await answers(client)]
