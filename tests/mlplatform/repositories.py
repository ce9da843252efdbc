"""A small model repository, made by hand: real scikit-learn data, a real model, a git commit."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL_YAML = """\
name: wine
type: realtime
owner: group:default/risk
costCentre: cc-100
data:
  - name: wine-train
    uri: sklearn://wine/train
    role: training
    classification: public
    load: wine.data:training_data
  - name: wine-holdout
    uri: sklearn://wine/holdout
    role: evaluation
    classification: public
    load: wine.data:holdout_data
training:
  entrypoint: wine.train:train
schema:
  inputs:
    - {name: alcohol, type: double, minimum: 0, maximum: 100}
    - {name: color_intensity, type: double, minimum: 0}
    - {name: proline, type: double, minimum: 0}
  outputs:
    - {name: prediction, type: long}
validation:
  evaluator: classifier
  dataset: wine-holdout
  target: target
  thresholds:
    - {metric: accuracy_score, minimum: 0.7}
"""

DATA = """\
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

COLUMNS = ["alcohol", "color_intensity", "proline"]


def _halves():
    frame = load_wine(as_frame=True).frame[[*COLUMNS, "target"]]
    return train_test_split(frame, test_size=0.4, random_state=0, stratify=frame["target"])


def training_data():
    return _halves()[0].reset_index(drop=True)


def holdout_data():
    return _halves()[1].reset_index(drop=True)
"""

TRAIN = """\
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlplatform.training import TrainedModel, TrainingContext
from wine.data import COLUMNS


def train(context: TrainingContext) -> TrainedModel:
    frame = context.load("wine-train")
    inputs, truth = frame[COLUMNS], frame["target"]
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=context.seed)).fit(inputs, truth)
    print("trained on", len(frame), "rows")
    mlflow.sklearn.save_model(
        model,
        context.model_dir,
        signature=infer_signature(inputs, model.predict(inputs)),
        input_example=inputs.head(2),
        pip_requirements=["scikit-learn"],
    )
    return TrainedModel(metrics={"train_accuracy": model.score(inputs, truth)}, params={"C": 1.0})
"""

PYPROJECT = """\
[project]
name = "wine"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []
"""


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    status: int
    out: str
    err: str


class Repository:
    """A model repository on disk, and ``platform`` run inside of it as a process of its own."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")},
            "ML_PLATFORM_HOME": str(home),
            "ML_PLATFORM_URL": "http://127.0.0.1:9",
            # The tests' environment has the model's dependencies; building one for each test would take minutes.
            "ML_PLATFORM_ANY_PYTHON": "1",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("VIRTUAL_ENV", None)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the repository."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the repository."""
        file = self.path / name
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{name} does not hold {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str = "change") -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def platform(self, *arguments: str, timeout: float = 180, **environment: str) -> Run:
        """Run ``platform`` with these arguments."""
        return platform(*arguments, folder=self.path, environment={**self.environment, **environment}, timeout=timeout)


def platform(*arguments: str, folder: Path, environment: dict[str, str], timeout: float = 60, **options: Any) -> Run:
    """Run the installed ``platform`` command."""
    done = subprocess.run(
        [command(), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        **options,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def command() -> str:
    """Return the path of the ``platform`` command of the tests' environment."""
    import sys

    return str(Path(sys.executable).with_name("platform"))


def make(path: Path, home: Path) -> Repository:
    """Make the repository and its first commit."""
    repository = Repository(path, home)
    path.mkdir(parents=True)
    repository.write("model.yaml", MODEL_YAML)
    repository.write("src/wine/__init__.py", "")
    repository.write("src/wine/data.py", DATA)
    repository.write("src/wine/train.py", TRAIN)
    repository.write("pyproject.toml", PYPROJECT)
    repository.write(".gitignore", "build/\n__pycache__/\n.venv/\n")
    subprocess.run(
        [str(Path(command()).with_name("uv")), "lock", "--offline", "--quiet", "--no-progress"],
        cwd=path,
        env=repository.environment,
        check=True,
        timeout=60,
    )
    repository.git("init", "-q", "-b", "main")
    repository.commit("first")
    return repository
