"""What the registry keeps in MLflow, when somebody else writes there too."""

from pathlib import Path
from typing import Any

import pytest

from backend.registry.mlflow_store import MlflowStore

OURS = {"mlplatform.owner": "service:ml-platform", "mlplatform.model": "wine"}


@pytest.fixture
def store(backend: Any) -> MlflowStore:
    made: MlflowStore = backend.services.registry.store
    return made


def run_of(store: MlflowStore, version: Any) -> Any:
    return store.client().get_run(version.json()["lineage"]["runId"])


def test_a_models_runs_are_the_platforms_in_an_experiment_of_the_platforms(
    store: MlflowStore, ada: Any, trained: Any, retrained: Any
) -> None:
    runs = [run_of(store, ada.register(trained)), run_of(store, ada.register(retrained("two")))]
    (id,) = {run.info.experiment_id for run in runs}
    experiment = store.client().get_experiment(id)
    assert (experiment.name, experiment.tags) == ("ml-platform/wine", OURS)
    assert [run.data.tags["mlplatform.owner"] for run in runs] == ["service:ml-platform"] * 2
    # Clients send theirs elsewhere: no path that they can write leads to the platform's.
    folders = [Path(run.info.artifact_uri.removeprefix("file://")) for run in runs]
    assert not any(folder.is_relative_to(store.client_artefacts) for folder in folders)


def test_a_deleted_experiment_is_restored(store: MlflowStore, ada: Any, trained: Any, retrained: Any) -> None:
    run = run_of(store, ada.register(trained))
    store.client().delete_experiment(run.info.experiment_id)
    again = ada.register(retrained("two"))
    assert again.status_code == 201, again.text
    assert run_of(store, again).info.experiment_id == run.info.experiment_id
    assert store.client().get_run(run.info.run_id).info.lifecycle_stage == "active"


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize(
    "tampered",
    [
        {"tags": {}},
        {"tags": {**OURS, "mlplatform.owner": "user:default/edsger"}},
        {"tags": {**OURS, "mlplatform.model": "beer"}},
        {"tags": OURS, "artifact_location": "s3://elsewhere/wine"},
        {"tags": OURS, "artifact_location": "file:///tmp/elsewhere"},
    ],
)
def test_somebody_elses_experiment_of_that_name_is_left_alone(
    store: MlflowStore, ada: Any, trained: Any, retrained: Any, tampered: dict[str, Any], deleted: bool
) -> None:
    theirs = store.client().create_experiment("ml-platform/wine", **tampered)
    if deleted:
        store.client().delete_experiment(theirs)
    runs = [run_of(store, ada.register(trained)), run_of(store, ada.register(retrained("two")))]
    (id,) = {run.info.experiment_id for run in runs}
    assert store.client().get_experiment(id).name == "ml-platform/wine/2"
    assert store.client().search_runs([theirs]) == []


def test_the_default_experiment_keeps_its_artefacts_where_clients_send_them(store: MlflowStore) -> None:
    assert store.client().get_experiment("0").artifact_location == "mlflow-artifacts:/0"
