"""What the template makes for batch and streaming, shipped and used as it comes: scored days, answered messages, a rollback."""

import asyncio
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from demo.shell import Person, wait_until
from tests.journeys.conftest import RunningPlatform
from tests.mlplatform.streaming.servers import NatsClient

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

ENVIRONMENT = "staging"


def engineer(platform: RunningPlatform, name: str, kind: str) -> Person:
    """Return ada in a new repository of hers."""
    ada = platform.signed_in("ada")
    ada.platform("new", name, "--type", kind, "--data", "owner=group:default/risk", "--defaults")
    ada.folder = ada.folder / name
    return ada


def python(ada: Person, *arguments: str) -> str:
    """Run Python in the repository's own environment."""
    command = [find_uv_bin(), "run", "--frozen", "python", *arguments]
    process = subprocess.run(
        command, cwd=ada.folder, env=dict(ada.environment), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_a_batch_model_scores_days_and_fills_in_others(running_platform: RunningPlatform) -> None:
    ada = engineer(running_platform, "late-flights", "batch")
    lake = running_platform.home / "lake" / ENVIRONMENT
    python(ada, "-m", "late_flights.lake", "--lake", str(lake))

    shipped = ada.platform("run", "--env", ENVIRONMENT).document
    assert (shipped["outcome"], shipped["deployment"]["outcome"]) == ("passed", "promoted"), shipped

    ada.platform("batch", "run", "--env", ENVIRONMENT, "--day", "2013-10-02", "--wait")
    (partition,) = lake.rglob("date=2013-10-02/_run.json")
    written = partition.read_bytes()
    days = ("--from", "2013-10-01", "--to", "2013-10-04")
    ada.platform("batch", "backfill", "--env", ENVIRONMENT, *days, "--wait")
    assert {path.parent.name for path in partition.parents[1].glob("*/_run.json")} == {
        f"date=2013-10-0{day}" for day in range(1, 5)
    }
    assert partition.read_bytes() == written, "a day that was scored stays as it is"


class Readings:
    """What sensors send to the platform's NATS server, and what comes of it."""

    def __init__(self, platform: RunningPlatform, messages: list[dict[str, Any]]) -> None:
        credentials = platform.home / "nats" / "credentials"
        self._url, self._messages = platform.nats, messages
        self._user, _, self._password = credentials.read_text().partition(":")
        self.sent = 0

    def send(self, count: int) -> None:
        """Publish the next readings."""
        asyncio.run(self._send(count))

    def answers(self) -> Counter[str]:
        """Return how many answers there are from each version; each reading has one at most."""
        found = asyncio.run(self._read())
        assert len({body["reading"] for body, _version in found}) == len(found)
        return Counter(version for _body, version in found)

    async def _send(self, count: int) -> None:
        client = await NatsClient.connect(self._url, user=self._user, password=self._password)
        for number in range(self.sent, self.sent + count):
            body = {**self._messages[number % len(self._messages)], "reading": f"r{number}"}
            subject = f"{ENVIRONMENT}.shuttle.readings"
            await client.publish(subject, json.dumps(body).encode(), {"Nats-Msg-Id": f"m{number}"})
        self.sent += count
        await client.close()

    async def _read(self) -> list[tuple[dict[str, Any], str]]:
        client = await NatsClient.connect(self._url, user=self._user, password=self._password)
        found = await client.read(f"{ENVIRONMENT}.shuttle.anomalies")
        await client.close()
        return [(json.loads(body), headers["ce-modelversion"]) for body, headers in found]


def test_a_streaming_model_answers_shifts_shares_and_goes_back(running_platform: RunningPlatform) -> None:
    ada = engineer(running_platform, "shuttle-watch", "streaming")
    _edit(ada.folder / "model.yaml", r"^  interval: .*$", "  interval: 3s")
    _edit(ada.folder / "model.yaml", r"^    minRequests: .*$", "    minRequests: 20")
    ada.commit("Roll out faster")
    first = ada.platform("run", "--env", ENVIRONMENT).document
    assert (first["outcome"], first["deployment"]["outcome"]) == ("passed", "promoted"), first

    show = "import json; from itertools import islice; from shuttle_watch.data import sample"
    readings = Readings(
        running_platform, json.loads(python(ada, "-c", f"{show}; print(json.dumps([*islice(sample(), 500)]))"))
    )
    readings.send(50)
    wait_until(lambda: readings.answers() == Counter({"1": 50}), seconds=60, what="answers of the first version")

    _edit(ada.folder / "params.toml", r"^c = .*$", "c = 2.0")
    ada.commit("Regularise less")
    second = ada.platform("run", "--env", ENVIRONMENT, "--no-wait").document["deployment"]

    def promoted() -> bool:
        readings.send(50)
        deployment = ada.api(f"/deployments/{second['id']}")
        assert deployment["outcome"] in {None, "promoted"}, deployment
        return deployment["outcome"] is not None

    wait_until(promoted, seconds=240, every=0.5, what="the second version is promoted")
    wait_until(lambda: readings.answers().total() == readings.sent, seconds=60, what="all readings are answered")
    assert set(readings.answers()) == {"1", "2"}

    ada.platform("rollback", "--env", ENVIRONMENT, "--reason", "trying it out")
    before = readings.answers()
    readings.send(50)
    wait_until(lambda: readings.answers()["1"] == before["1"] + 50, seconds=60, what="the first version answers again")
    assert readings.answers()["2"] == before["2"]


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, f"{path.name} has nothing that matches {pattern!r}"
    path.write_text(text, encoding="utf-8")
