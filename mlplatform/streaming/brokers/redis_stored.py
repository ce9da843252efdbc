"""What a Redis stream has stored: read from its beginning to its end, and deleted entry by entry."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError, ResponseError

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable, said
from mlplatform.streaming.brokers.redis import broker_at
from mlplatform.streaming.brokers.redis_subscription import read_entry
from mlplatform.streaming.brokers.stored import Stored
from mlplatform.streaming.position import read_place, split_halves

_ANSWER_SECONDS = 10.0
_BATCH = 64
"""Entries in memory at a time."""


class RedisStored:
    """Implements :class:`mlplatform.streaming.brokers.stored.StoredMessages`."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client, self._stream = client, stream
        self._deleted = 0

    async def batches(self) -> AsyncGenerator[list[Stored]]:
        """Yield the entries up to the newest of the moment; nothing if there is no such stream."""
        newest = await _answer(self._client.xrevrange(self._stream, count=1))
        start: bytes = b"-"
        while newest:
            entries = await _answer(self._client.xrange(self._stream, min=start, max=newest[0][0], count=_BATCH))
            if not entries:
                return
            yield [_stored(entry, fields) for entry, fields in entries]
            start = b"(" + entries[-1][0]

    async def delete(self, message: Stored) -> None:
        """Delete an entry; consumer groups that it is pending for forget it when they claim it."""
        self._deleted += int(await _answer(self._client.xdel(self._stream, message.place)))

    async def settle(self) -> str | None:
        """Say what Redis does with the bytes of entries that are deleted."""
        if not self._deleted:
            return None
        return (
            "no command gives the entries back; the server keeps their bytes, in memory and in its files, until all "
            "entries beside them are gone too"
        )


@asynccontextmanager
async def redis_stored(address: Address, stream: str, *, name: str) -> AsyncIterator[RedisStored]:
    """Connect, and give the entries of a stream; raises what :func:`mlplatform.streaming.brokers.stored.stored` raises."""
    broker = broker_at(address, name)
    try:
        client: Any = await broker.connect()
        await _answer(client.ping())
        yield RedisStored(client, stream)
    except ResponseError as error:
        raise BrokerError(f"{address.url}: {said(error)}") from None
    except (RedisError, TimeoutError, OSError) as error:
        raise BrokerUnreachable(f"{address.url}: {said(error)}") from None
    finally:
        with contextlib.suppress(Exception):
            await broker.stop()


async def _answer(command: Awaitable[Any]) -> Any:
    async with asyncio.timeout(_ANSWER_SECONDS):
        return await command


def _stored(entry: bytes, fields: dict[bytes, bytes]) -> Stored:
    body, headers = read_entry(fields)
    place = entry.decode()
    milliseconds, _ = split_halves(read_place(place))
    return Stored(place, body, headers, datetime.fromtimestamp(milliseconds / 1000, UTC))
