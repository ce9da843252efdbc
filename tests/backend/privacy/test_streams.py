"""A person in streams and dead letters of a real NATS server: found, erased there for good, and told where that can't be."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import StreamConfig

from backend.core.config import Settings
from tests.backend.conftest import Someone
from tests.mlplatform.streaming.servers import NatsClient, NatsServer
from tests.waiting import wait_until

from .conftest import EMAIL, PERSON, AddModel, House, privacy_settings
from .test_subjects import erase, find

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
MANY = 70
"""More than the two batches that are read at a time."""


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory(prefix="mlp-", ignore_cleanup_errors=True) as folder:
        made = NatsServer(Path(folder)).start()
        yield made
        made.kill()


@pytest.fixture
def settings(settings: Settings, server: NatsServer) -> Settings:
    brokers = {"nats": {"url": server.address.url}}
    return privacy_settings(settings.home, settings.database.url, brokers=brokers)


@asynccontextmanager
async def connected(server: NatsServer, *, streams: bool = True) -> AsyncIterator[NatsClient]:
    client = await server.client(streams=streams)
    try:
        yield client
    finally:
        await client.close()


async def publish(server: NatsServer, subject: str, *bodies: Any, headers: dict[str, str] | None = None) -> None:
    async with connected(server) as client:
        for body in bodies:
            await client.publish(subject, json.dumps(body).encode(), headers)


async def held(server: NatsServer, subject: str) -> list[Any]:
    async with connected(server) as client:
        return [json.loads(body) for body, _ in await client.read(subject)]


def test_messages_and_dead_letters_are_erased_for_good(
    here: House, operator: Someone, second: Someone, server: NatsServer, add_model: AddModel
) -> None:
    add_model()
    others = [{"customer": f"C-2{number:04d}"} for number in range(MANY)]
    asyncio.run(publish(server, "shop.orders", {"customer": PERSON}, *others, {"note": f"of {EMAIL}"}))
    asyncio.run(publish(server, "shop.dead", {"customer": "C-20001"}))
    asyncio.run(publish(server, "shop.dead", {"x": 1}, headers={"dead-letter-detail": f"{PERSON} has no x"}))
    found = find(operator, PERSON, EMAIL)
    told = {one["location"]: (one["kind"], one["found"]) for one in found["findings"]}
    assert told == {"lab/nats/shop.orders": ("stream", 2), "lab/nats/shop.dead": ("stream", 1)}

    for subject in ("model:nats", "kind:stream"):
        hold = operator.post("/privacy/holds", {"subject": subject, "reason": "lawsuit 4711"}).json()
        held_back = operator.post(f"/privacy/subject-requests/{found['id']}/erasure", {"reason": "asked for"})
        assert (held_back.status_code, subject in held_back.json()["detail"]) == (409, True)
        operator.post(f"/privacy/holds/{hold['id']}/release", {"reason": "settled"})

    done = erase(operator, second, found["id"])
    assert (done["state"], done["found"], done["remaining"]) == ("erased", 3, 0), done
    assert asyncio.run(held(server, "shop.orders")) == others
    assert asyncio.run(held(server, "shop.dead")) == [{"customer": "C-20001"}]
    said = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    assert {one["location"]: one["remaining"] for one in said["statement"]["predicate"]["places"]} == {
        "lab/nats/shop.orders": 0,
        "lab/nats/shop.dead": 0,
    }

    def overwritten() -> bool:
        blocks = [block.read_bytes() for block in server.folder.rglob("*.blk")]
        return bool(blocks) and not any(PERSON.encode() in block or EMAIL.encode() in block for block in blocks)

    wait_until(overwritten, 30)  # the server writes to the disk when it has time


def test_a_broker_that_is_away_keeps_a_person_from_being_said_to_be_gone(
    here: House, operator: Someone, second: Someone, server: NatsServer, add_model: AddModel
) -> None:
    add_model()
    asyncio.run(publish(server, "shop.orders", {"customer": PERSON}, {"customer": "C-20001"}))
    here.write_log("backend.log", PERSON)
    server.kill()
    found = find(operator, PERSON)
    assert (found["state"], found["message"]) == ("found", "3 places could not be searched")
    reasons = {one["location"]: one["reason"] for one in found["findings"] if one["kind"] == "stream"}
    assert reasons.keys() == {"lab/nats/shop.orders", "lab/nats/shop.scores", "lab/nats/shop.dead"}
    assert all(one.startswith("could not be searched: nats://127.0.0.1") for one in reasons.values())
    done = erase(operator, second, found["id"])
    assert (done["state"], done["message"]) == ("partly_erased", "3 places could not be searched")
    assert (done["found"], done["remaining"]) == (1, 0)

    server.start()
    # The first attempt after that finds the message, and the next erases it.
    again = erase(operator, second, found["id"])
    assert (again["state"], again["message"]) == ("partly_erased", "1 found again")
    last = erase(operator, second, found["id"])
    assert (last["state"], last["message"]) == ("erased", None), last
    assert asyncio.run(held(server, "shop.orders")) == [{"customer": "C-20001"}]
    ids = [one["id"] for one in operator.get("/privacy/certificates").json()["items"]]
    assert ids == [last["certificate"], again["certificate"], done["certificate"]]


def test_what_a_broker_does_not_delete_is_told_with_its_end(
    here: House, operator: Someone, second: Someone, server: NatsServer, add_model: AddModel
) -> None:
    async def planted() -> None:
        async with connected(server, streams=False) as client:
            config = StreamConfig("orders", subjects=["shop.orders"], deny_delete=True, max_age=86_400)
            await client.js.add_stream(config)
            await client.publish("shop.orders", json.dumps({"customer": PERSON}).encode())

    add_model()
    asyncio.run(planted())
    found = find(operator, PERSON)
    done = erase(operator, second, found["id"])
    assert (done["state"], done["message"]) == ("partly_erased", "1 found again")
    said = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    assert said["valid"]
    reasons = {one["name"]: one["reason"] for one in said["statement"]["predicate"]["notDeleted"]}
    assert "held in shop.orders, cannot be erased (" in reasons["lab/nats/shop.orders"]
    assert "it expires by retention at 20" in reasons["lab/nats/shop.orders"]
