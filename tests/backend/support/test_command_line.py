"""`platform support`, `platform cost report` and `platform metrics` as people use them."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from backend.app import create_app
from backend.core.config import Settings
from backend.cost.resources import Activity, Resource
from backend.cost.usage import Usage
from catalog.own import OwnSources
from mlplatform.cli.app import run
from mlplatform.client import PlatformClient
from tests.conftest import SetClock
from tests.marks import on_one_database
from tests.mlplatform.platform_double import Server

from ..conftest import SPEC
from ..versions import put_version

pytestmark = [pytest.mark.slow, on_one_database]

Platform = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def app(settings: Settings, set_clock: SetClock) -> Any:
    return create_app(settings, clock=set_clock)


@pytest.fixture
def platform(app: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Platform]:
    """Run a command as somebody: status, what it prints (its JSON document), and what it says on standard error."""
    OwnSources(app.state.services).sync()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    monkeypatch.setenv("ML_PLATFORM_URL", url)
    secret = app.state.services.identity.local.secret_file.read_text()

    def as_somebody(name: str, *arguments: str) -> tuple[int, Any, str]:
        with PlatformClient(url) as client:
            token = client.sign_in(secret, user=f"user:default/{name}")["accessToken"]
        monkeypatch.setenv("ML_PLATFORM_TOKEN", token)
        capsys.readouterr()
        try:
            status = run(list(arguments))
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        return status, json.loads(out) if "--json" in arguments and out else out, err

    yield as_somebody
    server.should_exit = True
    thread.join(timeout=30)
    app.state.services.database.close()


def test_a_request_is_asked_answered_and_resolved(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("since this morning\nfor all models"))
    asked = ("support", "ask", "--priority", "P1", "staging refuses my model", "--text", "-")
    status, found, said = platform("ada", *asked, "--json")
    assert (status, found["text"], found["priority"]) == (0, "since this morning\nfor all models", "P1"), said
    id = found["id"]
    status, out, _ = platform("grace", "support", "list", "--state", "open")
    assert (status, id in out, "2026-03-01 16:00:00" in out) == (0, True, True)
    status, _, said = platform("grace", "support", "answer", id, "--text", "me too")
    assert status == 1
    assert said.splitlines()[:2] == [
        "error: user:default/grace may not answer this request", "  Members of group:default/platform may.",
    ]  # fmt: skip
    status, out, said = platform("operator", "support", "answer", id, "--text", "the quota was full")
    assert (status, out) == (0, "staging refuses my model: answered\n"), said
    assert platform("ada", "support", "note", id, "--text", "it works")[0] == 0
    assert platform("ada", "support", "resolve", id, "--text", "settled")[0] == 0
    _, out, _ = platform("grace", "support", "show", id)
    for part in (
        "P1, resolved, asked by user:default/ada",
        "answer by user:default/operator: the quota was full",
        "settled",
    ):
        assert part in out
    _, out, _ = platform("grace", "support", "list", "--mine")
    assert out == "nothing was asked\n"
    _, out, _ = platform("ada", "metrics", "support-p1-answered")
    assert "100 %" in out
    assert "yes" in out.splitlines()[2]
    status, _, said = platform("ada", "support", "show", "0" * 36)
    assert (status, said.splitlines()[0]) == (1, f"error: there is no support request {'0' * 36!r}")


def test_the_survey(platform: Platform) -> None:
    rated = ("--satisfaction", "4", "--shipping", "5", "--help-you-got", "3")
    _, out, _ = platform("ada", "support", "survey")
    assert "-  How satisfied are you with the platform?" in out
    assert "2026-Q1: 0 answers, too few to be shown" in out
    assert platform("ada", "support", "survey", "--satisfaction", "4")[0] == 2
    assert platform("ada", "support", "survey", "--comment", "hm")[0] == 2
    assert platform("ada", "support", "survey", "--satisfaction", "6")[0] == 2
    status, out, _ = platform("ada", "support", "survey", *rated)
    assert (status, out) == (0, "2026-Q1: thank you; you may change it until 2026-04-01\n")
    for name in ("grace", "edsger"):
        platform(name, "support", "survey", *rated, "--comment", f"by {name}")
    _, out, _ = platform("ada", "support", "survey", "--quarter", "2026-Q1")
    assert out.splitlines() == [
        "2026-Q1: 4.0 of 5, of 3 answers",
        "  4.0  satisfaction",
        "  5.0  shipping",
        "  3.0  help",
    ]
    _, out, _ = platform("operator", "support", "survey", "--quarter", "2026-Q1")
    assert "“by grace”" in out


def test_a_report_is_written(platform: Platform, app: Any, tmp_path: Path) -> None:
    services = app.state.services
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("{}")
    put_version(services, 1, SPEC, tmp_path / "model")
    began = datetime(2026, 3, 1, 6, tzinfo=UTC)
    used = Usage(
        id="1", model="wine", resource=Resource.CPU, quantity=Decimal(36000), started_at=began,
        ended_at=began + timedelta(minutes=30), activity=Activity.SERVING, version=1, environment="production", sku="",
    )  # fmt: skip
    with services.database.write() as session:
        services.cost.usage.take(session, "test", [used])
    with services.database.write() as session:
        services.cost.refresh(session, began.date())
    about = ("cost", "report", "--team", "group:default/risk", "--month", "2026-03", "--format", "pdf", "-o")
    file = tmp_path / "risk.pdf"
    status, out, said = platform("ada", *about, str(file))
    assert (status, out, file.read_bytes()[:5]) == (0, f"written to {file}\n", b"%PDF-"), said
    status, _, said = platform("ada", *about, str(file))
    assert (status, said.splitlines()) == (1, [f"error: {file} is there already", "  name another, or use --force"])
    assert platform("ada", *about, str(file), "--force", "--json")[1]["bytes"] == file.stat().st_size
    nobody = ("cost", "report", "--team", "group:default/nobody", "--month", "2026-03", "-o", str(tmp_path / "x"))
    status, _, said = platform("ada", *nobody)
    assert (status, "group:default/nobody has no cost in 2026-03" in said, (tmp_path / "x").exists()) == (
        1,
        True,
        False,
    )
    status, out, _ = platform("ada", "cost", "--team", "group:default/risk", "--month", "2026-03")
    assert (status, "wine" in out) == (0, True), "the command itself is what it was"
