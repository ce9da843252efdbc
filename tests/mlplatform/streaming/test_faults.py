"""Workers and brokers are killed at random moments; every message is answered, and once.

"Once" is after the broker's own removal of duplicates (NATS, Redis), or after that of a consumer by ``ce_id`` (Kafka).
"""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from mlplatform.streaming.control import Control, write_control
from mlplatform.streaming.handover import Progress, groups_to_ask, let_go, take_over
from mlplatform.streaming.position import BEGINNING
from tests.mlplatform.streaming.conftest import Server
from tests.mlplatform.streaming.rig import OUTPUT, Model, Rig, everything, orders, send, streaming, until, worker
from tests.mlplatform.streaming.servers import Client, KafkaCluster

pytestmark = [pytest.mark.fault, pytest.mark.slow]


async def once(client: Client, server: Server) -> list[int]:
    """Return the answered orders, duplicates taken out where that is the reader's part."""
    if not isinstance(server, KafkaCluster):
        return await orders(client)
    seen: dict[str, int] = {}
    for body, headers in await client.read(OUTPUT):
        seen.setdefault(headers["ce_id"], int(json.loads(body)["order"].removeprefix("o")))
    return list(seen.values())


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_are_killed_lose_nothing(server: Server, folder: Path, seed: int) -> None:
    async def story() -> None:
        dice = random.Random(seed)
        client = await server.client()
        everything(folder / "control.json")
        spec = streaming(maxInFlight=32)
        sending = asyncio.create_task(send(client, 300))
        for _ in range(4):
            async with worker(server.address, folder / "control.json", model=Model(0.01), spec=spec, max_rows=4) as rig:
                wanted = rig.count("answered") + dice.randrange(10, 60)
                await until(lambda rig=rig, wanted=wanted: rig.count("answered") >= wanted or sending.done(), 40)
                await rig.kill(stop=False)
        await sending
        async with worker(server.address, folder / "control.json", spec=spec) as rig:

            async def all_answered() -> bool:
                return set(await once(client, server)) == set(range(300))

            await until(all_answered, 60, lambda: rig.consumer.state())
        assert Counter(await once(client, server)) == Counter(range(300))

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(2))
def test_a_broker_that_is_killed_loses_nothing(lasting_server: Server, folder: Path, seed: int) -> None:
    async def story() -> None:
        dice = random.Random(seed)
        client = await lasting_server.client()
        everything(folder / "control.json")
        spec = streaming(maxInFlight=32)
        async with worker(lasting_server.address, folder / "control.json", model=Model(0.01), spec=spec) as rig:
            for round_ in range(3):
                wanted = rig.count("answered") + dice.randrange(1, 90)
                await send(client, 100, first=round_ * 100)
                await until(lambda wanted=wanted: rig.count("answered") >= wanted, 40, lambda: rig.consumer.state())
                lasting_server.kill()  # type: ignore[attr-defined]
                await until(lambda: rig.consumer.state()["trouble"], 20)
                assert rig.figure("connected") == 0
                await asyncio.sleep(dice.random())
                lasting_server.start()
                await client.close()
                client = await lasting_server.client()

            async def all_answered() -> bool:
                return set(await orders(client)) == set(range(300))

            await until(all_answered, 60, lambda: (rig.consumer.state(), rig.pipeline.in_flight))
            await until(lambda: rig.figure("connected") == 1)
        assert Counter(await orders(client)) == Counter(range(300))

    asyncio.run(story())


def change(path: Path, control: Control, weights: dict[int, int], progress: Progress) -> Control:
    """Write both steps of a change of shares."""
    control = take_over(control, weights, None, progress, BEGINNING)
    write_control(path, control)
    control = let_go(control, weights, None)
    write_control(path, control)
    return control


