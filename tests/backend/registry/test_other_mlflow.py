"""The registry on an MLflow server that somebody else runs, named by ``mlPlatform.mlflow.trackingUri``."""

import contextlib
import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from tests.backend.conftest import Backend, make_settings
from tests.ports import free_ports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """MLflow's own server with a database and artefacts of its own; its address and folder."""
    folder = tmp_path_factory.mktemp("other-mlflow")
    (port,) = free_ports(1)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'other.db'}", "--artifacts-destination", str(folder / "files")),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not is_up(url):
            assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            time.sleep(0.3)
        yield url, folder
    finally:
        process.terminate()
        process.wait(timeout=60)


def is_up(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    return False


@pytest.fixture
def elsewhere(tmp_path: Path, database_url: str, mlflow_server: tuple[str, Path]) -> Iterator[Backend]:
    """A backend that keeps its models there."""
    settings = make_settings(
        tmp_path / "home", database_url, mlflow={"embedded": False, "trackingUri": mlflow_server[0]}
    )
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Backend(http, app.state.services)


def named(trained: Any, name: str) -> Any:
    trained.spec["name"], trained.repository = name, f"local/{name}"
    return trained


def versions(url: str, model: str) -> list[Any]:
    found = httpx.get(f"{url}/api/2.0/mlflow/model-versions/search", params={"filter": f"name = '{model}'"}).json()
    return list(found.get("model_versions", []))


def test_a_version_its_files_and_its_alias_are_kept_there(
    elsewhere: Backend, mlflow_server: tuple[str, Path], trained: Any, database_url: str, tmp_path: Path
) -> None:
    url, folder = mlflow_server
    model = f"cellar-{'sqlite' if database_url.startswith('sqlite') else 'postgres'}"
    answer = elsewhere.someone("ada").register(named(trained, model))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["mlflowUrl"] == f"{url}/#/models/{model}/versions/1"
    (version,) = versions(url, model)
    assert (version["version"], version["run_id"]) == ("1", made["lineage"]["runId"])
    assert {path.name for path in (folder / "files").rglob("*") if version["run_id"] in str(path)} >= {"MLmodel"}
    assert not (tmp_path / "home" / "mlflow").exists()

    services = elsewhere.services
    with services.database.write() as session:
        services.registry.set_alias(session, model, "champion", 1, "service:ml-platform")
    by_alias = {"name": model, "alias": "champion"}
    deadline = time.monotonic() + 60
    while (found := httpx.get(f"{url}/api/2.0/mlflow/registered-models/alias", params=by_alias)).status_code != 200:
        assert time.monotonic() < deadline, found.text
        time.sleep(0.1)
    assert found.json()["model_version"]["version"] == "1"


def test_what_is_taken_back_leaves_no_files_there(
    elsewhere: Backend,
    mlflow_server: tuple[str, Path],
    trained: Any,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, folder = mlflow_server
    model = f"undone-{'sqlite' if database_url.startswith('sqlite') else 'postgres'}"
    before = {path for path in (folder / "files").rglob("*") if path.is_file()}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # The last file of a registration, written when MLflow has the version.
    monkeypatch.setattr("pathlib.Path.rename", full)
    answer = elsewhere.someone("ada").register(named(trained, model))
    monkeypatch.undo()
    assert answer.status_code == 507
    assert versions(url, model) == []
    assert {path for path in (folder / "files").rglob("*") if path.is_file()} == before


def test_a_server_that_does_not_answer_is_said(tmp_path: Path, database_url: str, trained: Any) -> None:
    (port,) = free_ports(1)
    unreachable = {"embedded": False, "trackingUri": f"http://127.0.0.1:{port}"}
    app = create_app(make_settings(tmp_path / "home", database_url, mlflow=unreachable))
    with TestClient(app, raise_server_exceptions=False) as http:
        answer = Backend(http, app.state.services).someone("ada").register(trained)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:ml-platform:problem:unavailable")
    assert "MLflow" in answer.json()["detail"]
