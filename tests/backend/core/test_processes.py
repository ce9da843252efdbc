"""The backend as the processes that people start: what they write to their logs, and how several work as one."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_ports

pytestmark = pytest.mark.slow

CANARY = "canary-4f1c9"


@contextlib.contextmanager
def started(folder: Path, *command: str) -> Iterator[tuple[str, Path, "subprocess.Popen[bytes]"]]:
    """Start a backend; yield its address, its log and its process."""
    (port,) = free_ports(1)
    config = folder / "app-config.yaml"
    config.write_text(f"mlPlatform: {{backend: {{port: {port}}}, ingress: {{port: 1, adminPort: 2}}}}")
    log = folder / "log"
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(config), "ML_PLATFORM_HOME": str(folder / "home")}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in command)],
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), process, log)
        yield f"http://127.0.0.1:{port}", log, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5).status_code == 200
    return False


def wait_for(done: Any, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.2)


def logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def token_of(url: str, folder: Path) -> str:
    secret = (folder / "home" / "identity" / "login-secret").read_text()
    body = {"secret": secret, "repository": "local/wine"}
    return str(httpx.post(f"{url}/api/ml-platform/identity/token", json=body).json()["accessToken"])


@pytest.mark.parametrize(
    "command",
    [("uvicorn", "--factory", "backend.main:create", "--port", "{port}"), ("backend",)],
    ids=["uvicorn", "backend"],
)
def test_no_line_of_a_servers_log_goes_past_the_format_and_the_redaction(tmp_path: Path, command: Any) -> None:
    with started(tmp_path, *command) as (url, log, process):
        httpx.get(f"{url}/healthz", params={"access_token": CANARY})
        httpx.get(f"{url}/nowhere", params={"password": CANARY}, headers={"Authorization": f"Bearer {CANARY}"})
        headers = {"Authorization": f"Bearer {token_of(url, tmp_path)}"}
        wait_for(lambda: answers(f"{url}/mlflow/health"), process, log)
        # MLflow tells its own log of hosts that it does not know.
        forged = {**headers, "Host": f"password={CANARY}"}
        path = "/mlflow/api/2.0/mlflow/experiments/search"
        assert httpx.post(f"{url}{path}", json={"max_results": 1}, headers=forged).status_code == 403
    lines = logged(log)
    assert {line["service"] for line in lines} == {"backend"}
    loggers = {line["logger"].split(".")[0] for line in lines}
    assert loggers >= {"uvicorn", "mlflow", "backend"}
    assert CANARY not in log.read_text()
    if command[0] == "uvicorn":  # which writes an access log of its own unless told otherwise
        assert any("access_token=[REDACTED:SECRET]" in line["message"] for line in lines)


def test_a_start_that_fails_tells_the_log_why_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "app-config.yaml").write_text(
        f"mlPlatform: {{database: {{url: 'postgresql+psycopg://ml:{CANARY}@127.0.0.1:1/ml?connect_timeout=2'}}}}"
    )
    environment = {
        **os.environ,
        "ML_PLATFORM_CONFIG": str(tmp_path / "app-config.yaml"),
        "ML_PLATFORM_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "backend.main:create", "--port", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    told = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert told[-1]["message"] == "the platform can't start"
    assert "OperationalError" in told[-1]["exception"]
    assert CANARY not in done.stdout + done.stderr


def test_several_workers_count_together(tmp_path: Path) -> None:
    with started(tmp_path, "backend", "--workers", "2") as (url, log, process):
        ready = "Application startup complete."
        wait_for(lambda: log.read_text().count(ready) == 2, process, log)
        for _ in range(30):  # each on a connection of its own, so that both workers get some
            assert httpx.get(f"{url}/nowhere").status_code == 404
        counted = set()
        for _ in range(10):
            text = httpx.get(f"{url}/metrics").text
            found = re.search(r'^ml_platform_http_requests_total\{[^}]*status="404"[^}]*\} (\S+)$', text, re.MULTILINE)
            counted.add(float(found[1]) if found else 0.0)
        assert counted == {30.0}
        assert "# TYPE ml_platform_batch_last_success_timestamp_seconds gauge" in text
    assert {line["service"] for line in logged(log)} == {"backend"}
