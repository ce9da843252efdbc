"""A platform whose clock stands still, and the people who ask and answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from catalog.own import OwnSources
from tests.conftest import SetClock

from ..conftest import Backend, Someone, make_settings

TARGETS = {"targets": [{"name": "platform", "url": "json://127.0.0.1:1/", "severities": ["page", "ticket"]}]}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(tmp_path / "home", database_url, notifications=TARGETS)


@dataclass
class Desk:
    """The platform without its runtime: nothing happens but what a test does."""

    backend: Backend
    services: Services
    clock: SetClock

    # Signed in anew each time: the clock may have moved.

    @property
    def ada(self) -> Someone:
        return self.backend.someone("ada")

    @property
    def grace(self) -> Someone:
        return self.backend.someone("grace")

    @property
    def operator(self) -> Someone:
        return self.backend.someone("operator")

    def ask(self, who: Someone | None = None, **wish: Any) -> dict[str, Any]:
        body = {"title": "staging refuses my model", "text": "since this morning", **wish}
        answer = (who or self.ada).post("/support/requests", body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def say(self, who: Someone, id: str, kind: str, text: str = "said") -> Any:
        return who.post(f"/support/requests/{id}/{kind}", {"text": text})

    def figure(self, name: str, **query: Any) -> dict[str, Any]:
        answer = self.ada.get(f"/overview/figures/{name}", **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def desk(settings: Settings, set_clock: SetClock) -> Iterator[Desk]:
    app = create_app(settings, clock=set_clock)
    services: Services = app.state.services
    OwnSources(services).sync()
    backend = Backend(TestClient(app, raise_server_exceptions=False), services)
    yield Desk(backend, services, set_clock)
    services.database.close()
