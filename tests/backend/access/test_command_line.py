"""`platform access` as an engineer, an owner and an administrator use it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from backend.app import create_app
from backend.core.config import Settings
from catalog.own import OwnSources
from mlplatform.cli.app import run
from mlplatform.client import PlatformClient
from tests.conftest import SetClock
from tests.mlplatform.platform_double import Server
from tests.waiting import wait_until

from .conftest import REASON, add_data
from .test_policies import FREEZE

pytestmark = pytest.mark.slow

Platform = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def platform(
    settings: Settings,
    set_clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Platform]:
    """Run a command as somebody: status, its JSON document, and what it says on standard error."""
    app = create_app(settings, clock=set_clock)
    services = app.state.services
    add_data(services)
    OwnSources(services).sync()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    monkeypatch.setenv("ML_PLATFORM_URL", url)

    def as_somebody(name: str, *arguments: str) -> tuple[int, Any, str]:
        secret = services.identity.local.secret_file.read_text()
        with PlatformClient(url) as client:
            token = client.sign_in(secret, user=f"user:default/{name}")["accessToken"]
        monkeypatch.setenv("ML_PLATFORM_TOKEN", token)
        capsys.readouterr()
        status = run(["access", *arguments])
        out, err = capsys.readouterr()
        return status, json.loads(out) if "--json" in arguments and out else out, err

    yield as_somebody
    server.should_exit = True
    thread.join(timeout=30)


@pytest.mark.slow
def test_an_engineer_is_denied_asks_is_granted_for_a_day_and_it_ends_by_itself(
    platform: Platform, set_clock: SetClock
) -> None:
    data = "dataset:default/customers"
    status, _, said = platform("edsger", "check", "read", data)
    assert (status, "denied by rule data.purpose-required because" in said) == (1, True), said
    status, _, said = platform("edsger", "check", "read", data, "--purpose", "model-training")
    assert (status, "ask with `platform access request read" in said) == (1, True), said

    wish = ("request", "read", data, "--purpose", "model-training", "--for", "1d", "--reason", REASON)
    status, asked, said = platform("edsger", *wish, "--json")
    assert (status, asked["state"], asked["owner"]) == (0, "requested", "group:default/risk"), said
    status, _, said = platform("edsger", "approve", asked["id"])
    assert (status, "denied by rule separation-of-duties.own-grant" in said) == (1, True), said
    status, listed, _ = platform("grace", "grants", "--to-decide", "--json")
    assert [one["id"] for one in listed["items"]] == [asked["id"]]
    status, told, _ = platform("grace", "approve", asked["id"], "--comment", "for the spring run")
    assert (status, "granted; it is active until 2026-03-02 12:00 UTC" in told) == (0, True), told
    status, told, _ = platform("edsger", "check", "read", data, "--purpose", "model-training")
    assert (status, "allowed by rule grants.time-bound" in told) == (0, True), told

    set_clock.move(days=1)
    status, _, said = platform("edsger", "check", "read", data, "--purpose", "model-training")
    assert (status, "no rule permits" in said) == (1, True), said

    def expired() -> bool:
        return [one["state"] for one in platform("edsger", "grants", "--mine", "--json")[1]["items"]] == ["expired"]

    wait_until(expired, 60)
    status, _, said = platform("grace", "approve", asked["id"])
    assert (status, "it is expired" in said) == (1, True), said


@pytest.mark.slow
def test_a_review_from_its_opening_to_its_signed_result(platform: Platform) -> None:
    status, _, said = platform("ada", "review", "open", "spring")
    assert (status, "may not open access reviews" in said) == (1, True), said
    status, opened, _ = platform("operator", "review", "open", "spring", "--json")
    assert status == 0

    def waiting() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = platform("grace", "review", "list", "--mine", "--json")[1]["items"]
        return found

    wait_until(lambda: bool(waiting()), 60)
    kept, left = waiting()[:2]
    status, told, _ = platform("grace", "review", "confirm", kept["id"])
    assert (status, "confirmed" in told) == (0, True)
    status, told, _ = platform("grace", "review", "revoke", left["id"], "--comment", "left the team")
    assert (status, "revoked; " in told) == (0, True), told
    status, _, said = platform("operator", "review", "close", opened["id"], "--reason", "all is said")
    assert (status, "are not decided about" in said, "--expire-pending" in said) == (1, True, True)
    close = ("review", "close", opened["id"], "--reason", "all is said", "--expire-pending")
    assert platform("operator", *close)[0] == 0
    wait_until(lambda: "closed" in platform("ada", "review", "list")[1], 60)
    status, result, _ = platform("ada", "review", "show", opened["id"], "--result", "--json")
    assert (status, result["payloadType"]) == (0, "application/vnd.in-toto+json")
    status, shown, _ = platform("ada", "review", "show", opened["id"], "--state", "revoked", "--json")
    assert [one["comment"] for one in shown["items"]] == ["left the team"]


@pytest.mark.slow
def test_glass_is_broken_looked_at_and_shown(platform: Platform) -> None:
    wish = ("break-glass", "read", "dataset:default/health", "--purpose", "incident-response", "--reason", REASON)
    assert platform("ada", *wish)[0] == 1
    status, taken, said = platform("operator", *wish, "--json")
    assert (status, taken["kind"], taken["state"]) == (0, "break-glass", "active"), said
    assert platform("grace", "look-at", taken["id"], "--justified", "--reason", "it stopped wrong scores")[0] == 0
    status, told, _ = platform("ada", "duties", "--from", "2026-02-01", "--to", "2026-04-01")
    assert (status, "break-glass-access" in told, "1 found" in told) == (1, True, True), told
    status, told, _ = platform("ada", "policies")
    assert (status, "data.purpose-required" in told) == (0, True)
    assert platform("operator", "revoke", taken["id"], "--reason", "the incident is over")[0] == 0


def test_cases_are_put_to_the_configured_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["access", "test"]) == 0
    assert "cases passed" in capsys.readouterr().out
    (tmp_path / "acme.cedar").write_text(FREEZE)
    (tmp_path / "app-config.yaml").write_text("mlPlatform: {access: {policies: [acme.cedar]}}\n")
    assert run(["access", "test", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert 0 < document["failed"] < len(document["items"])
    (tmp_path / "acme.cedar").write_text(FREEZE.replace("unless {", "unless {{"))
    assert run(["access", "test"]) == 1
    assert f"{tmp_path}/acme.cedar:2: rule acme.freeze" in capsys.readouterr().err
    (tmp_path / "cases.yaml").write_text("cases: 5\n")
    (tmp_path / "acme.cedar").write_text(FREEZE)
    assert run(["access", "test", "cases.yaml"]) == 1
    assert "cases.yaml" in capsys.readouterr().err
    assert run(["access", "test", "nowhere.yaml"]) == 2
