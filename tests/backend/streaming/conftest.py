"""A platform with streaming models: the real backend, the real supervisord, the real NATS server, real workers."""

import asyncio
import json
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.local.folders import Folders
from backend.local.platform import LocalPlatform
from tests.backend.batch.conftest import OPEN, SPEC, python_model
from tests.backend.bytecode import share_bytecode
from tests.backend.conftest import Backend, Someone, make_settings
from tests.backend.targets.machine import start_without_backend, wait_for
from tests.backend.versions import put_version
from tests.mlplatform.streaming.servers import NatsClient
from tests.ports import free_ports
from tests.waiting import wait_until

MODEL = "orders"
PLACE = f"/environments/lab/models/{MODEL}"
STREAMING: dict[str, Any] = {
    "broker": "nats", "input": "shop.orders", "output": "shop.scores", "deadLetter": "shop.dead", "key": "customer",
    "carry": ["order"], "ackWait": "2s",
}  # fmt: skip
ROLLOUT: dict[str, Any] = {
    "steps": [20, 50, 100],
    "interval": "1s",
    "keepWarm": "10m",
    "analysis": {"minRequests": 20, "latency": {"maximum": "5s"}},
}
TIMES = "def predict(self, context, model_input, params=None):\n    return model_input['x'] * {factor}"

__all__ = ["python_model"]


@dataclass
class Orders:
    """Somebody who publishes orders for as long as a test wants."""

    url: str
    user: str
    password: str
    sent: int = 0
    pause: float = 0.02
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "Orders":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> int:
        self._over.set()
        if self._thread is not None:
            self._thread.join(30)
        return self.sent

    async def _publish(self) -> None:
        client = await NatsClient.connect(self.url, user=self.user, password=self.password)
        while not self._over.is_set():
            number = self.sent
            body = json.dumps({"x": float(number), "customer": f"c{number % 97}", "order": number})
            await client.publish("lab.shop.orders", body.encode(), {"Nats-Msg-Id": f"m{number}"})
            self.sent = number + 1
            await asyncio.sleep(self.pause)
        await client.close()


@dataclass
class Shop:
    """The platform, asked over HTTP as ada, and its streams."""

    services: Services
    backend: Backend
    ada: Someone
    platform: LocalPlatform
    model: Callable[[str], Path]
    publishers: list[Orders] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.services.settings

    def add_version(
        self,
        number: int,
        body: str | None = None,
        *,
        streaming: dict[str, Any] | None = None,
        reference: pd.DataFrame | None = None,
        **spec: Any,
    ) -> None:
        document = {
            **SPEC, "type": "streaming", "rollout": ROLLOUT, **spec, "streaming": {**STREAMING, **(streaming or {})},
        }  # fmt: skip
        put_version(self.services, number, document, self.model(body or TIMES.format(factor=number)), reference)

    def ask(self, version: int) -> dict[str, Any]:
        answer = self.ada.post("/deployments", {"model": MODEL, "version": version, "environment": "lab"})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def deploy(self, version: int) -> dict[str, Any]:
        return self.until(self.ask(version)["id"], "completed")

    def deployment(self, id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.ada.get(f"/deployments/{id}").json()
        return document

    def until(self, id: str, *phases: str, seconds: float = 150) -> dict[str, Any]:
        wait_until(
            lambda: self.deployment(id)["phase"] in phases, seconds, lambda: json.dumps(self.deployment(id), indent=1)
        )
        return self.deployment(id)

    def orders(self) -> Orders:
        folders = Folders(self.settings.home)
        user, _, password = folders.nats_credentials.read_text().partition(":")
        self.publishers.append(Orders(f"nats://127.0.0.1:{self.settings.nats.port}", user, password))
        return self.publishers[-1]

    def answers(self, subject: str = "lab.shop.scores") -> list[tuple[int, int]]:
        """Return order and version of each answer."""

        async def read() -> list[tuple[int, int]]:
            who = self.orders()
            client = await NatsClient.connect(who.url, user=who.user, password=who.password)
            found = await client.read(subject)
            await client.close()
            return [
                (json.loads(body)["order"], int(headers.get("ce-modelversion") or headers["dead-letter-version"]))
                for body, headers in found
            ]

        return asyncio.run(read())

    def until_answered(self, count: int, seconds: float = 60) -> list[tuple[int, int]]:
        """Wait until each of so many orders has an answer; there must be none that has two."""
        wait_until(
            lambda: {order for order, _ in self.answers()} == set(range(count)),
            seconds,
            lambda: f"missing: {sorted(set(range(count)) - {order for order, _ in self.answers()})[:20]}",
        )
        answers = self.answers()
        twice = {order: times for order, times in Counter(order for order, _ in answers).items() if times > 1}
        assert not twice
        return answers

    def workers(self, version: int) -> list[int]:
        """Return the pids of a version's workers."""
        states = self.platform.states()
        return [state.pid for name, state in states.items() if f"--v{version}--" in name and state.runs]


@contextmanager
def running(root: Path, model: Callable[[str], Path], **sections: Any) -> Iterator[Shop]:
    port, admin_port, backend_port, nats_port, first = free_ports(5)
    settings = make_settings(
        root / "home",
        None,
        environments={"lab": OPEN, **sections.pop("environments", {})},
        rollouts={"pollInterval": "0.1s", "reconcileInterval": "0.2s"},
        ingress={"port": port, "adminPort": admin_port},
        backend={"port": backend_port},
        nats={"port": nats_port},
        serving={"python": sys.executable, "portRange": [first, min(first + 200, 65_535)]},
        **sections,
    )
    platform = LocalPlatform(Folders(settings.home))
    platform.folders.make()
    share_bytecode(settings.home)
    try:
        start_without_backend(platform, settings)
        wait_for(lambda: platform.states().get("envoy"))
        app = create_app(settings)
        with TestClient(app, raise_server_exceptions=False) as http:
            backend = Backend(http, app.state.services)
            made = Shop(app.state.services, backend, backend.someone("ada"), platform, model)
            yield made
            for publisher in made.publishers:
                publisher.stop()
    finally:
        platform.stop_kept(lambda _: None)
        platform.stop_orphans(lambda _: None)


@pytest.fixture
def shop(python_model: Callable[[str], Path]) -> Iterator[Shop]:
    root = Path(tempfile.mkdtemp(prefix="mlp-"))
    try:
        with running(root, python_model) as made:
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)
