"""The loop behind everything that can be followed."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import anyio
import pytest
from fastapi import Request
from fastapi.sse import ServerSentEvent

from backend.core.clock import SystemClock
from backend.core.config_limits import LimitSettings
from backend.core.container import Services
from backend.core.http.events import Follower
from backend.core.http.streams import Streams, TooManyStreams

from .test_streams import ADA, GRACE

Found = tuple[Sequence[ServerSentEvent], bool]


class Client:
    """Somebody who leaves after so many looks."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    async def is_disconnected(self) -> bool:
        self._left -= 1
        return self._left < 0


class Platform:
    """What a follower needs of the services."""

    def __init__(self) -> None:
        self.streams = Streams(LimitSettings.model_validate({"streams": 2, "streamsPerCaller": 1}))
        self.clock: Any = SystemClock()


def followed(platform: Platform, look: Callable[[], Found], *, looks: int = 100) -> list[str | None]:
    async def read() -> list[str | None]:
        follower = Follower(cast(Request, Client(looks)), cast(Services, platform), ADA)
        return [event.id async for event in follower.events(look, every=0.001)]

    return anyio.run(read)


def numbered(*counts: int, over: bool = False) -> Callable[[], Found]:
    """Find so many events, then so many, and so on; then nothing."""
    waiting, last = list(counts), 0

    def look() -> Found:
        nonlocal last
        found = [ServerSentEvent(data=n, id=str(n)) for n in range(last + 1, last + 1 + (waiting or [0])[0])]
        last += len(found)
        if waiting:
            waiting.pop(0)
        return found, over and not waiting

    return look


def test_everything_is_sent_in_order_until_it_is_over() -> None:
    assert followed(Platform(), numbered(2, 0, 3, over=True)) == ["1", "2", "3", "4", "5"]


def test_it_ends_when_the_client_has_left() -> None:
    assert followed(Platform(), numbered(1, 1, 1, 1), looks=2) == ["1", "2"]


def test_it_ends_with_the_token(set_clock: Any) -> None:
    platform = Platform()
    platform.clock, set_clock.moment = set_clock, ADA.expires_at - timedelta(seconds=1)
    look = numbered(1, 1, 1)

    def until_late() -> Found:
        set_clock.moment += timedelta(seconds=0.6)
        return look()

    assert followed(platform, until_late) == ["1", "2"]


def test_a_place_is_taken_and_given_back_whatever_happens() -> None:
    streams = Platform().streams
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), streams.place(ADA):
            raise ZeroDivisionError
    with streams.place(ADA):
        with pytest.raises(TooManyStreams, match="follows 1 streams already"), streams.place(ADA):
            pass
        with streams.place(GRACE):
            pass
    with streams.place(ADA):
        pass
