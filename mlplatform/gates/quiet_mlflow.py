"""MLflow without its network, its tracking server and its chatter.

A gate must not depend on, or write into, whatever tracking server the engineer's environment names: evaluations go to a
database in a temporary folder that is deleted afterwards.
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OURS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MPLBACKEND": "Agg",
    "TQDM_DISABLE": "1",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
}
_THEIRS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")
_THEIRS_TOO = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_TOKEN", "MLFLOW_MODEL_ID", "MLFLOW_ACTIVE_MODEL_ID")
_LOGGERS = ("mlflow", "alembic", "matplotlib", "py4j", "shap")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run a block with MLflow's telemetry off and its loggers and warnings silent."""
    before = {name: os.environ.get(name) for name in (*_OURS, *_THEIRS, *_THEIRS_TOO)}
    for name in (*_THEIRS, *_THEIRS_TOO):
        os.environ.pop(name, None)
    os.environ.update(_OURS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow  # noqa: F401  # its import sets its loggers up

            levels = {name: logging.getLogger(name).level for name in _LOGGERS}
            for name in _LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            try:
                yield
            finally:
                for name, level in levels.items():
                    logging.getLogger(name).setLevel(level)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def own_tracking() -> Iterator[None]:
    """Run a block with an MLflow tracking store of its own, in a temporary folder."""
    import mlflow

    tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with tempfile.TemporaryDirectory(prefix="mlplatform-gates-") as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        try:
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            experiment = mlflow.MlflowClient().create_experiment(
                "gates", artifact_location=(Path(folder) / "artefacts").as_uri()
            )
            with mlflow.start_run(experiment_id=experiment, nested=True):
                yield
        finally:
            mlflow.set_tracking_uri(tracking)
            mlflow.set_registry_uri(registry)


def load_pyfunc(folder: Path) -> Any:
    """Load an MLflow model of any flavour."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder))