@pytest.mark.parametrize("seed", range(3))
def test_shares_change_while_workers_are_killed(server: Server, folder: Path, seed: int) -> None:
    """Two versions, real groups at a real broker; the schedule is drawn by dice."""

    async def story() -> None:
        dice = random.Random(seed)
        client = await server.client()
        path = folder / "control.json"
        control = Control(environment="test", model="wine", revision=0)
        spec = streaming(maxInFlight=16)
        everywhere = {"spec": spec, "max_rows": 4}
        async with worker(server.address, path, version=1, model=Model(0.005), **everywhere) as asks:  # type: ignore[arg-type]

            async def move(weights: dict[int, int]) -> None:
                nonlocal control
                done = await asks.broker.progress(groups_to_ask(control))
                control = change(path, control, weights, Progress(await asks.broker.head(), done))

            over = asyncio.Event()

            async def keep_sending() -> int:
                sent = 0
                while not over.is_set():
                    await send(client, 10, first=sent, customers=50)
                    sent += 10
                    await asyncio.sleep(0.05)
                return sent

            await move({1: 100})
            sending = asyncio.create_task(keep_sending())
            rigs: list[Rig] = [asks]
            for share in (5, 50, 20, 100):
                async with worker(server.address, path, version=2, model=Model(0.005), **everywhere) as second:  # type: ignore[arg-type]
                    rigs.append(second)
                    await move({1: 100 - share, 2: share} if share < 100 else {2: 100})
                    goal = sum(rig.count("answered") for rig in rigs) + dice.randrange(20, 60)
                    await until(lambda goal=goal: sum(rig.count("answered") for rig in rigs) >= goal, 60)
                    if share >= 50:  # with less it may have none of the customers
                        await until(lambda second=second: second.count("answered") > 0, 60, second.consumer.state)
                    await second.kill(stop=False)
                if share == 100:
                    await move({1: 100})  # the one with everything is dead: back to the first
                elif dice.random() < 0.5:
                    await move({1: 100})
            await move({1: 100})
            over.set()
            sent = await sending

            async def all_answered() -> bool:
                return set(await once(client, server)) == set(range(sent))

            await until(all_answered, 60, lambda: asks.consumer.state())
            assert Counter(await once(client, server)) == Counter(range(sent))

    asyncio.run(story())


def test_a_change_of_shares_keeps_the_order_of_a_key(server: Server, folder: Path) -> None:
    """Nothing is killed: after duplicates are taken out the answers of each key come in the order of its messages."""

    async def story() -> None:
        client = await server.client()
        path = folder / "control.json"
        control = Control(environment="test", model="wine", revision=0)
        async with (
            worker(server.address, path, version=1, model=Model(0.01), max_rows=8) as first,
            worker(server.address, path, version=2, model=Model(0.002), max_rows=8) as second,
        ):
            sending = asyncio.create_task(send(client, 500, customers=11))
            for weights in ({1: 100}, {1: 80, 2: 20}, {1: 30, 2: 70}, {2: 100}, {1: 50, 2: 50}, {1: 100}):
                done = await first.broker.progress(groups_to_ask(control))
                control = change(path, control, weights, Progress(await first.broker.head(), done))
                await until(
                    lambda control=control: first.consumer.revision == second.consumer.revision == control.revision,
                    show=lambda: (first.consumer.state(), second.consumer.state()),
                )
                await asyncio.sleep(0.2)
            await sending

            async def all_answered() -> bool:
                return set(await once(client, server)) == set(range(500))

            await until(all_answered, 60, lambda: (first.consumer.state(), second.consumer.state()))
            by_key: dict[int, list[int]] = {}
            for number in await once(client, server):
                by_key.setdefault(number % 11, []).append(number)
            assert all(numbers == sorted(numbers) for numbers in by_key.values())
            assert first.count("answered") > 0
            assert second.count("answered") > 0

    asyncio.run(story())


def test_groups_that_nobody_needs_are_deleted(lasting_server: Server, folder: Path) -> None:
    async def story() -> None:
        await lasting_server.client()
        path = folder / "control.json"
        control = Control(environment="test", model="wine", revision=0)
        async with (
            worker(lasting_server.address, path, version=1) as first,
            worker(lasting_server.address, path, version=2) as second,
        ):
            for weights in ({1: 100}, {1: 50, 2: 50}, {2: 100}):
                done = await first.broker.progress(groups_to_ask(control))
                control = change(path, control, weights, Progress(await first.broker.head(), done))
                await until(
                    lambda control=control: first.consumer.revision == second.consumer.revision == control.revision
                )
            group = control.group(2)

            async def alone() -> bool:
                return await first.broker.groups("test--wine--v") == [group]

            await until(alone, 10)
            assert set(first.consumer.state()["forgotten"]) == set(control.retired)

    asyncio.run(story())


def test_a_stream_that_was_made_anew_is_read_from_its_beginning(lasting_server: Server, folder: Path) -> None:
    """The positions in the control file are about a stream that is no more; nothing of the new one is passed over."""

    async def story() -> None:
        from mlplatform.streaming.control import whole_stream
        from mlplatform.streaming.position import Position, join_halves

        client = await lasting_server.client()
        place = 10_000 if lasting_server.address.kind == "nats" else join_halves(9_999_999_999_999, 0)
        write_control(folder / "control.json", whole_stream("test", "wine", 1, Position({"": place})))
        await send(client, 10)
        async with worker(lasting_server.address, folder / "control.json") as rig:
            await until(lambda: rig.count("answered") == 10, show=lambda: rig.consumer.state())
            assert rig.consumer.state()["renewed"] is True

    asyncio.run(story())
