"""Kafka.

What is done of a partition is one offset, so a message that takes long holds back what the group remembers, though not what
is answered meanwhile. The producer is idempotent, so its own retries leave one record; an answer that is given again after a
crash or a change of shares is a record with the same ``ce_id``.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, Topic
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable, said
from mlplatform.streaming.brokers.base import FETCH_MOST, GRACE_SECONDS, Confirmation, Lag, Limits, Room, Take, Topology
from mlplatform.streaming.brokers.offsets import Offsets
from mlplatform.streaming.messages import Incoming, Outgoing
from mlplatform.streaming.position import Position

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 10.0
_COMMIT_SECONDS = 0.2
_SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}

log = logging.getLogger(__name__)


class KafkaStream:
    """Implements :class:`mlplatform.streaming.brokers.base.Broker`."""

    attribute = "ce_"

    def __init__(self, address: Address, topology: Topology, limits: Limits, *, name: str) -> None:
        self._address, self._topology, self._limits = address, topology, limits
        self._trouble: str | None = "not connected yet"
        self._servers = urlsplit(address.url).netloc.split(",")
        self._security = security(address)
        self._broker = KafkaBroker(
            self._servers,
            security=self._security,
            client_id=name.replace("/", "-"),
            enable_idempotence=True,
            acks="all",
            linger_ms=1,
            graceful_timeout=GRACE_SECONDS,
            apply_types=False,
            logger=log,
            log_level=logging.DEBUG,
        )
        self._build: Callable[..., AIOKafkaConsumer] | None = None

    @property
    def trouble(self) -> str | None:
        """Why the broker can't be used at the moment."""
        return self._trouble

    async def connect(self) -> None:
        """Connect; from then on the clients mend their connections for ever."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self._build = await self._broker.connect()
        except (KafkaError, TimeoutError, OSError) as error:
            await self.close()
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        self._trouble = None

    @asynccontextmanager
    async def _reader(
        self, *, group: str | None = None, partitions: Sequence[TopicPartition] = ()
    ) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of the input that is a member of no group.

        With ``group`` and ``partitions`` it reads and writes what that group remembers of them.
        """
        assert self._build is not None
        topics = () if group else (self._topology.input,)
        reader = self._build(*topics, group_id=group, enable_auto_commit=False)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await reader.start()
                if group:
                    reader.assign(list(partitions))
                yield reader
        except (KafkaError, TimeoutError, OSError) as error:
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        finally:
            with contextlib.suppress(Exception):
                await reader.stop()
        self._back()

    def _lost(self, error: BaseException) -> None:
        if self._trouble is None:
            log.warning("the broker is gone; trying again", extra={"broker": self._address.url})
        self._trouble = f"no connection to {self._address.url} ({said(error)})"

    def _back(self) -> None:
        if self._trouble is not None:
            log.info("the broker can be used", extra={"broker": self._address.url})
        self._trouble = None

    async def prepare(self) -> None:
        """Check that the topics exist: how many partitions and copies they should have is not for us to say."""
        async with self._reader() as reader:
            known = await reader.topics()
        topology = self._topology
        missing = [topic for topic in (topology.input, topology.output, topology.dead_letter) if topic not in known]
        if missing:
            raise BrokerError(f"{self._address.url} has no topic {', '.join(missing)}; make it")

    async def _partitions(self) -> list[TopicPartition]:
        async with self._reader() as reader:
            found = reader.partitions_for_topic(self._topology.input) or set()
        return [TopicPartition(self._topology.input, number) for number in sorted(found)]

    async def _committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        async with self._reader(group=group, partitions=partitions) as reader:
            return {one: await reader.committed(one) for one in partitions}

    async def subscribe(self, group: str, start: Position, take: Take, room: Room) -> "KafkaSubscription":
        """Fetch records as a member of a group; a new group begins at ``start``."""
        partitions = await self._partitions()
        async with self._reader(group=group, partitions=partitions) as reader:
            fresh = [one for one in partitions if await reader.committed(one) is None]
            if fresh:
                with contextlib.suppress(KafkaError):  # another replica is a member already, and was quicker
                    await reader.commit({one: start.at(str(one.partition)) for one in fresh})
        most = min(FETCH_MOST, self._limits.max_in_flight)
        rebalance = _Rebalance()
        subscriber = self._broker.subscriber(
            Topic(self._topology.input, declare=False),
            group_id=group,
            batch=True,
            max_records=most,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            listener=rebalance,
            decoder=_as_it_is,
            no_reply=True,
            persistent=False,
        )
        subscription = KafkaSubscription(self, subscriber, rebalance, take, room, most)

        async def handle(batch: Any) -> None:
            await subscription.take(batch.raw_message)

        subscriber(handle)
        try:
            await subscriber.start()
        except (KafkaError, TimeoutError, OSError) as error:
            with contextlib.suppress(Exception):
                await subscriber.stop()
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        subscription.begin()
        self._offsets = rebalance.offsets
        return subscription

    async def publish(self, outgoing: Outgoing, settles: Incoming | None = None) -> Awaitable[None]:
        """Send a record; the answer is that all in-sync replicas have it."""
        try:
            future = await self._broker.publish(
                outgoing.body, outgoing.subject, key=outgoing.key, headers=outgoing.headers, no_confirm=True
            )
        except (KafkaError, TimeoutError, OSError) as error:
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        return Confirmation(lambda: self._confirmed(future))

    async def _confirmed(self, future: "asyncio.Future[Any]") -> None:
        try:
            await future
        except (KafkaError, TimeoutError, OSError) as error:
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        self._back()

    async def head(self) -> Position:
        """Return the end of each partition."""
        ends = await self._ends()
        return Position({str(one.partition): offset for one, offset in ends.items()})

    async def _ends(self) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = {}
        async with self._reader() as reader:
            for number in sorted(reader.partitions_for_topic(self._topology.input) or ()):
                # One at a time: not every broker answers for several partitions in one request.
                ends |= await reader.end_offsets([TopicPartition(self._topology.input, number)])
        return ends

    async def progress(self, groups: Sequence[str]) -> dict[str, Position]:
        """Return the committed offsets of each group."""
        partitions = await self._partitions()
        found: dict[str, Position] = {}
        for group in groups:
            committed = await self._committed(group, partitions)
            if any(offset is not None for offset in committed.values()):
                found[group] = Position({str(one.partition): offset or 0 for one, offset in committed.items()})
        return found

    async def groups(self, prefix: str) -> list[str]:
        """Return the cluster's groups that begin so."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, **self._broker_security())
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await admin.start()
                found = await admin.list_consumer_groups()
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerUnreachable(f"{self._address.url}: the groups can't be listed: {said(error)}") from None
        finally:
            await admin.close()
        return sorted({str(one[0]) for one in found if str(one[0]).startswith(prefix)})

    def _broker_security(self) -> dict[str, Any]:
        from faststream.kafka.security import parse_security

        return parse_security(self._security)

    async def forget(self, group: str) -> bool:
        """Leave it to the cluster, which forgets a group without members after ``offsets.retention.minutes``."""
        return True

    async def lag(self, group: str) -> Lag:
        """Return how far the group's offsets are from the ends, and the age of the oldest record that is open here."""
        ends = await self._ends()
        done = await self._committed(group, list(ends))
        messages = sum(max(0, end - (done[one] or 0)) for one, end in ends.items())
        oldest = self._offsets.oldest() if messages else None
        return Lag(messages, max(0.0, time.time() - oldest) if oldest is not None else 0.0)

    async def close(self) -> None:
        """Send what is on its way and close."""
        with contextlib.suppress(Exception):
            await self._broker.stop()


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets go of partitions that another member gets."""

    def __init__(self) -> None:
        self.offsets = Offsets()
        self.before: Callable[[], Awaitable[None]] | None = None

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if self.before is not None:
            await self.before()
        for one in revoked:
            self.offsets.forget(str(one.partition))

    async def on_partitions_assigned(self, assigned: Any) -> None:
        pass


class KafkaSubscription:
    """A member of a group. Kafka delivers once; what is to come again is kept here, and holds back the offset."""

    def __init__(
        self, broker: KafkaStream, subscriber: Any, rebalance: _Rebalance, take: Take, room: Room, most: int
    ) -> None:
        self._broker, self._subscriber, self._offsets = broker, subscriber, rebalance.offsets
        rebalance.before = self._commit
        self._take, self._room, self._most = take, room, most
        self._consumer: AIOKafkaConsumer | None = None
        self._committed: dict[str, int] = {}
        self._again: set[asyncio.TimerHandle] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble: str | None = None

    def begin(self) -> None:
        """Begin to commit."""
        self._consumer = self._subscriber.consumer
        self._tasks.append(asyncio.ensure_future(self._commit_often()))

    @property
    def trouble(self) -> str | None:
        """Why nothing can be fetched at the moment."""
        return self._trouble

    async def take(self, records: Sequence[Any]) -> None:
        """Hand records on, and come back when as many more may be fetched."""
        messages = []
        for record in records:
            part = str(record.partition)
            if not self._offsets.taken(part, record.offset, record.timestamp / 1000):
                continue
            if record.value is None:
                # A tombstone: it takes back what its key had before, and asks for nothing.
                self._offsets.done(part, record.offset)
                continue
            messages.append(self._incoming(record))
        await self._take(messages)
        await self._room(self._most)

    def _incoming(self, record: Any) -> Incoming:
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
        return Incoming(
            subject=record.topic,
            part=str(record.partition),
            place=record.offset,
            body=record.value,
            headers=headers,
            delivered=1,
            at=record.timestamp / 1000,
            key=record.key,
        )

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        floors = self._offsets.floors()
        changed = {part: offset for part, offset in floors.items() if self._committed.get(part) != offset}
        if not changed or self._consumer is None:
            return
        topic = self._broker._topology.input
        try:
            await self._consumer.commit({TopicPartition(topic, int(part)): offset for part, offset in changed.items()})
        except (KafkaError, ValueError) as error:  # ValueError: the partition is no longer ours
            self._trouble = None if isinstance(error, ValueError) else said(error)
            return
        self._trouble = None
        self._committed.update(changed)

    async def stop(self, *, wait: bool) -> None:
        """Fetch no more, and stay a member: what is in flight is committed when it is done."""
        for handle in self._again:
            handle.cancel()
        self._subscriber.running = False
        if not wait:
            await self.leave()

    async def leave(self) -> None:
        """Commit once more and leave the group, so that others get the partitions at once."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await self._commit()
            await self._subscriber.stop()

    async def done(self, message: Incoming) -> None:
        """Take note; the offset is committed with the next lot."""
        self._offsets.done(message.part, message.place)

    async def again(self, message: Incoming, delay: float) -> None:
        """Hand it on again after the delay."""
        message.delivered += 1

        def due() -> None:
            self._again.discard(handle)
            if self._offsets.is_open(message.part, message.place):
                self._tasks.append(asyncio.ensure_future(self._take([message])))
                self._tasks = [task for task in self._tasks if not task.done()]

        handle = asyncio.get_running_loop().call_later(delay, due)
        self._again.add(handle)

    async def release(self, messages: Sequence[Incoming]) -> None:
        """Leave them open: whoever gets the partition begins with them."""

    async def touch(self, messages: Sequence[Incoming]) -> None:
        """Nothing to do: membership is kept alive by heartbeats."""


async def _as_it_is(message: Any, _original: Any = None) -> Any:
    return message


def security(address: Address) -> BaseSecurity | None:
    """Return how to sign in: ``user:password`` from the file, by the mechanism in the URL (``?mechanism=PLAIN``)."""
    parts = urlsplit(address.url)
    encrypted = parts.scheme == "kafka+ssl"
    if address.credentials is None:
        return BaseSecurity(use_ssl=True) if encrypted else None
    pair = address.user_and_password()
    if pair is None:
        raise BrokerError(f"{address.credentials} does not hold user:password")
    mechanism = parse_qs(parts.query).get("mechanism", ["SCRAM-SHA-512"])[0]
    if mechanism not in _SASL:
        raise BrokerError(f"mechanism {mechanism} is not known; one of: {', '.join(_SASL)}")
    return _SASL[mechanism](username=pair[0], password=pair[1], use_ssl=encrypted)
