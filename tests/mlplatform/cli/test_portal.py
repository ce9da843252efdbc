"""``platform portal`` and ``platform metrics``, against a real backend."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi.responses import JSONResponse

from backend.app import create_app
from backend.core.config import Settings
from tests.backend.conftest import make_settings
from tests.marks import on_one_database
from tests.mlplatform.platform_double import TOKEN, PlatformDouble, Server
from tests.mlplatform.repositories import Run, platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

PORTAL = {"enabled": True, "baseUrl": "https://portal.example.org/"}


@dataclass
class Installed:
    """A backend on a port of its own, and ``platform`` run beside it."""

    settings: Settings
    url: str
    folder: Path

    def platform(self, *arguments: str, **environment: str) -> Run:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
        own = {"ML_PLATFORM_HOME": str(self.settings.home), "ML_PLATFORM_URL": self.url}
        return platform(*arguments, folder=self.folder, environment={**kept, **own, **environment})

    def configure(self, **portal: object) -> None:
        (self.folder / "app-config.yaml").write_text(json.dumps({"mlPlatform": {"portal": portal}}))


@pytest.fixture
def installed(tmp_path: Path, database_url: str) -> Iterator[Installed]:
    settings = make_settings(tmp_path / "home", database_url, portal=PORTAL)
    app = create_app(settings)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started, 30)
    folder = tmp_path / "work"
    folder.mkdir()
    made = Installed(settings, f"http://127.0.0.1:{listener.getsockname()[1]}", folder)
    made.configure(**PORTAL)
    yield made
    server.should_exit = server.force_exit = True
    thread.join()
    app.state.services.database.close()


@on_one_database
def test_the_link_signs_in(installed: Installed) -> None:
    run = installed.platform("portal", "--user", "user:default/ada")
    assert (run.status, run.err) == (0, "")
    link = urlsplit(run.out.strip())
    assert (link.scheme, link.netloc, link.path, link.query) == ("https", "portal.example.org", "/", "")
    name, _, token = link.fragment.partition("=")
    assert name == "sign-in"
    me = httpx.get(
        f"{installed.url}/api/ml-platform/identity/me", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    assert (me.status_code, me.json()["ref"]) == (200, "user:default/ada")

    document = json.loads(installed.platform("portal", "--user", "user:default/grace", "--json").out)
    assert document["url"].startswith("https://portal.example.org/#sign-in=")
    assert document["expiresAt"]


@on_one_database
def test_why_there_is_no_link(installed: Installed) -> None:
    nobody = installed.platform("portal", "--user", "user:default/nobody")
    assert (nobody.status, nobody.out) == (1, "")
    assert "user:default/nobody" in nobody.err

    shutil.move(installed.settings.home / "identity" / "login-secret", installed.folder / "secret")
    missing = installed.platform("portal", "--user", "user:default/ada")
    assert (missing.status, missing.out) == (1, "")
    assert "the platform's login secret was not found" in missing.err
    assert "--secret-file" in missing.err
    named = installed.platform("portal", "--user", "user:default/ada", "--secret-file", "secret")
    assert named.status == 0, named.err

    installed.configure(enabled=False)
    off = installed.platform("portal", "--user", "user:default/ada", "--secret-file", "secret")
    assert (off.status, off.out) == (1, "")
    assert off.err.splitlines() == [
        "error: the portal is switched off",
        "  set mlPlatform.portal.enabled, then run `platform up`",
    ]
    installed.configure(enbaled=True)
    wrong = installed.platform("portal", "--user", "user:default/ada")
    assert (wrong.status, wrong.out) == (1, "")
    assert "mlPlatform.portal.enbaled" in wrong.err
    assert "Traceback" not in wrong.err


@on_one_database
def test_the_platform_counts_its_own_figures(installed: Installed) -> None:
    assert installed.platform("login", "--user", "user:default/ada").status == 0
    document = json.loads(installed.platform("metrics", "--days", "90", "--json").out)
    assert document["days"] == 90
    figures = {one["name"]: one for one in document["items"]}
    assert figures["deployments"]["value"] == 0
    assert figures["deployment-success-rate"]["target"] == 99
    human = installed.platform("metrics")
    assert human.status == 0, human.err
    assert [line.split()[0] for line in human.out.splitlines()] == ["figure", *figures]
    wrong = installed.platform("metrics", "--days", "0")
    assert wrong.status == 2


def test_figures_are_shown_with_units(double: PlatformDouble, tmp_path: Path) -> None:
    def figure(
        name: str, value: float | None, unit: str, target: float | None, reached: bool | None
    ) -> dict[str, object]:
        numbers = {"value": value, "target": target, "count": 3, "reached": reached}
        return {"name": name, "unit": unit, "meaning": "x", **numbers}

    items = [
        figure("rate", 66.6667, "percent", 99, False),
        figure("time", 12.25, "minutes", 30, True),
        figure("back", 4, "seconds", None, None),
        figure("none", None, "minutes", 30, None),
        figure("zero", 0, "count", None, None),
    ]
    double.fail("GET", "/overview/figures", lambda: JSONResponse(items))
    environment = {**os.environ, "ML_PLATFORM_URL": double.url, "ML_PLATFORM_TOKEN": TOKEN}
    run = platform("metrics", "--days", "7", folder=tmp_path, environment=environment)
    assert run.status == 0, run.err
    assert [line.split() for line in run.out.splitlines()[1:]] == [
        ["rate", "66.7", "%", "99", "%", "no", "3"],
        ["time", "12.2", "min", "30", "min", "yes", "3"],
        ["back", "4", "s", "-", "-", "3"],
        ["none", "-", "30", "min", "-", "3"],
        ["zero", "0", "-", "-", "3"],
    ]
    assert double.calls("GET", "/overview/figures")[0].query == {"days": "7"}
