"""Streams wait in threads of their own, and nobody takes all the places."""

import gc
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from backend.core.config_limits import LimitSettings
from backend.core.http.streams import Streams, TooManyStreams
from backend.identity.principal import Principal, PrincipalKind


def person(name: str) -> Principal:
    until = datetime.now(UTC) + timedelta(hours=1)
    return Principal(PrincipalKind.USER, f"user:default/{name}", frozenset(), "test", until)


ADA, GRACE, EDSGER = person("ada"), person("grace"), person("edsger")


def streams() -> Streams:
    return Streams(LimitSettings.model_validate({"streams": 3, "streamsPerCaller": 2}))


def test_nobody_takes_all_places_and_they_come_back() -> None:
    places = streams()
    held = [places.read(ADA, iter([b"a"])) for _ in range(2)]
    with pytest.raises(TooManyStreams, match="user:default/ada follows 2 streams already"):
        places.read(ADA, iter([]))
    held.append(places.read(GRACE, iter([])))
    with pytest.raises(TooManyStreams, match="too many streams"):
        places.read(EDSGER, iter([]))
    held.clear()  # never begun: a client who left before the first byte
    gc.collect()
    assert places.read(EDSGER, iter([])) is not None


def test_a_stream_yields_in_order_and_frees_its_place_at_its_end() -> None:
    places = streams()

    async def read_all() -> list[bytes]:
        return [line async for line in places.read(ADA, iter([b"one", b"", b"two"]))]

    for _ in range(5):
        assert anyio.run(read_all) == [b"one", b"", b"two"]


def test_who_waits_does_not_wait_in_the_shared_threads() -> None:
    places, go_on = streams(), threading.Event()

    def waiting() -> Iterator[bytes]:
        assert go_on.wait(10)
        yield b"late"

    async def scenario() -> None:
        shared = anyio.to_thread.current_default_thread_limiter()
        shared.total_tokens = 1
        async with anyio.create_task_group() as group:
            for caller in (ADA, ADA, GRACE):
                group.start_soon(_drain, places.read(caller, waiting()))
            await anyio.sleep(0.05)
            with anyio.fail_after(5):
                assert await anyio.to_thread.run_sync(lambda: "answered") == "answered"
            go_on.set()

    anyio.run(scenario)


async def _drain(lines: object) -> None:
    assert [line async for line in lines] == [b"late"]  # type: ignore[attr-defined]
