"""A disk that is full, or an upload that ends half-way, leaves nothing and says why."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.registry.conftest import Server
from tests.waiting import wait_until


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of some bytes at ``folder``, where the system lets us."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.fault
def test_an_upload_that_does_not_fit(ada: Any, backend: Any, trained: Any) -> None:
    uploads = backend.services.registry.uploads
    with small_disk(uploads, "16k"):
        answer = ada.register(trained)
        assert (answer.status_code, answer.json()["type"]) == (507, "urn:ml-platform:problem:insufficient-storage")
        assert list(uploads.iterdir()) == []
    assert ada.get("/registry/models/wine").status_code == 404
    assert ada.register(trained).status_code == 201


@pytest.mark.fault
def test_a_model_that_does_not_fit_into_mlflow(ada: Any, backend: Any, trained: Any) -> None:
    store = backend.services.registry.store
    (trained.folder / "weights.bin").write_bytes(os.urandom(300_000))
    with small_disk(store.artefacts, "200k"):
        answer = ada.register(trained)
        assert (answer.status_code, answer.json()["type"]) == (507, "urn:ml-platform:problem:insufficient-storage")
        assert files(store.artefacts) == []
    assert ada.get("/registry/models/wine").status_code == 404
    assert ada.register(trained).status_code == 201


def place_of(http: httpx.Client, name: str) -> tuple[str, str]:
    """Make a run; return where its artefact of that name is sent to, and the run's id."""
    made = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()
    run = made["run"]["info"]["run_id"]
    return f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{name}", run


@pytest.mark.fault
def test_an_artefact_that_does_not_fit(server: Server) -> None:
    uploading = server.home / "mlflow" / "uploading"
    with server.mlflow(server.newcomer()) as http:
        place, run = place_of(http, "weights.bin")
        with small_disk(uploading, "64k"):
            answer = http.put(place, content=bytes(1 << 20))
            assert answer.status_code == 507, answer.text
            assert "disk is full" in answer.json()["message"]
            assert files(uploading) == []
        listed = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run}).json()
        assert listed.get("files", []) == []
        assert files(server.home / "mlflow" / "artefacts" / "0" / run) == []


@pytest.mark.slow
def test_an_artefact_that_breaks_off(server: Server) -> None:
    """The client dies half-way: the artefact from before stays as it was."""
    mlflow = server.home / "mlflow"
    name = server.newcomer()
    with server.mlflow(name) as http:
        place, run = place_of(http, "note.txt")
        assert http.put(place, content=b"whole").status_code == 200
        url = httpx.URL(server.url)
        with socket.create_connection((str(url.host), int(url.port or 80))) as connection:
            head = f"PUT /mlflow{place} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nAuthorization: Bearer {server.token(name)}\r\n"
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + bytes(50_000))
            wait_until(lambda: files(mlflow / "uploading") != [], 30)
        wait_until(lambda: files(mlflow / "uploading") == [], 30)
        assert http.get(place).content == b"whole"
    assert [path.name for path in files(mlflow / "artefacts" / "0" / run)] == ["note.txt"]


@pytest.mark.slow
def test_what_a_killed_process_was_receiving_is_forgotten(tmp_path: Path) -> None:
    from backend.registry.mlflow_guard import forget_unfinished

    for name in ("old", "new"):
        (tmp_path / name).write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / "old", (two_days_ago, two_days_ago))
    forget_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
