"""A worker without a control file, as in a cluster of somebody's own: its versions follow one another on the whole stream."""

import asyncio
from pathlib import Path

import pytest

from mlplatform.serving.command import Refused
from mlplatform.streaming import command
from mlplatform.streaming.brokers.nats import stream_name
from mlplatform.streaming.control import group_prefix, stand_alone, write_control
from tests.mlplatform.generate.specs import CASES
from tests.mlplatform.generate.test_manifests import objects
from tests.mlplatform.streaming.conftest import Server
from tests.mlplatform.streaming.rig import Model, orders, send, until, worker


def test_the_next_version_goes_on_where_the_last_one_stopped(server: Server, folder: Path) -> None:
    async def story() -> None:
        client = await server.client()
        path = folder / "whole-stream.json"
        for version in (1, 2):
            write_control(path, stand_alone("test", "wine", version))
            await send(client, 20, first=20 * version)
            model = Model()
            async with worker(server.address, path, version=version, model=model) as rig:
                await until(lambda rig=rig: rig.count("answered") == 20, show=rig.consumer.state)
                await rig.drain(5)
            assert sorted(x for call in model.calls for x in call) == list(range(20 * version, 20 * version + 20))
        assert sorted(await orders(client)) == list(range(20, 60))

    asyncio.run(story())


def test_keda_looks_at_the_consumer_that_there_will_be() -> None:
    document = CASES["nats"]
    control = stand_alone("production", document["name"], 7)
    found = objects(document)["ScaledObject"]["spec"]["triggers"][0]["metadata"]
    assert found["consumer"] == control.group(7)
    assert found["stream"] == stream_name([document["streaming"]["input"]])
    assert not control.group(7).startswith(group_prefix("production", document["name"]))


def test_a_version_that_is_no_number_is_told() -> None:
    with pytest.raises(Refused, match="is a number, not latest"):
        command._number("latest")
