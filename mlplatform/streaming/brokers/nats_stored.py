"""What NATS JetStream has stored: read from its beginning to its end, and deleted message by message."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from typing import Any

import nats.errors
from faststream.nats import NatsBroker
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as Acks
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable
from mlplatform.streaming.brokers.base import GRACE_SECONDS
from mlplatform.streaming.brokers.nats import security
from mlplatform.streaming.brokers.nats_subscription import said
from mlplatform.streaming.brokers.stored import Kept, Stored

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_BATCH = 32
"""Messages in memory at a time: of the largest that the platform's own server takes, a quarter of a GiB."""
_READER_STAYS_SECONDS = 300.0
"""How long the server knows a reader that does not ask: much is done between two batches."""

log = logging.getLogger(__name__)


class NatsStored:
    """Implements :class:`mlplatform.streaming.brokers.stored.StoredMessages` for a subject."""

    def __init__(self, js: JetStreamContext, subject: str, stream: str | None) -> None:
        self._js, self._subject, self._stream = js, subject, stream

    async def batches(self) -> AsyncGenerator[list[Stored]]:
        """Yield what was there when the first batch was asked for; nothing if no stream has the subject."""
        if self._stream is None:
            return
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=Acks.NONE,
            filter_subject=self._subject,
            inactive_threshold=_READER_STAYS_SECONDS,
            mem_storage=True,
        )
        last = (await self._js.stream_info(self._stream)).state.last_seq
        reader = await self._js.pull_subscribe(self._subject, stream=self._stream, config=config)
        state = await reader.consumer_info()
        try:
            while state.num_pending:
                messages = await reader.fetch(_BATCH, timeout=_ANSWER_SECONDS)
                yield [_stored(one) for one in messages]
                if messages[-1].metadata.sequence.stream >= last:
                    return
                state = await reader.consumer_info()
        finally:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                await self._js.delete_consumer(self._stream, state.name)
                await reader.unsubscribe()

    async def delete(self, message: Stored) -> None:
        """Delete a message for good: the server overwrites its bytes."""
        assert self._stream is not None
        sequence = int(message.place)
        try:
            await self._js.delete_msg(self._stream, sequence)
        except APIError as error:
            try:
                await self._js.get_msg(self._stream, seq=sequence)
            except NotFoundError:
                return
            kept = await self._kept()
            raise Kept(said(error), until=message.at + kept if kept else None) from None

    async def settle(self) -> str | None:
        """There is nothing left to do, and nothing to say."""
        return None

    async def _kept(self) -> timedelta | None:
        """Return how long the stream keeps a message; ``None`` if age does not end it."""
        assert self._stream is not None
        age = (await self._js.stream_info(self._stream)).config.max_age
        return timedelta(seconds=age) if age else None


@asynccontextmanager
async def nats_stored(address: Address, subject: str, *, name: str) -> AsyncIterator[NatsStored]:
    """Connect, and give the messages of a subject; raises what :func:`mlplatform.streaming.brokers.stored.stored` raises."""
    broker = NatsBroker(
        address.url,
        security=security(address),
        name=name,
        allow_reconnect=False,
        connect_timeout=2,
        error_cb=_quiet,
        graceful_timeout=GRACE_SECONDS,
        apply_types=False,
        logger=log,
        log_level=logging.DEBUG,
    )
    try:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                client = await broker.connect()
        except ValueError as error:  # the client's word for an address that it can't take
            raise BrokerUnreachable(f"{address.url}: {said(error)}") from None
        js = client.jetstream(timeout=_ANSWER_SECONDS)
        try:
            stream = str(await js.find_stream_name_by_subject(subject))
        except NotFoundError:
            stream = None
        yield NatsStored(js, subject, stream)
    except APIError as error:
        raise BrokerError(f"{address.url}: {said(error)}") from None
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise BrokerUnreachable(f"{address.url}: {said(error)}") from None
    finally:
        with contextlib.suppress(Exception):
            await broker.stop()


def _stored(message: Any) -> Stored:
    about = message.metadata
    return Stored(
        str(about.sequence.stream), message.data, dict(message.headers or {}), about.timestamp.astimezone(UTC)
    )


async def _quiet(_error: Exception) -> None:
    """Say nothing: what is asked next fails, and says why."""
