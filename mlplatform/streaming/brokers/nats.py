"""NATS JetStream.

A consumer group is a durable pull consumer. An answer carries its message's ``Nats-Msg-Id``, and the stream that holds
answers and dead letters keeps one of two with the same id, within its duplicate window.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nats.errors
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.security import NatsCredentials, NatsNKey, NatsSecurity, NatsToken, NatsUserPassword
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as Acks
from nats.js.api import ConsumerConfig, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable
from mlplatform.streaming.brokers.base import (
    FETCH_MOST,
    FETCH_SECONDS,
    GRACE_SECONDS,
    Confirmation,
    Lag,
    Limits,
    Retention,
    Room,
    Take,
    Topology,
)
from mlplatform.streaming.brokers.nats_subscription import NatsFetcher, NatsSubscription, incoming, said
from mlplatform.streaming.messages import MESSAGE_ID, Incoming, Outgoing
from mlplatform.streaming.position import WHOLE, Position

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_WAITING_TO_BE_TRIED_AGAIN = 10_000
"""Messages that may wait for their next delivery at the broker; those must not keep fresh ones from being fetched."""
_REPLICAS_MORE = 3
"""What a replica had in flight when it was killed counts as being in flight until the broker gives it up."""

log = logging.getLogger(__name__)


class NatsStream:
    """Implements :class:`mlplatform.streaming.brokers.base.Broker`."""

    attribute = "ce-"

    def __init__(
        self,
        address: Address,
        topology: Topology,
        limits: Limits,
        retention: Retention,
        *,
        name: str,
        create: bool = True,
    ) -> None:
        self._address, self._topology, self._limits, self._retention = address, topology, limits, retention
        self._create = create
        self._trouble: str | None = "not connected yet"
        self._stream = ""
        self._broker = NatsBroker(
            address.url,
            security=security(address),
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=10,
            max_outstanding_pings=2,
            pending_size=16 * 2**20,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
            error_cb=self._failed,
            graceful_timeout=GRACE_SECONDS,
            apply_types=False,
            logger=log,
            log_level=logging.DEBUG,
        )
        self._client: Client | None = None
        self._unconfirmed: set[asyncio.Future[Any]] = set()
        self._context: JetStreamContext | None = None

    @property
    def trouble(self) -> str | None:
        """Why the broker can't be used at the moment."""
        return self._trouble

    async def connect(self) -> None:
        """Connect; from then on the client mends the connection for ever."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self._client = await self._broker.connect()
        except TimeoutError:
            await self._give_up()
            raise BrokerUnreachable(self._trouble or f"no answer from {self._address.url}") from None
        except (nats.errors.Error, OSError, ValueError) as error:
            await self._give_up()
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        self._context = self._client.jetstream(timeout=_ANSWER_SECONDS, publish_async_max_pending=FETCH_MOST * 64)
        self._trouble = None

    async def _give_up(self) -> None:
        with contextlib.suppress(Exception):
            await self._broker.stop()

    @property
    def _js(self) -> JetStreamContext:
        if self._context is None:
            raise BrokerUnreachable(self._trouble or "not connected yet")
        return self._context

    async def _lost(self) -> None:
        if self._trouble is None:
            log.warning("the broker is gone; connecting again", extra={"broker": self._address.url})
            self._trouble = f"no connection to {self._address.url}"
        for future in self._unconfirmed:  # no word about these will come over another connection
            if not future.done():
                future.set_exception(nats.errors.ConnectionReconnectingError())

    async def _back(self) -> None:
        log.info("the broker is back", extra={"broker": self._address.url})
        self._trouble = None

    async def _failed(self, error: Exception) -> None:
        if self._trouble is not None:
            self._trouble = f"{self._address.url}: {said(error)}"

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what the client raises while it asks the server into the platform's own word for it."""
        try:
            yield
        except (nats.errors.Error, TimeoutError) as error:
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None

    async def prepare(self) -> None:
        """Find the streams of all subjects; make those that are missing, if that is wanted."""
        topology = self._topology
        with self._reaching():
            self._stream = await self._stream_of(topology.input) or await self._make([topology.input])
            written = [topology.output, topology.dead_letter]
            missing = [subject for subject in written if await self._stream_of(subject) is None]
            if missing:
                # Both in one stream, so that a message has one outcome there: its answer or its dead letter.
                await self._make(missing)

    async def _stream_of(self, subject: str) -> str | None:
        try:
            return str(await self._js.find_stream_name_by_subject(subject))
        except NotFoundError:
            return None

    async def _make(self, subjects: list[str]) -> str:
        name = stream_name(subjects)
        if not self._create:
            raise BrokerError(
                f"no stream of {self._address.url} has the subject {', '.join(subjects)}, and none is to be made; make one"
            )
        config = StreamConfig(
            name=name,
            subjects=subjects,
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=self._retention.age,
            max_bytes=self._retention.size,
            duplicate_window=min(self._retention.duplicates, self._retention.age),
            description="made by the ML platform",
        )
        try:
            await self._js.add_stream(config)
        except BadRequestError as error:
            if await self._stream_of(subjects[0]) is None:  # else another worker was quicker
                raise BrokerError(f"the stream for {', '.join(subjects)} can't be made: {said(error)}") from None
        log.info("made a stream", extra={"stream": name, "subjects": subjects})
        return name

    async def subscribe(self, group: str, start: Position, take: Take, room: Room) -> NatsSubscription:
        """Fetch messages as a member of a durable consumer."""
        first, limits = start.at(WHOLE), self._limits
        config = ConsumerConfig(
            durable_name=group,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE if first > 1 else DeliverPolicy.ALL,
            opt_start_seq=first if first > 1 else None,
            ack_policy=Acks.EXPLICIT,
            ack_wait=limits.ack_wait,
            max_deliver=-1,  # the worker counts, since the server would drop the message without a word
            max_ack_pending=limits.max_in_flight * (limits.replicas + _REPLICAS_MORE) + _WAITING_TO_BE_TRIED_AGAIN,
            filter_subject=self._topology.input,
        )
        with self._reaching():
            try:
                await self._js.consumer_info(self._stream, group)
            except NotFoundError:
                with contextlib.suppress(BadRequestError):  # another replica was quicker
                    await self._js.add_consumer(self._stream, config)
        subscriber = self._broker.subscriber(
            self._topology.input,
            stream=JStream(self._stream, declare=False),
            durable=group,
            config=ConsumerConfig(filter_subject=self._topology.input),
            pull_sub=PullSub(batch_size=FETCH_MOST, timeout=FETCH_SECONDS, batch=True),
            ack_policy=AckPolicy.MANUAL,
            decoder=_as_it_is,
            no_reply=True,
            persistent=False,
        )

        async def handle(batch: Any) -> None:
            await take([incoming(message) for message in batch.raw_message])

        subscriber(handle)
        with self._reaching():
            await subscriber.start()
        assert subscriber.subscription is not None
        fetcher = NatsFetcher(subscriber.subscription, room)
        subscriber.subscription = fetcher
        return NatsSubscription(subscriber, fetcher)

    async def publish(self, outgoing: Outgoing, settles: Incoming | None = None) -> Awaitable[None]:
        """Send to the stream that has the subject; the server confirms by sequence number."""
        headers = {**outgoing.headers, MESSAGE_ID: outgoing.dedup}
        try:
            future = await self._js.publish_async(outgoing.subject, outgoing.body, headers=headers)
        except (nats.errors.Error, TimeoutError, ValueError) as error:
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        self._unconfirmed.add(future)
        future.add_done_callback(self._settled)
        return Confirmation(lambda: _confirmed(future))

    def _settled(self, future: "asyncio.Future[Any]") -> None:
        self._unconfirmed.discard(future)
        if not future.cancelled():
            future.exception()  # whoever waits for it sees it; nobody may wait any more

    async def head(self) -> Position:
        """Return the sequence number that the next message will get."""
        with self._reaching():
            info = await self._js.stream_info(self._stream)
        return Position({WHOLE: info.state.last_seq + 1})

    async def progress(self, groups: Sequence[str]) -> dict[str, Position]:
        """Return where the acknowledgement floor of each group is."""
        found = {}
        for group in groups:
            with self._reaching():
                try:
                    info = await self._js.consumer_info(self._stream, group)
                except NotFoundError:
                    continue
            floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
            begun = info.config.opt_start_seq or 1
            found[group] = Position({WHOLE: max(floor + 1, begun)})
        return found

    async def groups(self, prefix: str) -> list[str]:
        """Return the stream's durable consumers that begin so."""
        names: list[str] = []
        with self._reaching():
            while page := await self._js.consumers_info(self._stream, offset=len(names)):
                names += [info.name for info in page]
        return sorted(name for name in names if name.startswith(prefix))

    async def forget(self, group: str) -> bool:
        """Delete a durable consumer."""
        with self._reaching(), contextlib.suppress(NotFoundError):
            await self._js.delete_consumer(self._stream, group)
        return True

    async def lag(self, group: str) -> Lag:
        """Return what the consumer has still to do; the oldest message's age is read from the stream."""
        with self._reaching():
            try:
                info = await self._js.consumer_info(self._stream, group)
                waiting = (info.num_pending or 0) + (info.num_ack_pending or 0)
                if not waiting:
                    return Lag(0, 0.0)
                floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
                first = max(floor + 1, info.config.opt_start_seq or 1)
                oldest = await self._js.get_msg(self._stream, seq=first, subject=self._topology.input, next=True)
            except NotFoundError:
                return Lag(0, 0.0)
        age = (datetime.now(UTC) - oldest.time).total_seconds() if oldest.time is not None else 0.0
        return Lag(waiting, max(age, 0.0))

    async def close(self) -> None:
        """Flush and close."""
        if self._client is not None and self._trouble is None:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                await self._client.flush(timeout=2)
        await self._give_up()


