"""Does what the control file says: which consumer group this worker is a member of, and what it answers for in it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.streaming.brokers.address import BrokerError
from mlplatform.streaming.brokers.base import Broker, Subscription
from mlplatform.streaming.control import Control, ControlError, read_control
from mlplatform.streaming.duty import Assignment
from mlplatform.streaming.messages import Incoming
from mlplatform.streaming.metrics import StreamMetrics
from mlplatform.streaming.pipeline import Pipeline
from mlplatform.streaming.position import Position

_LOOK_SECONDS = 0.05
_LAG_SECONDS = 2.0
_PATIENCE_SECONDS = 3.0
"""For so long a subscription may be in trouble before it is made anew."""
_STUCK_CALLS = 3
"""A call of the model that takes this many times its limit does not come back."""

log = logging.getLogger(__name__)


class ModelStuck(Exception):
    """A call of the model does not return; only a new process helps."""


@dataclass
class Consumer:
    """One worker's part in a consumer group."""

    control: Path
    version: int
    broker: Broker
    pipeline: Pipeline
    metrics: StreamMetrics
    call_seconds: float
    revision: int = -1
    """The revision of the control file that this worker acts on."""
    trouble: str | None = None
    _assignment: Assignment | None = None
    _subscription: Subscription | None = None
    _seen: tuple[int, int, int] | None = None
    _forgotten: set[str] = field(default_factory=set)
    _troubled_since: float | None = None
    _reached: dict[str, int] = field(default_factory=dict)
    _stopping: bool = False

    async def run(self) -> None:
        """Follow the control file until :meth:`stop`.

        Raises:
            ModelStuck: the process has to end.
        """
        self.metrics.watch(
            lambda: self.pipeline.in_flight,
            lambda: float(self.broker.trouble is None),
            lambda: float(self._assignment.share if self._assignment else 0),
        )
        measured = float("-inf")
        while not self._stopping:  # a cancellation may get lost in a client's own handling of time-outs
            await self._look()
            limit = self.call_seconds * _STUCK_CALLS
            if self.pipeline.batcher.call_age > limit:
                raise ModelStuck(f"a call of the model has not come back within {limit:g} s")
            if time.monotonic() - measured > _LAG_SECONDS:
                measured = time.monotonic()
                await self._measure()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        """Take over what has changed in the file; a broker that is away makes it try again at the next look."""
        try:
            status = self.control.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            seen = None
        if seen == self._seen and not self._broken():
            return
        try:
            control = read_control(self.control)
        except ControlError as error:
            self._say(str(error))
            self._seen = seen
            return
        try:
            await self._follow(control)
            self._seen, self.trouble = seen, None
        except BrokerError as error:
            self._say(str(error))

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("the stream can't be followed at the moment: %s", trouble)
        self.trouble = trouble

    def _broken(self) -> bool:
        """Tell whether the subscription has been in trouble for so long that it should be made anew."""
        if self.trouble is not None:
            return True
        subscription = self._subscription
        if subscription is None or subscription.trouble is None or self.broker.trouble is not None:
            self._troubled_since = None
            return False
        self._troubled_since = self._troubled_since or time.monotonic()
        return time.monotonic() - self._troubled_since > _PATIENCE_SECONDS

    async def _follow(self, control: Control | None) -> None:
        wanted = Assignment.of(control, self.version)
        present = self._assignment
        broken = self._troubled_since is not None
        if wanted is not None and (present is None or wanted.group != present.group or broken):
            if broken:
                await self.broker.prepare()
            wanted = await self._as_the_stream_is(wanted)
            await self._leave()
            self._assignment = wanted
            self._subscription = await self._join(wanted)
            self._troubled_since = None
        elif wanted is None:
            await self._leave()
        elif present is not None and present.renewed:
            wanted = wanted.from_the_beginning()
        self._assignment = wanted
        revision = control.revision if control is not None else 0
        if revision != self.revision:
            share, mirror = (wanted.share, wanted.mirror) if wanted else (0, 0)
            facts = {"revision": revision, "share": share, "mirror": mirror, "group": wanted.group if wanted else None}
            log.info("follows the control file", extra=facts)
        self.revision = revision
        if control is not None:
            await self._forget(control)

    async def _as_the_stream_is(self, wanted: Assignment) -> Assignment:
        """Read a stream that was made anew from its beginning: it is shorter than the positions that are remembered."""
        head = await self.broker.head()
        if all(place <= head.at(part) for part, place in wanted.start.parts.items()):
            return wanted
        log.warning(
            "the stream is shorter than the control file has it; reading it from its beginning",
            extra={"start": wanted.start.to_json(), "head": head.to_json()},
        )
        return wanted.from_the_beginning()

    async def _join(self, wanted: Assignment) -> Subscription:
        holder: list[Subscription] = []
        joined = asyncio.Event()

        async def take(batch: Sequence[Incoming]) -> None:
            await joined.wait()
            # In one group the assignment can only have become smaller, and the newest one counts.
            current = self._assignment
            assignment = current if current is not None and current.group == wanted.group else wanted
            for message in batch:
                self._reached[message.part] = message.place
            await self.pipeline.take(batch, holder[0], assignment)

        holder.append(await self.broker.subscribe(wanted.group, wanted.start, take, self.pipeline.room))
        joined.set()
        return holder[0]

    async def _leave(self) -> None:
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            await subscription.stop(wait=False)
        self._assignment = None
        self._reached = {}

    async def _forget(self, control: Control) -> None:
        """Delete groups that nobody needs; each worker tries, the first one does it."""
        self._forgotten &= set(control.retired)
        for group in control.retired:
            if group not in self._forgotten and await self.broker.forget(group):
                self._forgotten.add(group)

    async def _measure(self) -> None:
        with contextlib.suppress(BrokerError):
            if self._assignment is None:
                self.metrics.lag(0, 0.0)
            elif self.broker.trouble is None:
                lag = await self.broker.lag(self._assignment.group)
                self.metrics.lag(lag.messages, lag.seconds)

    async def stop(self) -> None:
        """Fetch no more, and follow the file no longer."""
        self._stopping = True
        if self._subscription is not None:
            await self._subscription.stop(wait=True)

    async def leave(self) -> None:
        """Be no member of the group any more."""
        if self._subscription is not None:
            await self._subscription.leave()

    def state(self) -> dict[str, Any]:
        """Return what the page /assignment shows."""
        assignment, subscription = self._assignment, self._subscription
        troubles = [self.broker.trouble, self.trouble, subscription.trouble if subscription else None]
        return {
            "version": self.version,
            "revision": self.revision,
            "group": assignment.group if assignment else None,
            "share": assignment.share if assignment else 0,
            "mirror": assignment.mirror if assignment else 0,
            "reached": Position(self._reached).to_json(),
            "inFlight": self.pipeline.in_flight,
            "renewed": assignment.renewed if assignment else False,
            "trouble": next((trouble for trouble in troubles if trouble), None),
            "forgotten": sorted(self._forgotten),
        }
