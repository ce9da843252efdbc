"""What the engineer of the story changes in the model repository between one version and the next."""

import re
from pathlib import Path

from sklearn.datasets import load_breast_cancer

ANSWERS = ("--data", "owner=group:default/risk")
_INTERVAL = "8s"
_REQUESTS = 200


def first_version(repository: Path) -> None:
    """Start with few features, and with rollout steps short enough for a demo."""
    _edit(repository / "model.yaml", r"^  interval: .*$", f"  interval: {_INTERVAL}")
    _edit(repository / "model.yaml", r"^    minRequests: .*$", "    minRequests: 15")
    _parameters(repository, features=4, c=0.1)


def better_version(repository: Path) -> None:
    """Let the model use more of what it is given."""
    _parameters(repository, features=10, c=1.0)


def worse_version(repository: Path) -> None:
    """Keep a single feature: cheaper, and worse than the champion."""
    _parameters(repository, features=1, c=0.1)


def broken_version(repository: Path) -> None:
    """Go back to the good parameters and add a look-up that leaks connections.

    Tests, gates and warm-up make few calls and pass. In production the pool runs dry: every request then waits for a
    connection, and most of them fail.
    """
    better_version(repository)
    package = next(path.parent for path in (repository / "src").glob("*/train.py"))
    (package / "enrichment.py").write_text(_ENRICHMENT, encoding="utf-8")
    training = package / "train.py"
    _edit(training, r"^from importlib\.metadata import version$", r"\g<0>" + "\nfrom pathlib import Path")
    _edit(training, r"^from \.features ", "from .enrichment import EnrichedPipeline\nfrom .features ")
    _edit(
        training,
        r"^    mlflow\.sklearn\.save_model\(\n        model,\n        context\.model_dir,$",
        "    mlflow.sklearn.save_model(\n        EnrichedPipeline(model.steps),\n        context.model_dir,\n"
        '        serialization_format="cloudpickle",\n        code_paths=[str(Path(__file__).parent)],',
    )


def request_bodies() -> list[dict[str, object]]:
    """Return prediction requests (Open Inference Protocol v2) made of real rows, one row each."""
    frame = load_breast_cancer(as_frame=True).data.filter(regex="^mean ")
    frame.columns = [column.replace(" ", "_") for column in frame.columns]
    rows = frame.sample(_REQUESTS, random_state=7).to_dict(orient="records")
    return [
        {"inputs": [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]}
        for row in rows
    ]


def _parameters(repository: Path, *, features: int, c: float) -> None:
    _edit(repository / "params.toml", r"^features = \S+", f"features = {features}")
    _edit(repository / "params.toml", r"^c = \S+", f"c = {c:g}" if c % 1 else f"c = {c:.1f}")


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if count == 0:
        raise ValueError(f"{path.name} has nothing that matches {pattern!r}; did the template change?")
    path.write_text(changed, encoding="utf-8")


_ENRICHMENT = '''"""The model, with each row looked up in the enrichment service first."""

import time
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

POOL_SIZE = 60
WAIT_SECONDS = 0.3

_connections_in_use = 0


def look_up() -> None:
    """Ask the enrichment service over a connection of the pool; wait for one when none is free, then give up."""
    global _connections_in_use
    _connections_in_use += 1  # never given back: this is the bug
    if _connections_in_use > POOL_SIZE:
        time.sleep(WAIT_SECONDS)
        if _connections_in_use % 4:
            raise ConnectionError("no free connection to the enrichment service")


class EnrichedPipeline(Pipeline):  # type: ignore[misc]
    """Looks rows up before it predicts."""

    def predict(self, rows: pd.DataFrame, **parameters: Any) -> Any:
        """Return the prediction for each row."""
        look_up()
        return super().predict(rows, **parameters)
'''
