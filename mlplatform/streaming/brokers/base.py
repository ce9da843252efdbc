"""What the worker asks of a broker. FastStream brings connections, security and subscriptions; this is the part that differs."""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlplatform.streaming.messages import Incoming, Outgoing
from mlplatform.streaming.position import Position

Take = Callable[[Sequence[Incoming]], Awaitable[None]]
"""Is given messages in the order of the stream; while it waits no more are fetched."""
Room = Callable[[int], Awaitable[int]]
"""Waits until at least so many messages may be fetched, and returns how many may."""

FETCH_SECONDS = 1.0
"""How long one fetch waits for a first message."""
FETCH_MOST = 256
GRACE_SECONDS = 0.05
"""How long FastStream waits for a handler when a subscription ends. Ours only wait for room; see ``Pipeline.take``."""


class Confirmation:
    """Waits for a broker's word about something that was sent; nothing happens unless it is awaited."""

    def __init__(self, wait: Callable[[], Coroutine[None, None, None]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[None, None, None]:
        return self._wait().__await__()


@dataclass(frozen=True)
class Topology:
    """Names at the broker: what is read, and what is written."""

    input: str
    output: str
    dead_letter: str


@dataclass(frozen=True)
class Lag:
    """How far a group is behind: messages not done, and the age in seconds of the oldest of them."""

    messages: int
    seconds: float


@dataclass(frozen=True)
class Limits:
    """What ``model.yaml`` says about deliveries."""

    max_in_flight: int
    ack_wait: float
    replicas: int


@dataclass(frozen=True)
class Retention:
    """How a stream that has to be made keeps messages: for how many seconds, up to how many bytes, and for how many seconds
    it knows a duplicate.
    """

    age: float = 7 * 86_400.0
    size: int = 2**30
    duplicates: float = 600.0


class Subscription(Protocol):
    """One consumer group that messages are fetched from."""

    @property
    def trouble(self) -> str | None:
        """Why no messages can be fetched at the moment, if so."""
        ...

    async def stop(self, *, wait: bool) -> None:
        """Fetch no more; what was fetched can still be settled. With ``wait`` nothing is left on its way."""
        ...

    async def done(self, message: Incoming) -> None:
        """Acknowledge: the message is never delivered to this group again."""
        ...

    async def again(self, message: Incoming, delay: float) -> None:
        """Have the message delivered again after so many seconds, with its count raised."""
        ...

    async def release(self, messages: Sequence[Incoming]) -> None:
        """Have messages delivered again at once, to whoever fetches first: this worker ends."""
        ...

    async def touch(self, messages: Sequence[Incoming]) -> None:
        """Say that messages are still being worked on."""
        ...

    async def leave(self) -> None:
        """Be no member of the group any more: everything is settled or given back."""
        ...


class Broker(Protocol):
    """A connection to a broker, for one worker."""

    attribute: str
    """What the names of CloudEvents attributes begin with in headers."""

    @property
    def trouble(self) -> str | None:
        """Why the broker can't be used at the moment; ``None`` while it can."""
        ...

    async def connect(self) -> None:
        """Connect once; later losses of the connection are mended for ever.

        Raises:
            BrokerUnreachable: not possible at the moment.
        """
        ...

    async def prepare(self) -> None:
        """Make sure that what is read from and written to exists.

        Raises:
            BrokerError: saying what is missing and who has to make it.
        """
        ...

    async def subscribe(self, group: str, start: Position, take: Take, room: Room) -> Subscription:
        """Fetch messages as a member of a consumer group, which begins at ``start`` if there is none of that name yet."""
        ...

    async def publish(self, outgoing: Outgoing, settles: Incoming | None = None) -> Awaitable[None]:
        """Send; in order when this returns. What is returned resolves when the broker has it, or raises.

        A broker that can also settles the message that this is the outcome of, in the same moment.
        """
        ...

    async def head(self) -> Position:
        """Return where the next message will be."""
        ...

    async def progress(self, groups: Sequence[str]) -> dict[str, Position]:
        """Return for each of these groups the first position that is not done; groups that there are not are left out."""
        ...

    async def groups(self, prefix: str) -> list[str]:
        """Return the names of the input's consumer groups that begin so."""
        ...

    async def forget(self, group: str) -> bool:
        """Delete a group; true when it is gone."""
        ...

    async def lag(self, group: str) -> Lag:
        """Return how far a group is behind."""
        ...

    async def close(self) -> None:
        """Send what is on its way, then let go of the connection."""
        ...
