"""What the launcher of model servers hands on to what it becomes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.core.config import Settings
from backend.deployments.targets.local.target import server_settings
from backend.local.folders import Folders

pytestmark = pytest.mark.slow

COLLECTOR = "http://127.0.0.1:4318"
SHOWS = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('OTEL_')}))"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], {}),
        (
            ["--collector", COLLECTOR, "--sample-ratio", "0.5"],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR, "OTEL_TRACES_SAMPLER_ARG": "0.5"},
        ),
        (
            ["--collector", COLLECTOR, "--no-logs"],
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
                "OTEL_TRACES_SAMPLER_ARG": "0",
                "OTEL_LOGS_EXPORTER": "none",
            },
        ),
    ],
    ids=["no collector", "spans and logs", "spans alone"],
)
def test_servers_are_told_of_the_collector_and_of_what_it_wants(
    options: list[str], told: dict[str, str], tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    folders.versions.mkdir(parents=True)
    entry = {"artefactDir": "artefacts/a", "model": "wine", "version": 1, "ports": [1], "environment": "lab"}
    (folders.versions / "lab--wine--v1.json").write_text(json.dumps(entry))
    launcher = [sys.executable, "-m", "backend.deployments.targets.local.launch"]
    done = subprocess.run(
        [*launcher, *options, str(tmp_path), "lab--wine--v1--r0", "--", sys.executable, "-c", SHOWS],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == told


@pytest.mark.parametrize(
    ("telemetry", "collector", "logs_too"),
    [
        ({}, None, True),
        ({"otlp": {"endpoint": COLLECTOR}}, COLLECTOR, True),
        ({"otlp": {"endpoint": COLLECTOR, "logs": False}}, COLLECTOR, False),
    ],
)
def test_settings_say_what_is_sent(
    telemetry: dict[str, object], collector: str | None, logs_too: bool, tmp_path: Path
) -> None:
    found = server_settings(Settings.model_validate({"home": str(tmp_path), "telemetry": telemetry}))
    assert (found.collector, found.logs_too) == (collector, logs_too)
