"""Server-sent events (WHATWG HTML, "Server-sent events"): one loop for everything that can be followed.

Whoever follows gets what is there, then what comes. Each event has an id with which a client that lost the connection goes
on where it was, by ``Last-Event-ID``. FastAPI sends a comment after 15 s without an event, so that proxies keep the connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Annotated

from fastapi import Depends, Request
from fastapi.sse import ServerSentEvent

from backend.core.container import Services, ServicesOf
from backend.identity.auth import Caller
from backend.identity.principal import Principal

Look = Callable[[], tuple[Sequence[ServerSentEvent], bool]]
"""Return what is new since the last call, and whether that was all there will ever be. May block."""


class Follower:
    """Somebody who follows something, and has a place for it as long as they do."""

    def __init__(self, request: Request, services: Services, caller: Principal) -> None:
        self._request, self._services, self._caller = request, services, caller

    async def events(self, look: Look, *, every: float) -> AsyncIterator[ServerSentEvent]:
        """Yield what ``look`` finds, which is asked again and again, with so many seconds between.

        Ends when there is nothing more to come, when the client leaves, and when its token ends: with a new one it goes on from
        the last id.
        """
        while not await self._request.is_disconnected():
            if self._services.clock.now() >= self._caller.expires_at:
                return
            found, over = await self._services.streams.look(look)
            for event in found:
                yield event
            if over:
                return
            await asyncio.sleep(every)


def _following(request: Request, services: ServicesOf, caller: Caller) -> Iterator[Follower]:
    with services.streams.place(caller):
        yield Follower(request, services, caller)


Following = Annotated[Follower, Depends(_following)]
"""Type of a route's parameter that gets the caller as a follower; the answer is 429 if they have too many streams."""
