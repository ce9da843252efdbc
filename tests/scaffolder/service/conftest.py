"""A backend that makes repositories, with the template released once for all tests."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.audit.models import AuditRow
from backend.core.config import Settings
from backend.core.container import Services
from tests.backend.conftest import Backend, Someone, empty_mlflow, make_settings
from tests.waiting import wait_until

__all__ = ["empty_mlflow"]


def scaffolding_settings(
    folder: Path, database_url: str | None, empty_mlflow: Path, released: Path, **sections: Any
) -> Settings:
    """Settings of a platform to whose home the template has been released already."""
    (folder / "mlflow").mkdir(parents=True)
    shutil.copyfile(empty_mlflow, folder / "mlflow" / "mlflow.db")
    shutil.copytree(released / "templates", folder / "templates")
    return make_settings(folder, database_url, **sections)


@dataclass
class Platform:
    """A running backend, and what tests ask of it."""

    backend: Backend
    services: Services
    ada: Someone

    def ask(self, name: str, **body: Any) -> Any:
        return self.ada.post("/scaffolds", {"name": name, "type": "realtime", **body})

    def make(self, name: str, timeout: float = 120, **body: Any) -> dict[str, Any]:
        answer = self.ask(name, **body)
        assert answer.status_code == 201, answer.text
        return self.over(answer.json()["id"], timeout)

    def over(self, id: str, timeout: float = 120) -> dict[str, Any]:
        """Wait for a scaffold to be over."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal found
            found = self.ada.get(f"/scaffolds/{id}").json()
            return found["state"] in {"done", "failed", "cancelled"}

        wait_until(reached, timeout, lambda: json.dumps(found, indent=1))
        folder = self.services.settings.home / "scaffolds" / id
        wait_until(lambda: not folder.exists(), timeout, lambda: f"{folder} is still there")
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """All audit events about a name, oldest first."""
        with self.services.database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.seq).all()
        events = [json.loads(row.event) for row in rows]
        return [one for one in events if re.search(rf"[:/]{name}(/|$)", one["subject"])]

    def left(self, name: str) -> list[str]:
        """What is there of a name in the platform's home: its repository, working folders, folders of the box."""
        home = self.services.settings.home
        folders = [*(home / "scaffolds").glob("*"), *(home / "sandbox").glob("job-*")]
        return [path.name for path in (*folders, *(home / "git").glob(f"*/*{name}*"))]

    def scaffolds(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ada.get("/scaffolds", name=name).json()["items"]
        return found


@contextmanager
def running(settings: Settings) -> Iterator[Platform]:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, app.state.services)
        yield Platform(backend, app.state.services, backend.someone("ada"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path, home: Path) -> Iterator[Platform]:
    """One platform for a module's tests, each of which has names of its own."""
    folder = tmp_path_factory.mktemp("platform")
    settings = scaffolding_settings(folder / "home", f"sqlite:///{folder / 'platform.db'}", empty_mlflow, home)
    with running(settings) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test has."""
    return "m-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
