"""Registrations that meet each other, or that a dead process left unfinished."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backend.registry.registration import UPLOAD_TAG, forget_abandoned
from backend.registry.uploads import abandoned_uploads, upload_folder

_UPLOADER = """
import sys, time
from pathlib import Path
from backend.registry.uploads import upload_folder
with upload_folder(Path(sys.argv[1])) as folder:
    (folder / "bundle").write_bytes(b"half")
    print(folder.name, flush=True)
    time.sleep(60)
"""


def test_the_same_content_from_many_at_once_is_one_version(backend: Any, ada: Any, trained: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ada.register(trained), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["version"] for answer in answers}) == 1
    found = backend.services.registry.store.client().search_model_versions()
    assert [int(one.version) for one in found] == [answers[0].json()["version"]]


def test_of_two_repositories_that_want_a_name_one_gets_it(backend: Any, ada: Any, trained: Any, retrained: Any) -> None:
    other = retrained("other")
    other.repository = "local/other"
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ada.register, (trained, other)))
    assert sorted(answer.status_code for answer in answers) == [201, 403]
    (refused,) = [answer.json() for answer in answers if answer.status_code == 403]
    assert refused["type"] == "urn:ml-platform:problem:other-repository"
    assert len(backend.services.registry.store.client().search_model_versions()) == 1
    assert len(list((backend.services.settings.home / "artefacts").iterdir())) == 1


def start_upload(root: Path) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen([sys.executable, "-c", _UPLOADER, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.fault
def test_what_a_killed_registration_left_is_taken_back_and_what_runs_is_left_alone(
    backend: Any, ada: Any, trained: Any
) -> None:
    services = backend.services
    assert ada.register(trained).status_code == 201
    dead, dead_upload = start_upload(services.registry.uploads)
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    alive, alive_upload = start_upload(services.registry.uploads)
    try:
        # Killed between MLflow's transaction and the platform's own: the version is in MLflow only.
        for upload in (dead_upload, alive_upload):
            services.registry.store.register(
                "wine", trained.folder, description="", metrics={}, params={}, tags={UPLOAD_TAG: upload}
            )
        # Killed while the model was copied: there is no version yet.
        client, store = services.registry.store.client(), services.registry.store
        half = client.create_run(store._experiment("wine"), tags={UPLOAD_TAG: dead_upload}).info
        client.log_artifact(half.run_id, str(trained.folder / "MLmodel"))
        forget_abandoned(services.registry, services.database)
        assert client.get_run(half.run_id).info.lifecycle_stage == "deleted"
        assert not Path(half.artifact_uri.removeprefix("file://")).exists()
        assert [path.name for path in services.registry.uploads.iterdir()] == [alive_upload]
        versions = services.registry.store.client().search_model_versions()
        assert sorted(int(one.version) for one in versions) == [1, 3]
    finally:
        alive.kill()
        alive.wait()


def test_an_upload_in_use_is_not_abandoned(tmp_path: Path) -> None:
    with upload_folder(tmp_path) as folder:
        with abandoned_uploads(tmp_path) as found:
            assert found == []
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []
