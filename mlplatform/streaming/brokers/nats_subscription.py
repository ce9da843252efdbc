"""Taking messages from NATS JetStream: a member of a durable pull consumer, and how it fetches."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import APIError

from mlplatform.streaming.brokers.base import FETCH_SECONDS, Room
from mlplatform.streaming.messages import Incoming
from mlplatform.streaming.position import WHOLE

_PAUSE_SECONDS = 0.5


class NatsFetcher(JetStreamContext.PullSubscription):
    """A pull subscription that hands over what one fetch brought, and asks for room before it fetches.

    FastStream collects a batch until it is full or its time is over, which would make every lone message wait. It asks
    its ``subscription`` for the rest of a batch; here the answer to that is that there is none.
    """

    def __init__(self, subscription: JetStreamContext.PullSubscription, room: Room) -> None:
        self._subscription, self._room = subscription, room
        self._handed_over = False
        self.stopping = False
        self.idle = asyncio.Event()
        self.trouble: str | None = None

    async def fetch(self, batch: int = 1, timeout: float | None = None, heartbeat: float | None = None) -> list[Any]:
        """Return at least one message, or raise ``TimeoutError``."""
        if self._handed_over:
            self._handed_over = False
            raise nats.errors.TimeoutError
        self.idle.set()
        room = await self._room(1)
        if self._ending():
            await asyncio.sleep(_PAUSE_SECONDS)
            raise nats.errors.TimeoutError
        self.idle.clear()
        try:
            messages = await self._subscription.fetch(min(batch, room), timeout=FETCH_SECONDS)
            self.trouble = None
        except TimeoutError:  # asyncio's own, which FastStream takes for a failure
            raise nats.errors.TimeoutError from None
        except nats.errors.Error as error:
            self.trouble = said(error)
            await asyncio.sleep(_PAUSE_SECONDS)
            raise nats.errors.TimeoutError from None
        finally:
            self.idle.set()
        if self._ending():
            for message in messages:
                await message.nak()
            raise nats.errors.TimeoutError
        self._handed_over = len(messages) < batch
        return messages

    def _ending(self) -> bool:
        return self.stopping

    async def unsubscribe(self) -> None:
        """Let go of the subscription."""
        await self._subscription.unsubscribe()


class NatsSubscription:
    """A member of a durable consumer."""

    def __init__(self, subscriber: Any, fetcher: NatsFetcher) -> None:
        self._subscriber, self._fetcher = subscriber, fetcher

    @property
    def trouble(self) -> str | None:
        """Why nothing can be fetched at the moment."""
        return self._fetcher.trouble

    async def stop(self, *, wait: bool) -> None:
        """Fetch no more; with ``wait`` what the server sends meanwhile is given back rather than left to time out."""
        self._fetcher.stopping = True
        if wait:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FETCH_SECONDS + _PAUSE_SECONDS):
                    await self._fetcher.idle.wait()
        with contextlib.suppress(nats.errors.Error):
            await self._subscriber.stop()

    async def done(self, message: Incoming) -> None:
        """Acknowledge."""
        await _settle(message.raw.ack())

    async def again(self, message: Incoming, delay: float) -> None:
        """Have the server deliver it again after the delay."""
        await _settle(message.raw.nak(delay=delay))

    async def release(self, messages: Sequence[Incoming]) -> None:
        """Give messages back."""
        for message in messages:
            await _settle(message.raw.nak())

    async def touch(self, messages: Sequence[Incoming]) -> None:
        """Start the server's clock for these messages anew."""
        for message in messages:
            await _settle(message.raw.in_progress())

    async def leave(self) -> None:
        """Nothing to do: a durable consumer knows no members."""


async def _settle(word: Awaitable[None]) -> None:
    """Say a word about a message; where it does not get through the message is delivered again."""
    with contextlib.suppress(nats.errors.Error):
        await word


def incoming(message: Any) -> Incoming:
    """Return a message of JetStream as the worker knows messages."""
    metadata = message.metadata
    return Incoming(
        subject=message.subject,
        part=WHOLE,
        place=metadata.sequence.stream,
        body=message.data,
        headers=message.headers or {},
        delivered=metadata.num_delivered,
        at=metadata.timestamp.timestamp(),
        raw=message,
    )


def said(error: BaseException) -> str:
    """Return what an error says, without the client's own words around it."""
    if isinstance(error, APIError) and error.description:
        return str(error.description)
    return str(error).removeprefix("nats: ") or type(error).__name__
