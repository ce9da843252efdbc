"""What a consumer keeps of a stream: some of what it has answered, under an id that follows from the message's own."""

import asyncio
import json
from pathlib import Path

import pytest

from mlplatform.serving.samples import Place, Sampler, named_id
from mlplatform.serving.spool import SEALED, spooled
from mlplatform.streaming.control import Duty, write_control
from tests.mlplatform.streaming.rig import INPUT, everything, until, worker
from tests.mlplatform.streaming.servers import NatsServer

pytestmark = pytest.mark.slow


def sampler(folder: Path, rate: float, version: int = 1) -> Sampler:
    """One that seals nothing."""
    folder.mkdir()
    return Sampler(folder, Place("test", "wine", str(version)), rate, "key", lambda data, _bound: data)


def samples(folder: Path) -> dict[str, dict[str, object]]:
    lines = [line for file in sorted(folder.glob(f"*{SEALED}")) for line in spooled(file)]
    return {line["id"]: json.loads(bytes.fromhex(line["sealed"])) for line in lines}


def test_answered_messages_are_sampled_and_nothing_else(nats_server: NatsServer, folder: Path) -> None:
    async def story() -> None:
        client = await nats_server.client()
        control = everything(folder / "control.json")
        mirroring = control.model_copy(update={"versions": {**control.versions, 2: Duty(generation=1, mirror=100)}})
        write_control(folder / "control.json", mirroring)
        first, second = sampler(folder / "first", 1.0), sampler(folder / "second", 1.0, 2)
        async with (
            worker(nats_server.address, folder / "control.json", sampler=first) as rig,
            worker(nats_server.address, folder / "control.json", version=2, sampler=second) as shadow,
        ):
            named = b'{"x": 21, "customer": "ada@example.com", "order": "o1"}'
            await client.publish(INPUT, named, {"Nats-Msg-Id": "m1 ada@example.com"})
            await client.publish(INPUT, b'{"x": "high"}', {"Nats-Msg-Id": "m2"})
            await client.publish(INPUT, b'{"x": 4}')
            await until(lambda: (rig.count("answered"), rig.count("invalid")) == (2, 1), show=rig.consumer.state)
            await until(lambda: shadow.count("shadowed") == 3, show=shadow.consumer.state)
        first.flush(10)
        found = samples(folder / "first")
        assert set(found) == {named_id("test", "wine", id) for id in ("m1 ada@example.com", f"{INPUT}:3")}
        mail = "[REDACTED:EMAIL]"
        assert found[named_id("test", "wine", "m1 ada@example.com")] == {
            "request": {"id": f"m1 {mail}", "instances": [{"x": 21, "customer": mail, "order": "o1"}]},
            "answer": {"predictions": [{"order": "o1", "y": 42.0}]},
        }
        assert not any("ada@" in file.read_text() for file in (folder / "first").iterdir())
        assert list((folder / "second").iterdir()) == []
        await client.close()

    asyncio.run(story())


def test_the_id_follows_from_the_place_and_the_names_alone() -> None:
    id = named_id("test", "wine", "m1")
    assert id == named_id("test", "wine", "m1") == "760b219f-32eb-5afe-983c-1d98bd72eecb"
    others = [named_id("lab", "wine", "m1"), named_id("test", "beer", "m1"), named_id("test", "wine", "m", "1")]
    assert len({id, *others}) == 4
