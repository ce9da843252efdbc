"""What becomes of messages, on each broker: answered once, dead letters, again, in order, never too many at a time."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path

import pytest

from mlplatform.streaming.brokers import nats
from mlplatform.streaming.brokers.address import Address, BrokerError
from mlplatform.streaming.messages import REASON
from tests.mlplatform.streaming.conftest import Server
from tests.mlplatform.streaming.rig import (
    DEAD,
    INPUT,
    OUTPUT,
    Model,
    answers,
    everything,
    orders,
    send,
    streaming,
    until,
    worker,
)
from tests.mlplatform.streaming.servers import NatsServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Models fail on purpose here; their tracebacks are nobody's business."""
    caplog.set_level("CRITICAL", logger="mlplatform.serving.execution")


def named(headers: dict[str, str]) -> dict[str, str]:
    """Headers with CloudEvents' attributes under the same names for all brokers."""
    return {name.replace("ce_", "ce-"): value for name, value in headers.items()}


def test_an_answer_has_the_outputs_the_carried_members_and_cloudevents_headers(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        async with worker(server.address, folder / "control.json") as rig:
            trace = {"ce-id": "a1", "ce-source": "/shop", "traceparent": "00-1-2-01", "other": "x"}
            await client.publish(INPUT, b'{"x": 21, "customer": "c1", "order": "o1"}', trace)
            await client.publish(INPUT, b'{"x": 4}')
            await until(lambda: rig.count("answered") == 2)
            found = {json.loads(body)["y"]: (json.loads(body), named(h)) for body, h in await client.read(OUTPUT)}
            answer, headers = found[42.0]
            assert answer == {"order": "o1", "y": 42.0}
            assert headers["content-type"] == "application/json"
            assert headers["ce-id"] == "a1"
            assert headers["ce-source"] == "urn:ml-platform:test:wine"
            assert headers["ce-type"] == "ml-platform.streaming.answer"
            assert (headers["ce-specversion"], headers["ce-modelversion"]) == ("1.0", "1")
            assert headers["ce-time"].endswith("Z")
            assert headers["traceparent"] == "00-1-2-01"
            assert "other" not in headers
            answer, headers = found[8.0]
            assert answer == {"y": 8.0}
            assert headers["ce-id"].startswith(INPUT)  # where it lies, since its sender gave it no id

    asyncio.run(story())


INVALID = {
    b"nope": ("malformed-request", "not JSON"),
    b"[1]": ("malformed-request", "not a JSON object"),
    b"{}": ("invalid-input", "Column x in row 0 is missing"),
    b'{"x": "5"}': ("invalid-input", "is not a number"),
    b'{"x": -1}': ("invalid-input", "is outside of 0"),
    b'{"x": 1, "y": 2}': ("invalid-input", "y in row 0 is not a column of the model"),
    b'{"x": 1, "order": "' + b"o" * 10_000 + b'"}': ("payload-too-large", "larger than the 10000 bytes"),
}


def test_what_is_not_valid_is_a_dead_letter_with_reason_payload_and_headers(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        async with worker(server.address, folder / "control.json") as rig:
            for number, body in enumerate(INVALID):
                await client.publish(INPUT, body, {"ce-id": f"bad{number}", "team": "shop"})
            await client.publish(INPUT, b'{"x": 1, "order": "good"}', {"ce-id": "good"})
            await until(lambda: rig.count("invalid") == len(INVALID) and rig.count("answered") == 1)
            letters = {body: named(headers) for body, headers in await client.read(DEAD)}
            assert letters.keys() == INVALID.keys()
            for number, (body, (reason, detail)) in enumerate(INVALID.items()):
                headers = letters[body]
                assert headers[REASON] == reason
                assert detail in headers["dead-letter-detail"]
                assert headers["ce-id"] == f"bad{number}"
                assert headers["team"] == "shop"
                assert headers["dead-letter-subject"] == INPUT
                assert headers["dead-letter-version"] == "1"
            assert [answer["order"] for answer in await answers(client)] == ["good"]
            await until(lambda: rig.pipeline.in_flight == 0)

    asyncio.run(story())


def test_what_the_model_fails_on_comes_again_and_holds_up_nobody(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        model = Model(fails_on={3.0})
        async with worker(server.address, folder / "control.json", model=model, spec=streaming(maxDeliveries=3)) as rig:
            await send(client, 10)
            await until(lambda: rig.count("answered") == 9)
            assert rig.count("dead_letter") == 0  # all others are through while that one is waiting
            await send(client, 10, first=10)
            await until(lambda: rig.count("answered") == 19)
            await until(lambda: rig.count("dead_letter") == 1, 30)
            assert rig.count("redelivered") == 2
            ((body, headers),) = await client.read(DEAD)
            assert json.loads(body) == {"x": 3, "customer": "c3", "order": "o3"}
            assert headers[REASON] == "model-failed"
            assert headers["dead-letter-deliveries"] == "3"
            assert sorted(await orders(client)) == [number for number in range(20) if number != 3]

    asyncio.run(story())


def test_a_model_that_recovers_answers_what_it_failed_on(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        model = Model(fails_on={float(number) for number in range(5)})
        async with worker(server.address, folder / "control.json", model=model) as rig:
            await send(client, 5)
            await until(lambda: rig.count("redelivered") == 5)
            model.fails_on.clear()
            await until(lambda: rig.count("answered") == 5, 20)
            assert sorted(await orders(client)) == [0, 1, 2, 3, 4]
            assert await client.read(DEAD) == []

    asyncio.run(story())


def test_answers_of_a_key_come_in_the_order_of_its_messages(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        async with worker(server.address, folder / "control.json", max_rows=7, model=Model(0.01)) as rig:
            await send(client, 400)
            await until(lambda: rig.count("answered") == 400, 30)
            by_customer = defaultdict(list)
            for number in await orders(client):
                by_customer[number % 7].append(number)
            assert sum(map(len, by_customer.values())) == 400
            assert all(numbers == sorted(numbers) for numbers in by_customer.values())
            assert max(len(call) for call in rig.model.calls) == 7  # and still they share calls

    asyncio.run(story())


def test_no_more_than_max_in_flight_are_unanswered(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        await send(client, 120)
        spec = streaming(maxInFlight=8)
        async with worker(
            server.address, folder / "control.json", spec=spec, model=Model(seconds=0.05), max_rows=4
        ) as rig:
            most = 0
            await until(lambda: rig.count("answered"))
            while rig.count("answered") < 120:
                most = max(most, rig.pipeline.in_flight)
                if isinstance(server, NatsServer):
                    info = await client.js.consumer_info(rig.broker._stream, "test--wine--v1--g1")  # type: ignore[attr-defined]
                    assert info.num_ack_pending <= 16  # the server counts what is acknowledged and on its way, too
                await asyncio.sleep(0.01)
            assert 0 < most <= 8
            assert sorted(await orders(client)) == list(range(120))

    asyncio.run(story())


def test_a_worker_that_stops_finishes_and_gives_back_the_rest(server: Server, folder: Path) -> None:
    """The next one goes on at once: what was given back does not wait for ``ackWait``."""

    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        spec = streaming(ackWait="1m", maxInFlight=40)
        async with worker(
            server.address, folder / "control.json", model=Model(seconds=0.3), spec=spec, max_rows=1
        ) as rig:
            await send(client, 60)
            await until(lambda: rig.count("answered") >= 2)
            given_back = await rig.drain(0.7)
            assert given_back > 0
        before = len(await orders(client))
        assert before < 60
        async with worker(server.address, folder / "control.json", spec=spec) as rig:
            await until(lambda: rig.count("answered") >= 60 - before, 25, lambda: rig.consumer.state())
            await until(lambda: rig.pipeline.in_flight == 0)
        assert set(await orders(client)) == set(range(60))

    asyncio.run(story())


def test_lag_is_told(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        everything(folder / "control.json")
        spec = streaming(maxInFlight=4)
        async with worker(
            server.address, folder / "control.json", model=Model(seconds=0.25), spec=spec, max_rows=1
        ) as rig:
            await send(client, 30)
            await until(lambda: rig.figure("lag_messages") > 5, 10)
            await until(lambda: rig.figure("lag_seconds") > 1, 10)
            assert rig.figure("in_flight") <= 4
            assert (rig.figure("connected"), rig.figure("share")) == (1, 100)
            rig.model.seconds = 0
            await until(lambda: rig.count("answered") == 30, 20)
            await until(lambda: rig.figure("lag_messages") == 0, 10)
            assert rig.figure("lag_seconds") == 0
            assert rig.figure("processing_seconds_count") == 30

    asyncio.run(story())


def test_mirrored_messages_are_scored_and_not_answered(server: Server, folder: Path) -> None:
    async def story() -> None:
        from mlplatform.streaming.control import Control, Duty, write_control

        client = await server.client()
        duty = Duty(generation=1, mirror=100)
        write_control(
            folder / "control.json", Control(environment="test", model="wine", revision=1, versions={2: duty})
        )
        model = Model(fails_on={4.0})
        async with worker(server.address, folder / "control.json", version=2, model=model) as rig:
            await until(lambda: rig.consumer.revision == 1)
            await send(client, 20)
            await client.publish(INPUT, b"nope")
            await until(lambda: rig.count("shadowed") == 20, show=lambda: rig.consumer.state())
            assert rig.count("shadow_failed") == 1
            assert await client.read(OUTPUT) == []
            assert await client.read(DEAD) == []
            assert rig.pipeline.in_flight == 0

    asyncio.run(story())


def test_the_same_message_sent_twice_is_answered_once(lasting_server: Server, folder: Path) -> None:
    """Where the broker can tell; in Kafka its consumers tell by ``ce_id``."""

    async def story() -> None:
        client = await lasting_server.client()
        everything(folder / "control.json")
        async with worker(lasting_server.address, folder / "control.json") as rig:
            for _ in range(2):
                for number in range(5):
                    body = json.dumps({"x": number, "order": f"o{number}"}).encode()
                    await client.publish(INPUT, body, {"ce-id": f"m{number}"})
            await until(lambda: rig.count("answered") == 10)
            assert await orders(client) == [0, 1, 2, 3, 4]

    asyncio.run(story())


def test_what_faststream_publishes_to_redis_is_read(folder: Path) -> None:
    from faststream.redis import RedisBroker

    from tests.mlplatform.streaming.servers import ValkeyServer

    async def story() -> None:
        server = ValkeyServer(folder).start()
        try:
            client = await server.client()
            everything(folder / "control.json")
            async with (
                worker(server.address, folder / "control.json") as rig,
                RedisBroker(server.address.url) as sender,
            ):
                await sender.publish({"x": 5, "order": "o5"}, stream=INPUT, headers={"ce-id": "f5"})
                await until(lambda: rig.count("answered") == 1)
            ((body, headers),) = await client.read(OUTPUT)
            assert json.loads(body) == {"order": "o5", "y": 10.0}
            assert headers["ce-id"] == "f5"
        finally:
            server.kill()

    asyncio.run(story())


def test_a_stream_that_may_not_be_made_is_asked_for(nats_server: NatsServer) -> None:
    from mlplatform.streaming.brokers.base import Limits, Retention, Topology
    from mlplatform.streaming.brokers.nats import NatsStream

    async def story() -> None:
        await nats_server.client(streams=False)
        topology, limits = Topology(INPUT, OUTPUT, DEAD), Limits(10, 5, 1)
        broker = NatsStream(nats_server.address, topology, limits, Retention(), name="t", create=False)
        await broker.connect()
        with pytest.raises(BrokerError, match=r"no stream of nats://.* has the subject shop.orders"):
            await broker.prepare()
        await broker.close()

    asyncio.run(story())


def test_topics_that_are_missing_in_kafka_are_named(folder: Path) -> None:
    from mlplatform.streaming.brokers.base import Limits, Topology
    from mlplatform.streaming.brokers.kafka import KafkaStream
    from tests.mlplatform.streaming.servers import KafkaCluster

    async def story() -> None:
        cluster = KafkaCluster(folder).start()
        broker = KafkaStream(cluster.address, Topology(INPUT, OUTPUT, "shop.lost"), Limits(10, 5, 1), name="t")
        await broker.connect()
        with pytest.raises(BrokerError, match=r"has no topic shop.lost; make it"):
            await broker.prepare()
        await broker.close()
        cluster.kill()

    asyncio.run(story())


@pytest.mark.parametrize("scheme", ["nats", "redis", "kafka"])
def test_a_broker_that_is_not_there_is_told_with_its_address(folder: Path, scheme: str) -> None:
    from mlplatform.streaming.brokers.address import BrokerUnreachable
    from mlplatform.streaming.brokers.base import Limits, Retention, Topology
    from mlplatform.streaming.server import make_broker

    async def story() -> None:
        topology, limits = Topology(INPUT, OUTPUT, DEAD), Limits(10, 5, 1)
        broker = make_broker(Address(f"{scheme}://127.0.0.1:9"), topology, limits, Retention(), name="t")
        with pytest.raises(BrokerUnreachable, match=rf"{scheme}://127.0.0.1:9"):
            await broker.connect()
        assert broker.trouble
        await broker.close()

    asyncio.run(story())


@pytest.mark.parametrize("secret", ["SUAKEY", "-----BEGIN NATS USER JWT-----\nx"])
def test_a_key_without_the_package_for_it_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    file = folder / "credentials"
    file.write_text(secret)
    file.chmod(0o600)
    monkeypatch.setattr(nats, "find_spec", lambda _name: None)
    with pytest.raises(BrokerError, match=r"add `mlplatform\[streaming-nkeys\]` to the dependencies"):
        nats.security(Address("nats://127.0.0.1:4222", file))
