"""Models saved as MLflow models beside a model.yaml that declares them, and servers of them: real processes."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec
from mlflow.types import Schema as MlflowSchema
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

REQUIREMENTS = ["scikit-learn"]  # given, so that MLflow does not go and infer them


@dataclass(frozen=True)
class SavedModel:
    """A folder with an MLflow model, its model.yaml, and data to ask it about."""

    folder: Path
    spec: Path
    data: pd.DataFrame

    @property
    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.data.to_json(orient="records"))


def write_spec(
    path: Path,
    *,
    name: str,
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    serving: dict[str, Any] | None = None,
) -> Path:
    document = {
        "schemaVersion": 1,
        "name": name,
        "type": "realtime",
        "owner": "group:default/cellar",
        "costCentre": "CC-1",
        "data": [
            {
                "name": "set",
                "uri": f"sklearn://datasets/{name}",
                "role": "evaluation",
                "classification": "public",
                "load": "m.data:load",
            }
        ],
        "training": {"entrypoint": "m.train:train"},
        "schema": {"inputs": inputs, "outputs": outputs},
        "validation": {
            "evaluator": "classifier",
            "dataset": "set",
            "target": "target",
            "thresholds": [{"metric": "accuracy_score", "minimum": 0.8}],
        },
        "serving": serving or {},
    }
    path.write_text(json.dumps(document))  # YAML is a superset of JSON
    return path


def save_wine(folder: Path, *, serving: dict[str, Any] | None = None) -> SavedModel:
    """Thirteen numbers to one of three classes; two columns are limited."""
    data, target = load_wine(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data, target)
    mlflow.sklearn.save_model(
        model,
        str(folder / "model"),
        signature=infer_signature(data, model.predict(data)),
        input_example=data.head(5),
        pip_requirements=REQUIREMENTS,
    )
    limits = {"alcohol": {"minimum": 0, "maximum": 30}, "ash": {"minimum": 0}}
    inputs = [{"name": name, "type": "double", **limits.get(name, {})} for name in data.columns]
    outputs = [{"name": "prediction", "type": "long", "enum": [0, 1, 2]}]
    return SavedModel(
        folder / "model",
        write_spec(folder / "model.yaml", name="wine", inputs=inputs, outputs=outputs, serving=serving),
        data,
    )


def save_tumours(folder: Path) -> SavedModel:
    """Thirty numbers to two probabilities."""
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data, target)
    signature = ModelSignature(
        inputs=MlflowSchema([ColSpec(DataType.double, name) for name in data.columns]),
        outputs=MlflowSchema([ColSpec(DataType.double, "malignant"), ColSpec(DataType.double, "benign")]),
    )
    mlflow.sklearn.save_model(
        model,
        str(folder / "model"),
        signature=signature,
        input_example=data.head(3),
        pyfunc_predict_fn="predict_proba",
        pip_requirements=REQUIREMENTS,
    )
    inputs = [{"name": name, "type": "double"} for name in data.columns]
    outputs = [{"name": name, "type": "double", "minimum": 0, "maximum": 1} for name in ("malignant", "benign")]
    return SavedModel(
        folder / "model", write_spec(folder / "model.yaml", name="tumours", inputs=inputs, outputs=outputs), data
    )


def save_cellar(folder: Path) -> SavedModel:
    """A number, a whole number, a text and a yes/no column, looked up by name inside the model."""
    wines, target = load_wine(return_X_y=True, as_frame=True)
    data = pd.DataFrame(
        {
            "alcohol": wines["alcohol"],
            "vintage": (wines["proline"] // 10).astype("int64"),
            "colour": np.where(wines["hue"] > 1, "red", "white"),
            "organic": wines["ash"] > 2.3,
        }
    )
    names = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["alcohol", "vintage"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["colour", "organic"]),
        ]
    )
    label = np.array(["barolo", "grignolino", "barbera"], dtype=object)[target]
    model = make_pipeline(names, LogisticRegression(max_iter=1000)).fit(data, label)
    mlflow.sklearn.save_model(
        model,
        str(folder / "model"),
        signature=infer_signature(data, model.predict(data)),
        input_example=data.head(4),
        pip_requirements=REQUIREMENTS,
    )
    inputs = [
        {"name": "alcohol", "type": "double"},
        {"name": "vintage", "type": "long", "minimum": 0},
        {"name": "colour", "type": "string", "enum": ["red", "white"]},
        {"name": "organic", "type": "boolean"},
    ]
    outputs = [{"name": "prediction", "type": "string", "enum": ["barolo", "grignolino", "barbera"]}]
    return SavedModel(
        folder / "model", write_spec(folder / "model.yaml", name="cellar", inputs=inputs, outputs=outputs), data
    )


def save_scripted(
    folder: Path,
    body: str,
    *,
    name: str = "scripted",
    example: float | None = 1.0,
    serving: dict[str, Any] | None = None,
) -> SavedModel:
    """A pyfunc with one column ``x``, one output ``y`` and a parameter ``factor``; ``body`` are the methods of its class."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{name}.py"
    lines = [
        "import os, sys, time",
        "import numpy as np",
        "import mlflow",
        "",
        "class Model(mlflow.pyfunc.PythonModel):",
    ]
    lines += [textwrap.indent(textwrap.dedent(body).strip("\n"), "    "), "", "mlflow.models.set_model(Model())", ""]
    source.write_text("\n".join(lines))
    data = pd.DataFrame({"x": [1.0, 2.0]})
    signature = ModelSignature(
        inputs=MlflowSchema([ColSpec(DataType.double, "x")]),
        outputs=MlflowSchema([ColSpec(DataType.double, "y")]),
        params=ParamSchema([ParamSpec("factor", DataType.double, 1.0)]),
    )
    mlflow.pyfunc.save_model(
        str(folder / "model"), python_model=str(source), signature=signature, pip_requirements=["mlflow"]
    )
    if example is not None:
        _add_example(folder / "model", {"x": [example] * 2})
    outputs = [{"name": "y", "type": "double"}]
    spec = write_spec(
        folder / "model.yaml", name=name, inputs=[{"name": "x", "type": "double"}], outputs=outputs, serving=serving
    )
    return SavedModel(folder / "model", spec, data)


