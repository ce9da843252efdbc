"""The embedded MLflow behind the platform's door, as a real server process and with MLflow's own client."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

API = "/api/ml-platform"
pytestmark = pytest.mark.slow


@dataclass
class Server:
    """A backend started the way users start it."""

    url: str
    home: Path

    def token(self, name: str) -> str:
        secret = (self.home / "identity" / "login-secret").read_text()
        body = {"secret": secret, "user": f"user:default/{name}"}
        return str(httpx.post(f"{self.url}{API}/identity/token", json=body).json()["accessToken"])

    def events(self, type: str) -> list[Any]:
        headers = {"Authorization": f"Bearer {self.token('ada')}"}
        answer = httpx.get(f"{self.url}{API}/audit/events", params={"type": type}, headers=headers)
        return [item["event"] for item in answer.json()["items"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("door")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "app-config.yaml"
    config.write_text(
        f"""mlPlatform:
  backend: {{port: {port}}}
  ingress: {{port: 1, adminPort: 2}}
  identity: {{localIssuer: {{users: [{{ref: user:default/ada, groups: [group:default/risk]}}]}}}}
"""
    )
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(config), "ML_PLATFORM_HOME": str(folder / "home")}
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "backend.main:create", "--port", str(port), "--no-access-log"],
        env=environment,
        stdout=log,
        stderr=log,
    )
    made = Server(f"http://127.0.0.1:{port}", folder / "home")
    try:
        started = time.monotonic()
        _wait(made, "/healthz", 60, process, folder / "log")
        # Health must not wait for MLflow, whose import takes much longer than the platform's own start.
        healthy_after = time.monotonic() - started
        _wait(made, "/mlflow/health", 180, process, folder / "log")
        assert time.monotonic() - started >= healthy_after
        yield made
    finally:
        process.terminate()
        assert process.wait(timeout=30) is not None
        log.close()


def _wait(server: Server, path: str, seconds: float, process: Any, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(server.url + path, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"{path} did not come up:\n{log.read_text()[-3000:]}")


def client(server: Server, token: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=f"{server.url}/mlflow", headers=headers, timeout=60)


def test_nobody_gets_in_without_a_token(server: Server) -> None:
    with client(server, None) as anonymous:
        for path in (
            "/api/2.0/mlflow/experiments/search?max_results=5",
            "/ajax-api/2.0/mlflow/experiments/search?max_results=5",
        ):
            answer = anonymous.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    with client(server, "a.b.c") as forged:
        assert forged.get("/api/2.0/mlflow/experiments/search?max_results=5").status_code == 401


def test_a_refused_token_stops_nobody_else_while_the_database_is_locked(server: Server) -> None:
    """Refusing a token writes an audit event, which may have to wait for the database: not on the event loop."""
    lock = sqlite3.connect(server.home / "platform.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with client(server, "junk") as stranger, ThreadPoolExecutor() as pool:
        try:
            junk = pool.submit(stranger.get, "/api/2.0/mlflow/experiments/search?max_results=5")
            signing_in = pool.submit(stranger.post, "/sign-in", data={"token": "junk"})
            time.sleep(1)
            assert httpx.get(f"{server.url}/healthz", timeout=10).status_code == 200
            assert not junk.done()
            assert not signing_in.done()
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert (junk.result().status_code, signing_in.result().status_code) == (401, 401)
    refused = server.events("ml-platform.identity.access.refused")[-1]
    assert refused["data"]["source"] == "127.0.0.1"


def test_a_run_is_tracked_with_mlflows_own_client(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "track.py"
    script.write_text(
        """import mlflow
mlflow.set_experiment("notebook")
with mlflow.start_run() as run:
    mlflow.log_metric("auc", 0.9)
    mlflow.log_text("hello", "note.txt")
print(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/note.txt"), mlflow.get_run(run.info.run_id).data.metrics["auc"])
"""
    )
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"{server.url}/mlflow",
        "MLFLOW_TRACKING_TOKEN": server.token("ada"),
    }
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "hello 0.9"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "registered-models/alias", {"name": "wine", "alias": "champion", "version": "1"}),
        ("DELETE", "registered-models/alias", {"name": "wine", "alias": "champion"}),
        ("POST", "registered-models/create", {"name": "side-door"}),
        ("DELETE", "registered-models/delete", {"name": "wine"}),
        ("POST", "registered-models/rename", {"name": "wine", "new_name": "beer"}),
        ("DELETE", "model-versions/delete", {"name": "wine", "version": "1"}),
        ("POST", "model-versions/create", {"name": "wine", "source": "x"}),
    ],
)
@pytest.mark.parametrize("prefix", ["api/2.0/mlflow", "ajax-api/2.0/mlflow", "api/2.0/preview/mlflow"])
def test_the_registry_is_not_written_through_the_side_door(
    server: Server, prefix: str, method: str, path: str, body: dict[str, str]
) -> None:
    before = len(server.events("ml-platform.registry.mlflow_write.refused"))
    with client(server, server.token("ada")) as ada:
        answer = ada.request(method, f"/{prefix}/{path}", json=body, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    events = server.events("ml-platform.registry.mlflow_write.refused")
    assert len(events) == before + 1
    assert events[-1]["actor"] == "user:default/ada"


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/assistant/message",
        "/ajax-api/2.0/mlflow/webhooks/list",
        "/api/2.0/mlflow/webhooks/create",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/gateway/anything/mlflow/invocations",
        "/ajax-api/3.0/jobs/",
        "/ajax-api/3.0/mlflow/gateway/endpoints/list",
    ],
)
def test_what_a_tracking_server_does_not_need_does_not_answer(server: Server, path: str) -> None:
    with client(server, server.token("ada")) as ada:
        for method in ("GET", "POST"):
            answer = ada.request(method, path, json={}, follow_redirects=True)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), method


@pytest.mark.parametrize(
    "path",
    [
        "mlflow//webhooks/create",
        "mlflow//registered-models/create",
        "mlflow/registered-models//create",
        "mlflow/./registered-models/create",
        "mlflow/registered-models/create/",
        "mlflow/registered-models%2Fcreate",
    ],
)
def test_another_spelling_of_a_path_is_no_way_round(server: Server, path: str) -> None:
    with client(server, server.token("ada")) as ada:
        answer = ada.post(f"/api/2.0/{path}", json={"name": "spelled"}, follow_redirects=True)
        assert answer.status_code in {403, 404, 405}
        found = ada.get("/api/2.0/mlflow/registered-models/search", params={"filter": "name = 'spelled'"}).json()
    assert found.get("registered_models", []) == []


def test_the_page_asks_for_a_token_and_then_works(server: Server) -> None:
    with client(server, None) as browser:
        assert browser.get("/").headers["location"] == "/mlflow/sign-in"
        assert browser.post("/sign-in", data={"token": "wrong"}).status_code == 401
        signed_in = browser.post("/sign-in", data={"token": server.token("ada")})
        assert (signed_in.status_code, "HttpOnly" in signed_in.headers["set-cookie"]) == (303, True)
        page = browser.get("/")
        assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True)
        script = page.text.split('src="')[1].split('"')[0]
        assert browser.get(f"/{script.removeprefix('/mlflow/').lstrip('./')}").status_code == 200
        assert browser.get("/ajax-api/2.0/mlflow/experiments/search?max_results=5").status_code == 200
