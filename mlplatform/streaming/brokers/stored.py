"""What lies at a broker: read from its beginning to its end, and deleted message by message where the broker can do that."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mlplatform.streaming.brokers.address import Address, BrokerError


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it lies at a broker."""

    place: str
    """Where in the stream, in the broker's own terms: a sequence, an entry's id, or a partition and offset."""
    body: bytes
    headers: dict[str, str]
    at: datetime
    key: bytes | None = None


class Kept(BrokerError):
    """The broker does not let go of a message now; ``until`` is when it ends by itself, ``ends`` says so in words."""

    def __init__(self, why: str, *, until: datetime | None = None, ends: str = "is not ended by any age") -> None:
        super().__init__(why)
        self.until, self.ends = until, ends


class StoredMessages(Protocol):
    """The messages of one stream or topic. Made by :func:`stored`."""

    def batches(self) -> AsyncGenerator[list[Stored]]:
        """Yield what was there when the first batch was asked for, oldest first; nothing if there is no such stream.

        Raises:
            BrokerError: the stream does not let itself be read, or stops answering.
        """
        ...

    async def delete(self, message: Stored) -> None:
        """Delete a message of the last batch, now or with :meth:`settle`. One that is gone is no error.

        Raises:
            Kept: the broker does not let go of it.
        """
        ...

    async def settle(self) -> str | None:
        """End what was begun by deleting, when all batches were read; return what is to be known about it.

        Raises:
            Kept: the broker does not let go of all of them.
        """
        ...


def stored(address: Address, stream: str, *, name: str) -> AbstractAsyncContextManager[StoredMessages]:
    """Connect under a client's name, and give the messages of a stream; each broker's client is loaded when it is needed.

    Raises:
        BrokerUnreachable: the broker does not answer, or not any more.
        BrokerError: it refuses.
    """
    match address.kind:
        case "kafka":
            from mlplatform.streaming.brokers.kafka_stored import kafka_stored

            return kafka_stored(address, stream, name=name)
        case "redis":
            from mlplatform.streaming.brokers.redis_stored import redis_stored

            return redis_stored(address, stream, name=name)
    from mlplatform.streaming.brokers.nats_stored import nats_stored

    return nats_stored(address, stream, name=name)
