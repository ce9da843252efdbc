"""What a training function takes and returns, and how it is run.

``training.entrypoint`` in ``model.yaml`` names a function of this form::

    def train(context: TrainingContext) -> TrainedModel:
        frame = context.load("wine-train")
        ...
        mlflow.sklearn.save_model(model, context.model_dir, signature=signature, input_example=example)
        return TrainedModel(metrics={"accuracy": 0.97}, params={"depth": 4})

Any MLflow flavour will do. Each data set that is loaded through ``context.load`` becomes part of the model's lineage, with
its digest (:func:`frame_digest`).
"""

import contextlib
import hashlib
import io
import math
import os
import platform as machine
import random
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.pipeline import code
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.git import git_state
from mlplatform.pipeline.records import DataRecord, GitRecord, TrainingRecord
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    from pandas import DataFrame

    from mlplatform.pipeline.workspace import Workspace

DEFAULT_SEED = 42


@dataclass(frozen=True)
class TrainingContext:
    """What a training function is given."""

    spec: ModelSpec
    """The checked ``model.yaml``."""
    model_dir: Path
    """Where the MLflow model is to be saved; the folder does not exist yet."""
    seed: int
    """The seed that ``random`` and NumPy's global generator are set to; pass it to estimators."""
    load: "Callable[[str], DataFrame]"
    """Load a data set by its name in ``model.yaml``."""