def _add_example(folder: Path, columns: dict[str, list[float]]) -> None:
    """Add an input example without MLflow calling the model, which may not take it well."""
    (folder / "input_example.json").write_text(
        json.dumps({"columns": list(columns), "data": list(map(list, zip(*columns.values(), strict=True)))})
    )
    manifest = folder / "MLmodel"
    manifest.write_text(
        manifest.read_text()
        + "saved_input_example_info:\n  artifact_path: input_example.json\n  type: dataframe\n  pandas_orient: split\n"
    )


class Server:
    """A model server in a process of its own; its log is a file, so that nothing blocks on a pipe."""

    def __init__(self, model: SavedModel, log: Path, *, name: str, port: int = 0) -> None:
        self.name = name
        self.log = log
        command = [
            sys.executable,
            "-m",
            "mlplatform.serving",
            "--model-dir",
            str(model.folder),
            "--spec",
            str(model.spec),
        ]
        command += ["--name", name, "--version", "3", "--environment", "test", "--port", str(port)]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def event(self, message: str, timeout: float = 60) -> dict[str, Any]:
        """Wait for a log line with this message."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for event in self.events:
                if event["message"] == message:
                    return event
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {message!r} in the log: {self.log.read_text()}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.event('listening')['port']}"

    @property
    def infer_url(self) -> str:
        return f"{self.url}/v2/models/{self.name}/infer"

    def ready(self) -> "Server":
        self.event("ready")
        return self

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def x_request(*values: Any, **members: Any) -> dict[str, Any]:
    """A v2 request for the scripted models."""
    return {"inputs": [{"name": "x", "shape": [len(values)], "datatype": "FP64", "data": list(values)}], **members}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SavedModel]:
    """The models by name, each saved once."""
    makers: dict[str, Callable[[Path], SavedModel]] = {
        "wine": save_wine,
        "tumours": save_tumours,
        "cellar": save_cellar,
    }
    made: dict[str, SavedModel] = {}

    def model(name: str) -> SavedModel:
        if name not in made:
            made[name] = makers[name](tmp_path_factory.mktemp(name))
        return made[name]

    return model


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., SavedModel]:
    """A function that saves a pyfunc with the given methods."""
    return lambda body, **options: save_scripted(tmp_path / options.get("name", "scripted"), body, **options)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts a server for the length of one test."""
    started: list[Server] = []

    def begin(model: SavedModel, name: str = "scripted", port: int = 0) -> Server:
        started.append(Server(model, tmp_path / f"server-{len(started)}.log", name=name, port=port))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def wine_server(models: Callable[[str], SavedModel], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of the wine model for all tests that leave it as it was."""
    server = Server(models("wine"), tmp_path_factory.mktemp("wine-server") / "log", name="wine")
    try:
        yield server.ready()
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def wine(wine_server: Server) -> Iterator[httpx.Client]:
    """A client of the wine server."""
    with httpx.Client(base_url=wine_server.url, timeout=30) as client:
        yield client
