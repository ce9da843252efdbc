"""The entry that servers call."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

START = [sys.executable, "-c", "from backend.main import create; create()"]


def start(folder: Path, config: str) -> "subprocess.CompletedProcess[str]":
    path = folder / "app-config.yaml"
    path.write_text(config)
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(path), "ML_PLATFORM_HOME": str(folder / "home")}
    return subprocess.run(START, env=environment, capture_output=True, text=True, check=False, timeout=120)


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


def test_two_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "app-config.yaml"
    path.write_text("mlPlatform: {ingress: {port: 1, adminPort: 2}}")
    environment = {**os.environ, "ML_PLATFORM_CONFIG": str(path), "ML_PLATFORM_HOME": str(tmp_path / "home")}
    processes = [subprocess.Popen(START, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
