"""The platform's own model server with a real scikit-learn model behind the real Envoy."""

import http.client
import json
import sys
from pathlib import Path

import mlflow.sklearn
import pytest
from ruamel.yaml import YAML
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backend.deployments.targets.base import ReplicaSetSpec, VersionKey
from backend.deployments.targets.local.keeper import ServerSettings
from backend.deployments.targets.local.target import LAUNCHER, LocalTarget
from mlplatform.spec.model import ModelSpec
from tests.backend.targets.machine import SPEC, Machine, route, wait_for

pytestmark = pytest.mark.slow
FEATURES = ["alcohol", "malic_acid", "proline"]


@pytest.fixture
def wine(tmp_path: Path) -> ReplicaSetSpec:
    frame = load_wine(as_frame=True).frame
    features = frame[FEATURES]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, frame["target"])
    signature = mlflow.models.infer_signature(features, model.predict(features))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature, input_example=features.head(3))
    document = SPEC.model_dump(mode="json", by_alias=True)
    document["schema"] = {
        "inputs": [
            {
                "name": name,
                "type": "double",
                "minimum": float(features[name].min()),
                "maximum": float(features[name].max()),
            }
            for name in FEATURES
        ],
        "outputs": [{"name": "prediction", "type": "long", "enum": [0, 1, 2]}],
    }
    document["serving"] |= {"requestTimeout": "10s", "startupTimeout": "1m"}
    (tmp_path / "environment").mkdir()
    with (tmp_path / "environment" / "model.yaml").open("w") as file:
        YAML(typ="safe").dump(json.loads(json.dumps(document)), file)
    (tmp_path / "environment" / "uv.lock").write_text("version = 1\n")
    spec = ModelSpec.model_validate(document)
    return ReplicaSetSpec(VersionKey("production", "wine", 7), "7" * 64, tmp_path, spec, 1)


def test_a_real_model_is_started_warmed_served_measured_and_stopped(machine: Machine, wine: ReplicaSetSpec) -> None:
    machine.target.close()
    servers = ServerSettings(
        launcher=LAUNCHER, port_range=machine.settings.serving.port_range, python=Path(sys.executable)
    )
    target = LocalTarget(machine.folders, servers, admin_port=machine.settings.ingress.admin_port)
    try:
        target.start(wine)
        wait_for(lambda: [one for one in target.replicas() if one.state in {"ready", "failed"}], 90)
        assert target.replicas()[0].state == "ready", target.replicas()
        warmed = target.warm(wine.key, wine.spec)
        assert warmed.ok, warmed.message
        target.apply([route((7, 100))])

        connection = http.client.HTTPConnection("127.0.0.1", machine.settings.ingress.port, timeout=15)
        columns = [
            {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]}
            for name, value in zip(FEATURES, (14.23, 1.71, 1065.0), strict=True)
        ]
        connection.request("POST", "/production/wine/v2/models/wine/infer", json.dumps({"inputs": columns}))
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert (response.status, response.getheader("x-model-version")) == (200, "7")
        assert answer["outputs"][0]["data"] == [0]
        connection.request("POST", "/production/wine/v2/models/wine/infer", '{"inputs": []}')
        assert 400 <= connection.getresponse().status < 500

        sample = target.sample()[wine.key]
        assert (sample.requests, sample.errors) == (2, 0)
        assert any("model-server" in line for line in target.logs([wine.key], 50, False))
        target.stop(wine.key)
        wait_for(lambda: not target.replicas(wine.key), 30)
    finally:
        target.close()


def test_a_real_model_that_can_not_be_loaded_fails_with_the_reason(machine: Machine, wine: ReplicaSetSpec) -> None:
    (wine.artefact_dir / "model" / "MLmodel").write_text("flavors: {python_function: {loader_module: nowhere}}\n")
    machine.target.close()
    servers = ServerSettings(
        launcher=LAUNCHER, port_range=machine.settings.serving.port_range, python=Path(sys.executable)
    )
    target = LocalTarget(machine.folders, servers, admin_port=machine.settings.ingress.admin_port)
    try:
        target.start(wine)
        wait_for(lambda: [one for one in target.replicas() if one.state in {"ready", "failed"}], 90)
        (replica,) = target.replicas()
        assert replica.state == "failed"
        assert "can't serve wine version 7" in str(replica.message)
    finally:
        target.close()
