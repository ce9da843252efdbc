"""The servers under test: one process each, the same scikit-learn estimator, one thread for BLAS."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

CACHE = Path(__file__).resolve().parents[1] / ".cache"
BIN = Path(sys.executable).parent
MLSERVER = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22")  # its workers do not start with a later uvloop
NAME = "tumours"
LIBRARY_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Peer:
    """How to start one server, and how to ask it for one row."""

    name: str
    command: list[str]
    port: int
    path: str
    body: dict[str, Any]
    environment: dict[str, str]
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


def save_model(folder: Path) -> dict[str, float]:
    """Train a real model and save it in every form that a server wants; return one row of the data."""
    import joblib
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    frame_model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data, target)
    array_model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.to_numpy(), target)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signature = infer_signature(data, frame_model.predict(data))
    mlflow.sklearn.save_model(
        frame_model,
        str(folder / "mlflow"),
        signature=signature,
        input_example=data.head(3),
        pip_requirements=["scikit-learn"],
    )
    joblib.dump(
        array_model, folder / "model.joblib"
    )  # fitted on an array: no peer warns about feature names at each call
    spec = {
        "name": NAME,
        "type": "realtime",
        "owner": "group:default/benchmarks",
        "costCentre": "CC-0",
        "data": [
            {
                "name": "tumours",
                "uri": "sklearn://datasets/breast_cancer",
                "role": "evaluation",
                "classification": "public",
                "load": "m:load",
            }
        ],
        "training": {"entrypoint": "m:train"},
        "schema": {
            "inputs": [{"name": name, "type": "double", "minimum": 0} for name in data.columns],
            "outputs": [{"name": "prediction", "type": "long", "enum": [0, 1]}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "tumours",
            "target": "target",
            "thresholds": [{"metric": "accuracy_score", "minimum": 0.9}],
        },
    }
    (folder / "model.yaml").write_text(json.dumps(spec))
    settings = {
        "name": NAME,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
        "max_batch_size": 64,
        "max_batch_time": 0.005,
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return {str(name): float(value) for name, value in data.iloc[0].items()}


def mlserver_python() -> Path:
    """Make MLServer's own environment, once: it can't live in ours."""
    import sklearn

    folder = CACHE / "mlserver"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        uv = str(BIN / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        packages = [*MLSERVER, f"scikit-learn=={sklearn.__version__}"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
        (folder / ".ready").touch()
    return python


def peers(folder: Path, row: dict[str, float], ports: list[int]) -> list[Peer]:
    """Return ours first, then the others."""
    v2 = {"inputs": [{"name": "predict", "shape": [1, len(row)], "datatype": "FP64", "data": list(row.values())}]}
    v1 = {"instances": [list(row.values())]}
    infer, predict = f"/v2/models/{NAME}/infer", f"/v1/models/{NAME}:predict"
    ours, kserve_port, mlserver_port, mlflow_port = ports
    own = [
        sys.executable,
        "-m",
        "mlplatform.serving",
        "--model-dir",
        str(folder / "mlflow"),
        "--spec",
        str(folder / "model.yaml"),
    ]
    own += ["--name", NAME, "--version", "1", "--port", str(ours)]
    kserve = [
        sys.executable,
        str(Path(__file__).with_name("kserve_peer.py")),
        str(folder / "model.joblib"),
        str(kserve_port),
    ]
    mlserver = [str(mlserver_python().with_name("mlserver")), "start", str(folder)]
    serve = [str(BIN / "mlflow"), "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    serve += ["--host", "127.0.0.1", "--port", str(mlflow_port)]
    mlserver_environment = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(mlserver_port),
        "MLSERVER_GRPC_PORT": "0",
        "MLSERVER_METRICS_PORT": "0",
        "MLSERVER_DEBUG": "false",
    }
    return [
        Peer("ours, v2", own, ours, infer, v2, {}, folder),
        Peer("ours, v1", [], ours, predict, v1, {}, folder),
        Peer("KServe SDK, v2", kserve, kserve_port, infer, v2, {}, folder),
        Peer("KServe SDK, v1", [], kserve_port, predict, v1, {}, folder),
        Peer(
            "MLServer 1.7.1, v2, batches of 64 / 5 ms", mlserver, mlserver_port, infer, v2, mlserver_environment, folder
        ),
        Peer(
            "mlflow models serve",
            serve,
            mlflow_port,
            "/invocations",
            {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
            {},
            folder,
        ),
    ]


class Running:
    """Started servers, stopped together."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Start one process with its output in a file."""
        path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
        settings = {**os.environ, **LIBRARY_THREADS, "PATH": path, **environment}
        with (self._log_folder / f"{name.partition(',')[0].replace(' ', '-')}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=settings, cwd=folder, start_new_session=True
            )
        self._processes.append(process)

    @property
    def pids(self) -> list[int]:
        """The processes in the order in which they were started."""
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        """Stop all of them, with the children that they started themselves."""
        for process in self._processes:
            try:
                os.killpg(process.pid, 15)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 10
        for process in self._processes:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def wait_for(url: str, body: dict[str, Any], seconds: float = 120) -> Any:
    """Ask until there is an answer; return it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            response = httpx.post(url, json=body, timeout=10)
            if response.status_code == 200:
                return response.json()
            problem = response.text[:200]
        except httpx.TransportError as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not answer: {problem}")
        time.sleep(0.25)
