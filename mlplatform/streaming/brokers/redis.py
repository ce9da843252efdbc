"""Redis Streams (Redis 7 or newer, Valkey).

An entry holds a message's JSON in the field ``data`` and headers in its other fields; entries that FastStream wrote are read
as well. One script publishes an answer and acknowledges its message in the same moment, unless the answer is there already,
which a key with a limited life remembers.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.security import BaseSecurity, SASLPlaintext
from redis.exceptions import RedisError, ResponseError

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable, said
from mlplatform.streaming.brokers.base import (
    FETCH_MOST,
    FETCH_SECONDS,
    GRACE_SECONDS,
    Lag,
    Limits,
    Retention,
    Room,
    Take,
    Topology,
)
from mlplatform.streaming.brokers.redis_subscription import DATA, RedisSubscription
from mlplatform.streaming.messages import Incoming, Outgoing
from mlplatform.streaming.position import WHOLE, Position, read_place, split_halves, write_place

_ANSWER_SECONDS = 5.0

_PUBLISH = """
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then
  redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[2], '*', unpack(ARGV, 5))
end
if ARGV[3] ~= '' then redis.call('XACK', KEYS[3], ARGV[3], ARGV[4]) end
return 1
"""

log = logging.getLogger(__name__)


class RedisStream:
    """Implements :class:`mlplatform.streaming.brokers.base.Broker`."""

    attribute = "ce-"

    def __init__(
        self, address: Address, topology: Topology, limits: Limits, retention: Retention, *, name: str
    ) -> None:
        self._address, self.topology, self.limits, self._retention = address, topology, limits, retention
        self._trouble: str | None = "not connected yet"
        self._consumer = f"{name}/{os.uname().nodename}/{os.getpid()}/{uuid4().hex[:8]}"
        self._broker = broker_at(address, name)
        self._client: Any = None
        self._outbox: asyncio.Queue[tuple[Outgoing, Incoming | None, asyncio.Future[None]]] = asyncio.Queue()
        self._publisher: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Why the broker can't be used at the moment."""
        return self._trouble

    async def connect(self) -> None:
        """Connect; each later command mends the connection where it is broken."""
        self._client = await self._broker.connect()
        await self._call(self._client.ping())
        self._publisher = asyncio.ensure_future(self._publish_in_order())

    async def _call(self, command: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await command
        except ResponseError:
            raise
        except (RedisError, TimeoutError, OSError) as error:
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        if self._trouble is not None:
            self._trouble = None
            log.info("the broker can be used", extra={"broker": self._address.url})
        return answer

    def _lost(self, error: BaseException) -> None:
        if self._trouble is None:
            log.warning("the broker is gone; trying again", extra={"broker": self._address.url})
        self._trouble = f"no connection to {self._address.url} ({said(error)})"

    async def prepare(self) -> None:
        """Streams come into being with their first entry; all that is checked is that Redis is new enough."""
        info = await self._call(self._client.info("server"))
        version = str(info.get("redis_version", "0"))
        if int(version.partition(".")[0]) < 7:
            raise BrokerError(f"{self._address.url} is Redis {version}; 7 or newer is needed")

    async def subscribe(self, group: str, start: Position, take: Take, room: Room) -> RedisSubscription:
        """Fetch entries as a consumer of a group."""
        place = start.at(WHOLE)
        try:
            await self._call(
                self._client.xgroup_create(
                    self.topology.input, group, id=write_place(place - 1) if place else "0", mkstream=True
                )
            )
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise BrokerError(f"the group {group} can't be made: {said(error)}") from None
        # One read takes this many at most, and waits until there is room for as many: half, so that the model never waits for it.
        most = max(1, min(FETCH_MOST, self.limits.max_in_flight // 2))
        subscriber = self._broker.subscriber(
            stream=StreamSub(
                self.topology.input,
                group=group,
                consumer=self._consumer,
                batch=True,
                max_records=most,
                polling_interval=int(FETCH_SECONDS * 1000),
                last_id=">",
            ),
            ack_policy=AckPolicy.MANUAL,
            decoder=_as_it_is,
            no_reply=True,
            persistent=False,
        )
        subscription = RedisSubscription(self, subscriber, group, take, room, most)

        async def handle(batch: Any) -> None:
            raw = batch.raw_message
            await subscription.take(zip(raw["message_ids"], raw["data"], strict=True), {})

        subscriber(handle)
        try:
            await subscriber.start()
        except (RedisError, TimeoutError, OSError) as error:
            self._lost(error)
            raise BrokerUnreachable(f"{self._address.url}: {said(error)}") from None
        subscription.begin()
        return subscription

    async def publish(self, outgoing: Outgoing, settles: Incoming | None = None) -> Awaitable[None]:
        """Add the entry and acknowledge the message that it is the outcome of, or neither."""
        if self._trouble is not None:
            await self._call(self._client.ping())
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outbox.put_nowait((outgoing, settles, future))
        return future

    async def _publish_in_order(self) -> None:
        """Send what has queued up while the last lot was on its way, over one connection at a time."""
        while True:
            lot = [await self._outbox.get()]
            while not self._outbox.empty() and len(lot) < FETCH_MOST:
                lot.append(self._outbox.get_nowait())
            try:
                await self._send([(outgoing, settles) for outgoing, settles, _ in lot])
            except (BrokerError, ResponseError) as error:
                for _, _, future in lot:
                    if not future.done():
                        future.set_exception(BrokerUnreachable(str(error)))
                continue
            for _, settles, future in lot:
                if settles is not None:
                    settles.raw.settled = True
                if not future.done():
                    future.set_result(None)

    async def _send(self, lot: Sequence[tuple[Outgoing, Incoming | None]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        oldest = int((time.time() - self._retention.age) * 1000)
        for outgoing, settles in lot:
            raw = settles.raw if settles is not None else None
            keys = (f"dedup:{outgoing.subject}:{sha256(outgoing.dedup.encode()).hexdigest()[:32]}", outgoing.subject)
            fields = [part for pair in outgoing.headers.items() for part in pair]
            arguments = (
                int(self._retention.duplicates * 1000),
                oldest,
                raw.group if raw else "",
                raw.entry if raw else "",
                DATA,
                outgoing.body,
                *fields,
            )
            pipeline.eval(_PUBLISH, 3, *keys, self.topology.input, *arguments)
        await self._call(pipeline.execute())

    async def acknowledge(self, group: str, entries: Sequence[bytes]) -> None:
        """Acknowledge many entries at once."""
        await self._call(self._client.xack(self.topology.input, group, *entries))

    async def reclaim(self, group: str, count: int) -> tuple[list[tuple[bytes, dict[bytes, bytes]]], dict[bytes, int]]:
        """Take over entries of consumers that have not been heard of for too long; return them and how often they came."""
        idle = int(self.limits.ack_wait * 1000)
        found = await self._call(
            self._client.xautoclaim(self.topology.input, group, self._consumer, idle, start_id="0-0", count=count)
        )
        entries = [(entry, data) for entry, data in found[1] if data is not None]
        if not entries:
            return [], {}
        pending = await self._call(
            self._client.xpending_range(
                self.topology.input,
                group,
                min=entries[0][0],
                max=entries[-1][0],
                count=max(count * 4, 1000),
                consumername=self._consumer,
            )
        )
        return entries, {one["message_id"]: int(one["times_delivered"]) for one in pending}

    async def mine(self, group: str) -> list[bytes]:
        """Return the entries that are pending for this worker."""
        pending = await self._call(
            self._client.xpending_range(self.topology.input, group, "-", "+", 100_000, consumername=self._consumer)
        )
        return [one["message_id"] for one in pending]

    async def claim(self, group: str, entries: Sequence[bytes], **options: Any) -> None:
        """Set what the group remembers of entries (idle time, count of deliveries), without a delivery."""
        if entries:
            await self._call(
                self._client.xclaim(
                    self.topology.input, group, self._consumer, 0, list(entries), justid=True, **options
                )
            )

    async def head(self) -> Position:
        """Return the place after the newest entry."""
        try:
            info = await self._call(self._client.xinfo_stream(self.topology.input))
        except ResponseError:
            return Position()  # there is no such stream yet
        return Position({WHOLE: read_place(_text(info["last-generated-id"])) + 1})

    async def _groups(self) -> dict[str, dict[str, Any]]:
        try:
            found = await self._call(self._client.xinfo_groups(self.topology.input))
        except ResponseError:
            return {}
        return {_text(one["name"]): one for one in found}

    async def _oldest(self, group: str, info: dict[str, Any]) -> int:
        """Return the first place that is not done."""
        if int(info["pending"]):
            summary = await self._call(self._client.xpending(self.topology.input, group))
            if summary["min"] is not None:
                return read_place(_text(summary["min"]))
        return read_place(_text(info["last-delivered-id"])) + 1

    async def progress(self, groups: Sequence[str]) -> dict[str, Position]:
        """Return the oldest pending entry of each group, or the one after the last that it has delivered."""
        known = await self._groups()
        return {group: Position({WHOLE: await self._oldest(group, known[group])}) for group in groups if group in known}

    async def groups(self, prefix: str) -> list[str]:
        """Return the stream's groups that begin so."""
        return sorted(name for name in await self._groups() if name.startswith(prefix))

    async def forget(self, group: str) -> bool:
        """Delete a group."""
        with contextlib.suppress(ResponseError):  # without the stream there is no group either
            await self._call(self._client.xgroup_destroy(self.topology.input, group))
        return True

    async def lag(self, group: str) -> Lag:
        """Return what the group has still to do; the id of an entry says when it came."""
        info = (await self._groups()).get(group)
        if info is None:
            return Lag(0, 0.0)
        messages = int(info.get("lag") or 0) + int(info["pending"])
        if not messages:
            return Lag(0, 0.0)
        first = await self._oldest(group, info)
        entries = await self._call(self._client.xrange(self.topology.input, min=write_place(first), count=1))
        if not entries:
            return Lag(messages, 0.0)
        milliseconds, _ = split_halves(read_place(_text(entries[0][0])))
        return Lag(messages, max(0.0, time.time() - milliseconds / 1000))

    async def forget_consumer(self, group: str) -> None:
        """Delete this worker's consumer if nothing is pending for it, so that dead names don't pile up."""
        with contextlib.suppress(BrokerError, ResponseError):
            mine = await self._call(
                self._client.xpending_range(self.topology.input, group, "-", "+", 1, consumername=self._consumer)
            )
            if not mine:
                await self._call(self._client.xgroup_delconsumer(self.topology.input, group, self._consumer))

    async def close(self) -> None:
        """Close the connections."""
        if self._publisher is not None:
            self._publisher.cancel()
        with contextlib.suppress(Exception):
            await self._broker.stop()


async def _as_it_is(message: Any, _original: Any = None) -> Any:
    return message


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def broker_at(address: Address, name: str) -> RedisBroker:
    """Return the connection to a server, which gives itself a name there; it is not open yet."""
    return RedisBroker(
        address.url,
        security=security(address),
        client_name=name,
        graceful_timeout=GRACE_SECONDS,
        apply_types=False,
        logger=log,
        log_level=logging.DEBUG,
    )


def security(address: Address) -> BaseSecurity | None:
    """Return how to sign in: the file holds ``user:password``, or a password for the default user."""
    encrypted = address.url.startswith("rediss://")
    secret = address.secret()
    if secret is None:
        return BaseSecurity(use_ssl=True) if encrypted else None
    user, password = address.user_and_password() or ("default", secret)
    return SASLPlaintext(username=user, password=password, use_ssl=encrypted)