async def _confirmed(future: "asyncio.Future[Any]") -> None:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await future
    except (nats.errors.Error, TimeoutError) as error:
        raise BrokerUnreachable(said(error)) from None


async def _as_it_is(message: Any, _original: Any = None) -> Any:
    return message


def stream_name(subjects: Sequence[str]) -> str:
    """Name a stream after its subjects: readable, without the characters that names may not have, and never two alike."""
    digest = sha256("\n".join(subjects).encode()).hexdigest()[:8]
    return f"{subjects[0].replace('.', '_')[:100]}-{digest}"


def security(address: Address) -> NatsSecurity | None:
    """Return how to sign in: by credentials file, nkey seed, ``user:password`` or token, whichever the file holds."""
    secret = address.secret()
    encrypted = address.url.startswith("tls://")
    if secret is None:
        return NatsSecurity(use_ssl=True) if encrypted else None
    assert isinstance(address.credentials, Path)
    seed = secret.startswith("SU") and "\n" not in secret
    if (seed or "BEGIN NATS USER JWT" in secret) and find_spec("nkeys") is None:
        fix = "add `mlplatform[streaming-nkeys]` to the dependencies, or sign in by user and password or by token"
        raise BrokerError(f"{address.credentials} holds a key, and the package for it is not installed; {fix}")
    if "BEGIN NATS USER JWT" in secret:
        return NatsCredentials.from_file(str(address.credentials), use_ssl=encrypted)
    if seed:
        return NatsNKey.from_seed(secret, use_ssl=encrypted)
    if pair := address.user_and_password():
        return NatsUserPassword(*pair, use_ssl=encrypted)
    if not secret:
        raise BrokerError(f"{address.credentials} is empty")
    return NatsToken(secret, use_ssl=encrypted)
