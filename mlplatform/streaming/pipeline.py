"""What becomes of messages between their delivery and their acknowledgement.

Messages go through in the order in which they come: handed to the model, answers published, confirmed, acknowledged. Each
stage runs ahead of the next one, so that neither the model nor the broker waits for the other. Only what the model fails on
leaves the order: it comes again later, and holds up nobody.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from mlplatform.serving.batching import Batcher
from mlplatform.serving.execution import Answer
from mlplatform.serving.problems import (
    InvalidInput,
    MalformedRequest,
    ModelOutputInvalid,
    NotReady,
    Overloaded,
    PayloadTooLarge,
    Problem,
)
from mlplatform.serving.rows import Rows
from mlplatform.serving.samples import Sampler
from mlplatform.spec.streaming import Streaming
from mlplatform.streaming import metrics as outcomes
from mlplatform.streaming.brokers.address import BrokerError
from mlplatform.streaming.brokers.base import FETCH_MOST, Broker, Subscription
from mlplatform.streaming.duty import Assignment, Decision
from mlplatform.streaming.messages import Incoming, Messages, Outgoing, Parsed
from mlplatform.streaming.metrics import StreamMetrics
from mlplatform.streaming.position import write_place
from mlplatform.streaming.suspects import ALONE_FROM, MOST_BLAMED, Suspects

_INVALID = (InvalidInput, MalformedRequest, PayloadTooLarge)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LONGEST_DELAY = 60.0

log = logging.getLogger(__name__)

Place = tuple[int, str, int]


class ProcessEnded(Problem):
    """The process did not survive the message."""

    slug, title = "process-ended", "The process ended"


@dataclass(eq=False, slots=True)
class Flight:
    """A message between its delivery and its acknowledgement."""

    place: Place
    subscription: Subscription
    message: Incoming
    parsed: Parsed
    shadow: bool
    heard_of: float
    rows: Rows | None = None
    future: "asyncio.Future[Answer] | None" = None
    problem: Problem | None = None
    started: float = 0.0
    outcome: str = ""


@dataclass(eq=False, slots=True)
class _Sent:
    flight: Flight
    outgoing: Outgoing
    confirmation: Awaitable[None]


@dataclass
class Pipeline:
    """All that is in flight in one worker."""

    messages: Messages
    batcher: Batcher
    broker: Broker
    metrics: StreamMetrics
    streaming: Streaming
    suspects: Suspects
    sampler: Sampler | None = None
    _flights: dict[Place, Flight] = field(default_factory=dict)
    _outbox: "asyncio.Queue[Flight]" = field(default_factory=asyncio.Queue)
    _alone: "asyncio.Queue[Flight]" = field(default_factory=asyncio.Queue)
    _sent: "asyncio.Queue[_Sent]" = field(default_factory=asyncio.Queue)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _clear_to_send: asyncio.Event = field(default_factory=asyncio.Event)
    _scored_alone: int = 0
    _closed: bool = False

    def __post_init__(self) -> None:
        self._clear_to_send.set()

    @property
    def in_flight(self) -> int:
        """Messages that were fetched and are not settled."""
        return len(self._flights)

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what has to run as tasks for as long as the worker lives."""
        return [self._publish, self._confirm, self._score_alone, self._keep_alive]

    async def room(self, least: int = 1) -> int:
        """Wait until at least so many more messages may be fetched; return how many may."""
        while (free := self.streaming.max_in_flight - len(self._flights)) < least:
            self._changed.clear()
            await self._changed.wait()
        return min(free, FETCH_MOST)

    async def take(self, batch: Sequence[Incoming], subscription: Subscription, assignment: Assignment) -> None:
        """Take messages on, in the order of the stream. Those that there is no time for are given back."""
        taken = 0
        try:
            for message in batch:
                await self._take(message, subscription, assignment)
                taken += 1
        except asyncio.CancelledError:
            await subscription.release(batch[taken:])
            raise

    async def _take(self, message: Incoming, subscription: Subscription, assignment: Assignment) -> None:
        parsed = self.messages.parse(message)
        decision = assignment.decide(parsed.bucket, message.part, message.place)
        if decision is Decision.PASS:
            self.metrics.count(outcomes.PASSED_OVER)
            await subscription.done(message)
            return
        place = (id(subscription), message.part, message.place)
        if flight := self._flights.get(place):
            flight.message = message  # delivered once more while it is still being worked on
            return
        await self.room()
        flight = Flight(place, subscription, message, parsed, decision is Decision.SHADOW, heard_of=time.monotonic())
        self._flights[place] = flight
        self._begin(flight)

    def _begin(self, flight: Flight) -> None:
        try:
            flight.rows = self.messages.rows(flight.message, flight.parsed)
        except Problem as problem:
            flight.problem = problem
        if flight.rows is None:
            self._outbox.put_nowait(flight)
        elif flight.message.delivered >= ALONE_FROM or self.suspects.careful:
            self._alone.put_nowait(flight)
        else:
            flight.started = time.perf_counter()
            flight.future = self.batcher.submit_patiently(flight.rows)
            self._outbox.put_nowait(flight)

    async def _score_alone(self) -> None:
        """Score what has come too often, one message at a time."""
        while True:
            flight = await self._alone.get()
            suspect = f"{flight.message.part}/{write_place(flight.message.place)}"
            flight.started = time.perf_counter()
            if (times := self.suspects.blamed(suspect)) >= MOST_BLAMED:
                flight.problem = ProcessEnded(
                    f"The process ended {times} times while the model scored this message alone."
                )
            elif flight.rows is not None:
                with self.suspects.scoring(suspect):
                    flight.future = self.batcher.submit_patiently(flight.rows, alone=True)
                    await asyncio.wait([flight.future])
            self._outbox.put_nowait(flight)
            self._scored_alone += 1
            if self.suspects.careful and self._scored_alone > self.streaming.max_in_flight:
                self.suspects.survived()

    async def _publish(self) -> None:
        """Wait for each answer in turn and send it."""
        while True:
            flight = await self._outbox.get()
            try:
                answer = await self._answer_of(flight)
                if flight.shadow:
                    await self._settle(flight, outcomes.SHADOWED)
                else:
                    await self._send(flight, answer, outcomes.ANSWERED)
            except _INVALID as problem:
                if flight.shadow:
                    await self._settle(flight, outcomes.SHADOWED)
                else:
                    await self._send(flight, self._letter(flight, problem), outcomes.INVALID)
            except (NotReady, Overloaded):
                await flight.subscription.release([flight.message])
                self._forget(flight)
            except Problem as problem:
                await self._failed(flight, problem)

    async def _answer_of(self, flight: Flight) -> Outgoing:
        if flight.problem is not None:
            raise flight.problem
        assert flight.future is not None
        answer = await flight.future
        try:
            return self.messages.answer(flight.message, flight.parsed, answer)
        except TypeError as error:
            raise ModelOutputInvalid(f"The model's answer can't be written: {error}.") from None

    async def _failed(self, flight: Flight, problem: Problem) -> None:
        deliveries = flight.message.delivered
        if flight.shadow:
            await self._settle(flight, outcomes.SHADOW_FAILED)
        elif deliveries >= self.streaming.max_deliveries or isinstance(problem, ProcessEnded):
            log.warning("a message is given up", extra={"reason": problem.slug, "deliveries": deliveries})
            await self._send(flight, self._letter(flight, problem), outcomes.DEAD_LETTER)
        else:
            self._observe(flight)
            self.metrics.count(outcomes.REDELIVERED)
            delay = min(2.0 ** (deliveries - 1), _LONGEST_DELAY)
            self._forget(flight)
            await flight.subscription.again(flight.message, delay)

    def _letter(self, flight: Flight, problem: Problem) -> Outgoing:
        return self.messages.dead(flight.message, problem, flight.message.delivered)

    async def _send(self, flight: Flight, outgoing: Outgoing, outcome: str) -> None:
        flight.outcome = outcome
        await self._clear_to_send.wait()
        confirmation = await self._patiently(outgoing, flight)
        self._sent.put_nowait(_Sent(flight, outgoing, confirmation))

    async def _patiently(self, outgoing: Outgoing, flight: Flight) -> Awaitable[None]:
        """Send; while the broker is away try again for ever: what was computed is not thrown away."""
        pause = _SHORTEST_PAUSE
        while True:
            try:
                return await self.broker.publish(outgoing, flight.message)
            except BrokerError:
                if self._closed:
                    raise asyncio.CancelledError from None  # which the client may have taken for a time-out
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _confirm(self) -> None:
        """Acknowledge each message when the broker has its answer; what it has not got is sent again, before anything new."""
        pause = _SHORTEST_PAUSE
        while True:
            sent = await self._sent.get()
            while True:
                try:
                    await sent.confirmation
                    break
                except BrokerError as error:
                    if self._clear_to_send.is_set():
                        log.warning("answers are not confirmed; sending them again", extra={"reason": str(error)})
                    self._clear_to_send.clear()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    sent.confirmation = await self._patiently(sent.outgoing, sent.flight)
            pause = _SHORTEST_PAUSE
            if self._sent.empty():
                self._clear_to_send.set()
            self._sample(sent)
            await self._settle(sent.flight, sent.flight.outcome)

    def _sample(self, sent: _Sent) -> None:
        """Keep some of what was answered. Shadows, failures and dead letters answered nobody."""
        if sent.flight.outcome == outcomes.ANSWERED and self.sampler is not None and self.sampler.wants_one():
            self.sampler.take(*self.messages.sample(sent.flight.message, sent.outgoing))

    async def _settle(self, flight: Flight, outcome: str) -> None:
        if flight.started:
            self._observe(flight)
        self.metrics.count(outcome)
        self._forget(flight)
        await flight.subscription.done(flight.message)

    def _observe(self, flight: Flight) -> None:
        self.metrics.took(time.perf_counter() - flight.started)

    def _forget(self, flight: Flight) -> None:
        self._flights.pop(flight.place, None)
        self._changed.set()

    async def _keep_alive(self) -> None:
        """Tell the broker about messages that take long, so that it does not deliver them to somebody else."""
        often = self.streaming.ack_wait.total_seconds() / 3
        while True:
            await asyncio.sleep(often / 2)
            now = time.monotonic()
            late: dict[int, list[Flight]] = defaultdict(list)
            for flight in self._flights.values():
                if now - flight.heard_of >= often:
                    flight.heard_of = now
                    late[id(flight.subscription)].append(flight)
            for flights in late.values():
                await flights[0].subscription.touch([flight.message for flight in flights])

    async def emptied(self, seconds: float) -> bool:
        """Wait until nothing is in flight any more; false when the time is over before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._flights:
                    self._changed.clear()
                    await self._changed.wait()
        return not self._flights

    async def give_back(self) -> int:
        """Give back to the broker what is in flight; return how many messages that were."""
        left: dict[int, list[Flight]] = defaultdict(list)
        for flight in self._flights.values():
            left[id(flight.subscription)].append(flight)
        for flights in left.values():
            await flights[0].subscription.release([flight.message for flight in flights])
        count = len(self._flights)
        self._flights.clear()
        return count

    def close(self) -> None:
        """Let the loops end when they are cancelled."""
        self._closed = True
