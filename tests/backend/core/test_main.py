"""The entry that servers call."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector import collecting

pytestmark = pytest.mark.slow

START = [sys.executable, "-c", "from backend.main import create; create()"]
SAYS_SOMETHING = [*START[:2], f"{START[2]}; import logging; logging.getLogger('x').info('mail to ada@example.com')"]


def start(folder: Path, config: str, command: list[str] = START) -> "subprocess.CompletedProcess[str]":
    path = folder / "app-config.yaml"
    path.write_text(config)
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(path), "ML_PLATFORM_HOME": str(folder / "home")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_wrong_configuration_ends_with_its_faults_and_no_traceback(tmp_path: Path) -> None:
    done = start(tmp_path, "mlPlatform: {backend: {port: x}, bakend: {}}")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "error"]
    assert "mlPlatform.backend.port" in done.stderr
    assert not (tmp_path / "home").exists()


def test_logs_are_json_lines(tmp_path: Path) -> None:
    done = start(tmp_path, "mlPlatform: {ingress: {port: 1, adminPort: 2}}")
    assert done.returncode == 0, done.stderr
    for line in (done.stdout + done.stderr).splitlines():
        assert json.loads(line)["service"] == "backend"


@pytest.mark.parametrize("logs", [True, False])
def test_the_log_is_sent_to_a_collector_unless_the_settings_say_not(logs: bool, tmp_path: Path) -> None:
    with collecting() as collector:
        otlp = json.dumps({"endpoint": collector.endpoint, "logs": logs})
        done = start(
            tmp_path, f"mlPlatform: {{ingress: {{port: 1, adminPort: 2}}, telemetry: {{otlp: {otlp}}}}}", SAYS_SOMETHING
        )
    assert done.returncode == 0, done.stderr
    written = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert "mail to [REDACTED:EMAIL]" in written
    assert [one.body for one in collector.lines] == (written if logs else [])
    assert {one.service for one in collector.lines} == ({"ml-platform-backend"} if logs else set())


def test_two_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "app-config.yaml"
    path.write_text("mlPlatform: {ingress: {port: 1, adminPort: 2}}")
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(path), "ML_PLATFORM_HOME": str(tmp_path / "home")}
    processes = [subprocess.Popen(START, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
