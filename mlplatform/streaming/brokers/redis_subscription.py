"""Taking entries from a Redis stream: a consumer of a group, which also takes over what others have left."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from faststream.redis import BinaryMessageFormatV1
from redis.exceptions import RedisError, ResponseError

from mlplatform.streaming.brokers.address import BrokerError
from mlplatform.streaming.brokers.base import Room, Take
from mlplatform.streaming.messages import Incoming
from mlplatform.streaming.position import WHOLE, read_place, split_halves

if TYPE_CHECKING:
    from mlplatform.streaming.brokers.redis import RedisStream

DATA = "data"
_FASTSTREAM_DATA = b"__data__"
_ACK_SECONDS = 0.005
"""Acknowledgements are collected for so long."""
_GIVEN_BACK = 10**9
"""Idle time in milliseconds of an entry that anybody may claim at once."""


class _Entry:
    """What is needed to settle an entry."""

    __slots__ = ("entry", "group", "settled")

    def __init__(self, group: str, entry: bytes) -> None:
        self.group, self.entry, self.settled = group, entry, False


class RedisSubscription:
    """A consumer of a group. Besides new entries it takes over those that other consumers have left."""

    def __init__(self, broker: "RedisStream", subscriber: Any, group: str, take: Take, room: Room, most: int) -> None:
        self._broker, self._subscriber, self._group = broker, subscriber, group
        self._take, self._room, self._most = take, room, most
        self._open: dict[bytes, Incoming] = {}
        self._again: dict[bytes, asyncio.TimerHandle] = {}
        self._acks: list[bytes] = []
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    def begin(self) -> None:
        """Begin to look after what is pending."""
        self._tasks = [asyncio.ensure_future(loop()) for loop in (self._acknowledge, self._reclaim)]

    @property
    def trouble(self) -> str | None:
        """Why nothing can be fetched at the moment."""
        if not self._stopped and not self._subscriber.running:
            return f"the consumer group {self._group} is gone"
        return None

    async def take(self, entries: Iterable[tuple[bytes, dict[bytes, bytes]]], times: dict[bytes, int]) -> None:
        """Hand entries on, and come back when as many more may be fetched."""
        messages = [self._incoming(entry, data, times.get(entry, 1)) for entry, data in entries]
        for message in messages:
            self._open[message.raw.entry] = message
        async with self._turn:
            await self._take(messages)
            await self._room(self._most)

    def _incoming(self, entry: bytes, data: dict[bytes, bytes], delivered: int) -> Incoming:
        place = read_place(entry.decode())
        body, headers = read_entry(data)
        return Incoming(
            subject=self._broker.topology.input,
            part=WHOLE,
            place=place,
            body=body,
            headers=headers,
            delivered=delivered,
            at=split_halves(place)[0] / 1000,
            raw=_Entry(self._group, entry),
        )

    async def _reclaim(self) -> None:
        while True:
            with contextlib.suppress(BrokerError, ResponseError):
                await self._broker.claim(self._group, list(self._again))
                entries, times = await self._broker.reclaim(self._group, self._most)
                fresh = [(entry, data) for entry, data in entries if entry not in self._open]
                if fresh:
                    await self.take(fresh, times)
            await asyncio.sleep(min(self._broker.limits.ack_wait / 3, 5.0))

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(_ACK_SECONDS)
            if self._acks:
                acks, self._acks = self._acks, []
                try:
                    await self._broker.acknowledge(self._group, acks)
                except BrokerError:
                    self._acks = acks + self._acks
                except ResponseError:
                    pass  # the group is gone

    async def stop(self, *, wait: bool) -> None:
        """Fetch no more; with ``wait`` entries that were on their way are given back."""
        self._stopped = True
        for handle in self._again.values():
            handle.cancel()
        with contextlib.suppress(RedisError, OSError):
            await self._subscriber.stop()
        for task in self._tasks:
            task.cancel()
        acks, self._acks = self._acks, []
        if acks:
            await self._acknowledge_now(acks)
        if wait:
            await self._give_back(
                [entry for entry in await self._mine() if entry not in self._open or entry in self._again]
            )

    async def _mine(self) -> list[bytes]:
        with contextlib.suppress(BrokerError, ResponseError):
            return await self._broker.mine(self._group)
        return []

    async def _give_back(self, entries: Sequence[bytes]) -> None:
        with contextlib.suppress(BrokerError, ResponseError):
            await self._broker.claim(self._group, entries, idle=_GIVEN_BACK)

    async def done(self, message: Incoming) -> None:
        """Acknowledge, together with others."""
        self._open.pop(message.raw.entry, None)
        if message.raw.settled:
            return
        message.raw.settled = True
        if self._stopped:
            await self._acknowledge_now([message.raw.entry])
        else:
            self._acks.append(message.raw.entry)

    async def _acknowledge_now(self, entries: Sequence[bytes]) -> None:
        with contextlib.suppress(BrokerError, ResponseError):
            await self._broker.acknowledge(self._group, entries)

    async def again(self, message: Incoming, delay: float) -> None:
        """Hand it on again after the delay; the group remembers how often, for when this process ends meanwhile."""
        entry = message.raw.entry
        message.delivered += 1
        with contextlib.suppress(BrokerError, ResponseError):
            await self._broker.claim(self._group, [entry], retrycount=message.delivered)

        def due() -> None:
            self._again.pop(entry, None)
            self._tasks.append(asyncio.ensure_future(self._take([message])))
            self._tasks = [task for task in self._tasks if not task.done()]

        self._again[entry] = asyncio.get_running_loop().call_later(delay, due)

    async def release(self, messages: Sequence[Incoming]) -> None:
        """Give entries back, for the next consumer that looks."""
        await self._give_back([message.raw.entry for message in messages if not message.raw.settled])

    async def touch(self, messages: Sequence[Incoming]) -> None:
        """Say that entries are being worked on."""
        with contextlib.suppress(BrokerError, ResponseError):
            await self._broker.claim(self._group, [message.raw.entry for message in messages])

    async def leave(self) -> None:
        """Have the group forget this consumer."""
        await self._broker.forget_consumer(self._group)


def read_entry(data: dict[bytes, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return an entry's body and headers; one without the field ``data`` has an empty body."""
    if (packed := data.get(_FASTSTREAM_DATA)) is not None:
        body, headers = BinaryMessageFormatV1.parse(packed)
        return body, {str(name): str(value) for name, value in headers.items()}
    fields = {name.decode("utf-8", "replace"): value for name, value in data.items()}
    body = fields.pop(DATA, b"")
    return body, {name: value.decode("utf-8", "replace") for name, value in fields.items()}