@dataclass(frozen=True)
class TrainedModel:
    """What a training function returns."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str | int | float] = field(default_factory=dict)


class DataLoader:
    """Loads data sets by their names in ``model.yaml``, each once, and records what was loaded."""

    def __init__(self, spec: ModelSpec, repository: Path) -> None:
        self._spec = spec
        self._repository = repository
        self._frames: dict[str, DataFrame] = {}
        self.records: list[DataRecord] = []

    def load(self, name: str) -> "DataFrame":
        """Return a data set; each caller gets a copy of its own.

        Raises:
            StageRefused: there is no such data set, or loading it failed.
        """
        if name not in self._frames:
            self._frames[name] = self._loaded(name)
        return self._frames[name].copy()

    def _loaded(self, name: str) -> "DataFrame":
        try:
            reference = self._spec.dataset(name)
        except KeyError:
            known = ", ".join(data.name for data in self._spec.data)
            fix = f"use one of: {known}"
            raise StageRefused(f"model.yaml has no data set {name!r}", fix=fix) from None
        entry = f"data[{self._spec.data.index(reference)}].load"
        loader = code.function(reference.load, field=entry, repository=self._repository)
        try:
            frame = loader()
        except Exception as error:
            why = code.explain(error, self._repository)
            raise StageRefused(f"loading the data set {name} failed: {why}") from error
        import pandas

        if not isinstance(frame, pandas.DataFrame):
            kind = type(frame).__name__
            raise StageRefused(f"{reference.load} must return a pandas DataFrame, it returned {kind}")
        try:
            digest = frame_digest(frame)
        except TypeError as error:
            raise StageRefused(f"the data set {name} has values that can't be hashed: {error}") from error
        self.records.append(DataRecord(name=name, uri=reference.uri, rows=len(frame), digest={"sha256": digest}))
        return frame


def frame_digest(frame: "DataFrame") -> str:
    """Return the digest of a DataFrame's content, as 64 hex digits.

    SHA-256 over, for each column in order, its name and dtype and a line break, followed by the 64-bit hash of each row
    (``pandas.util.hash_pandas_object`` without the index, little-endian), in row order. The index does not count.
    """
    import pandas

    summary = hashlib.sha256()
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        summary.update(f"{name}\t{dtype}\n".encode())
    summary.update(pandas.util.hash_pandas_object(frame, index=False).to_numpy().astype("<u8").tobytes())
    return summary.hexdigest()


def run_training(workspace: "Workspace", *, seed: int = DEFAULT_SEED) -> TrainingRecord:
    """Train the model of a repository in this process and write ``build/model`` and ``build/training.json``.

    What the function prints goes to standard error and to ``build/logs/train.log``. Only a complete model replaces what
    was in ``build/`` before.

    Raises:
        StageRefused: the function failed, or did not do what it must.
    """
    spec = workspace.spec
    started = datetime.now(UTC)
    git = git_state(workspace.path)
    workspace.clear()
    fresh = workspace.build / "model.new"
    shutil.rmtree(fresh, ignore_errors=True)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    # Metrics that the function logs to MLflow by itself stay in build/, not in a stray folder of the repository.
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.build / 'mlflow.db'}")
    loader = DataLoader(spec, workspace.path)
    with code.inside(workspace.path), _captured(workspace.logs / "train.log"):
        function = code.function(spec.training.entrypoint, field="training.entrypoint", repository=workspace.path)
        _set_seeds(seed)
        try:
            trained = function(TrainingContext(spec=spec, model_dir=fresh, seed=seed, load=loader.load))
        except StageRefused:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            why = code.explain(error, workspace.path)
            raise StageRefused(f"training failed: {why}", fix="the traceback is in build/logs/train.log") from error
    metrics, params = _checked(trained, spec.training.entrypoint)
    if not (fresh / "MLmodel").is_file():
        fix = "save it there, for example with mlflow.sklearn.save_model(model, context.model_dir, signature=...)"
        raise StageRefused("the training function saved no MLflow model in context.model_dir", fix=fix)
    try:
        digest = artefact_digest(fresh)
    except ValueError as error:
        raise StageRefused(f"the saved model can't be used: {error}") from error
    fresh.replace(workspace.model)
    record = TrainingRecord(
        model_digest=digest,
        metrics=metrics,
        params=params,
        seed=seed,
        started_at=started,
        finished_at=datetime.now(UTC),
        data=loader.records,
        git=GitRecord(
            commit=git.commit,
            repository=git.repository,
            dirty=git.dirty,
            author=git.author,
            committed_at=git.committed_at,
        ),
        lock_digest=file_sha256(workspace.lock_file) if workspace.lock_file.is_file() else None,
        python=machine.python_version(),
    )
    workspace.write(workspace.training_file, record.model_dump(mode="json", by_alias=True))
    return record


def _set_seeds(seed: int) -> None:
    random.seed(seed)
    try:
        import numpy
    except ImportError:
        return
    numpy.random.seed(seed)


def _checked(trained: Any, entrypoint: str) -> tuple[dict[str, float], dict[str, str | int | float | bool]]:
    if not isinstance(trained, TrainedModel):
        kind = type(trained).__name__
        raise StageRefused(f"{entrypoint} must return mlplatform.training.TrainedModel, it returned {kind}")
    metrics = {}
    for name, value in trained.metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise StageRefused(f"the metric {name} is {value!r}, not a number") from None
        if not math.isfinite(number):
            raise StageRefused(f"the metric {name} is {number}; the training did not work")
        metrics[str(name)] = number
    params: dict[str, str | int | float | bool] = {}
    for name, raw in trained.params.items():
        plain: Any = raw.item() if hasattr(raw, "item") else raw  # NumPy's scalars
        params[str(name)] = plain if isinstance(plain, str | int | float) else str(plain)
    return metrics, params


class _Tee(io.TextIOBase):
    """Writes to a file and, at the same time, to standard error."""

    def __init__(self, file: TextIO, shown: TextIO) -> None:
        self._file = file
        self._shown = shown

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        self._shown.write(text)
        return self._file.write(text)

    def flush(self) -> None:
        self._shown.flush()
        self._file.flush()


@contextlib.contextmanager
def _captured(log: Path) -> Iterator[None]:
    with log.open("w", encoding="utf-8") as file:
        tee = _Tee(file, sys.stderr)
        with contextlib.redirect_stdout(tee), contextlib.redirect_stderr(tee):
            yield
