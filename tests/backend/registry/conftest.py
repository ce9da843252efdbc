"""A real backend process with the embedded MLflow, as users start it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.conftest import Someone
from tests.ports import free_ports

API = "/api/ml-platform"
PUBLIC_NAME = "platform.example.com"
REFUSED = "ml-platform.registry.mlflow_write.refused"
METRIC = {"key": "auc", "value": 0.1, "timestamp": 1, "step": 1}
PEOPLE = {"ada": "risk", "grace": "risk", "edsger": "search", "barbara": "search", "operator": "platform"}


def ref(name: str) -> str:
    """How the platform calls somebody."""
    return f"user:default/{name}" if name in PEOPLE else f"repository:{name}"


@dataclass
class Server:
    """A backend started the way users start it."""

    url: str
    home: Path
    _newcomers: Iterator[int] = field(default_factory=count)

    def token(self, name: str) -> str:
        """A token of one of the people, or of a repository's CI."""
        secret = (self.home / "identity" / "login-secret").read_text()
        who = {"user": f"user:default/{name}"} if name in PEOPLE else {"repository": name}
        return str(httpx.post(f"{self.url}{API}/identity/token", json={"secret": secret, **who}).json()["accessToken"])

    def newcomer(self) -> str:
        """Somebody who has nothing yet, and whom no limit has seen."""
        return f"local/newcomer-{next(self._newcomers)}"

    def someone(self, name: str) -> Someone:
        """One of the people, at the platform's own API."""
        http: Any = httpx.Client(base_url=self.url, timeout=60)
        return Someone(http, ref(name), self.token(name))

    def events(self, type: str, actor: str | None = None) -> list[Any]:
        headers = {"Authorization": f"Bearer {self.token('ada')}"}
        parameters = {"type": type, "limit": 500, **({"actor": ref(actor)} if actor else {})}
        answer = httpx.get(f"{self.url}{API}/audit/events", params=parameters, headers=headers)
        return [item["event"] for item in answer.json()["items"]]

    def mlflow(self, name: str | None) -> httpx.Client:
        """MLflow's API as somebody sees it, or nobody."""
        headers = {"Authorization": f"Bearer {self.token(name)}"} if name else {}
        return httpx.Client(base_url=f"{self.url}/mlflow", headers=headers, timeout=60)

    def run_script(self, name: str, text: str, folder: Path) -> str:
        """Run a Python script with MLflow's own client, signed in; return what it printed."""
        script = folder / "script.py"
        script.write_text(text)
        environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": f"{self.url}/mlflow",
            "MLFLOW_TRACKING_TOKEN": self.token(name),
            "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        }
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


TRACK = """import json, mlflow
mlflow.set_experiment({experiment!r})
with mlflow.start_run() as run:
    mlflow.log_metric("auc", 0.9)
    mlflow.log_text("hello", "note.txt")
    model = mlflow.initialize_logged_model("tree")
    mlflow.log_model_params({{"depth": "3"}}, model.model_id)
with mlflow.start_span("ask") as span:
    span.set_inputs({{"question": 1}})
feedback = mlflow.log_feedback(trace_id=span.trace_id, name="good", value=True)
print(json.dumps({{
    "experiment": run.info.experiment_id, "run": run.info.run_id, "model": model.model_id,
    "trace": span.trace_id, "feedback": feedback.assessment_id,
}}))
"""


@dataclass
class Things:
    """What somebody has in MLflow, by id."""

    experiment: str
    run: str
    model: str
    trace: str
    feedback: str

    def fill(self, value: Any) -> Any:
        """Put the ids into a path or body."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            for name, id in vars(self).items():
                value = value.replace(f"<{name}>", id)
        return value


def state(http: httpx.Client, things: Things) -> list[Any]:
    """Everything that the API says about somebody's things."""
    tracking = "/api/2.0/mlflow"
    answers = [
        http.get(f"{tracking}/experiments/get", params={"experiment_id": things.experiment}),
        http.get(f"{tracking}/runs/get", params={"run_id": things.run}),
        http.get(f"{tracking}/artifacts/list", params={"run_id": things.run}),
        http.get("/get-artifact", params={"run_uuid": things.run, "path": "note.txt"}),
        http.get(f"{tracking}/logged-models/{things.model}"),
        http.get(f"/api/3.0/mlflow/traces/{things.trace}"),
        http.post(f"{tracking}/runs/search", json={"experiment_ids": [things.experiment], "run_view_type": "ALL"}),
    ]
    return [(answer.status_code, answer.text) for answer in answers]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("door")
    (port,) = free_ports(1)
    users = ", ".join(
        f"{{ref: user:default/{name}, groups: [group:default/{group}]}}" for name, group in PEOPLE.items()
    )
    config = folder / "app-config.yaml"
    config.write_text(
        f"""mlPlatform:
  backend: {{port: {port}, baseUrl: "https://{PUBLIC_NAME}"}}
  ingress: {{port: 1, adminPort: 2}}
  identity: {{localIssuer: {{users: [{users}]}}}}
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
        _wait(made, "/healthz", 180, process, folder / "log")
        # Health must not wait for MLflow, whose import takes much longer than the platform's own start.
        healthy_after = time.monotonic() - started
        _wait(made, "/mlflow/health", 180, process, folder / "log")
        assert time.monotonic() - started >= healthy_after
        yield made
    finally:
        process.terminate()
        assert process.wait(timeout=30) is not None
        log.close()


@pytest.fixture(scope="package")
def of_ada(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Things:
    """Ada's, made with MLflow's own client."""
    said = server.run_script("ada", TRACK.format(experiment="trees"), tmp_path_factory.mktemp("ada"))
    return Things(**json.loads(said.splitlines()[-1]))


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
