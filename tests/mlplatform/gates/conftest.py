"""Model repositories with real models, trained once a session."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.gates.context import NO_CHAMPION, GateContext
from mlplatform.spec.model import ModelSpec

FEATURES = ["alcohol", "malic_acid", "ash", "proline"]
SEED = 7


def wine_frame():
    """scikit-learn's wine data, classes 0 and 1, four columns, with a text column to slice by."""
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).frame
    frame = frame[frame["target"] < 2].reset_index(drop=True)
    frame["hue_kind"] = (frame["hue"] > 1.05).map({True: "high", False: "low"})
    return frame[[*FEATURES, "hue_kind", "target"]]


def spec_document(**changes):
    document = {
        "name": "wine",
        "type": "realtime",
        "owner": "group:default/risk",
        "costCentre": "CC-1",
        "data": [
            {
                "name": "wine-all",
                "uri": "sklearn://wine",
                "classification": "internal",
                "role": "evaluation",
                "load": "wine.data:load",
            }
        ],
        "training": {"entrypoint": "wine.train:train"},
        "schema": {
            "inputs": [{"name": name, "type": "double", "minimum": 0} for name in FEATURES],
            "outputs": [{"name": "prediction", "type": "long", "enum": [0, 1]}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "wine-all",
            "target": "target",
            "thresholds": [{"metric": "roc_auc", "minimum": 0.9}],
        },
    }
    return {**document, **changes}


def save(model, frame, folder: Path, **options):
    import mlflow.sklearn
    from mlflow.models import infer_signature

    features = frame[FEATURES]
    options.setdefault("signature", infer_signature(features, model.predict(features)))
    options.setdefault("input_example", features.head(3))
    # Naming the requirements keeps MLflow from starting a process that works them out.
    mlflow.sklearn.save_model(model, str(folder), pip_requirements=["scikit-learn"], **options)


def estimator(columns=FEATURES, strength=1.0):
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = make_column_transformer((StandardScaler(), list(columns)))
    return make_pipeline(chosen, LogisticRegression(C=strength, random_state=SEED))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folders of saved models by name: `good`, and `weak`, which looks at one column only."""
    folder = tmp_path_factory.mktemp("models")
    frame = wine_frame()
    target = frame["target"]
    save(estimator().fit(frame, target), frame, folder / "good")
    save(estimator(["ash"]).fit(frame, target), frame, folder / "weak")
    return folder


@pytest.fixture
def repository(tmp_path, trained):
    """A model repository as training leaves it."""
    root = tmp_path / "wine"
    build = root / "build"
    build.mkdir(parents=True)
    shutil.copytree(trained / "good", build / "model")
    (root / "model.yaml").write_text(json.dumps(spec_document()))
    (root / "uv.lock").write_text("version = 1\nrevision = 3\nrequires-python = '>=3.11'\n")
    write_training_record(root)
    return root


def write_training_record(root: Path, **changes):
    record = {
        "modelDigest": artefact_digest(root / "build" / "model"),
        "metrics": {"accuracy": 0.97},
        "params": {"C": 1.0},
        "seed": SEED,
        "startedAt": "2026-01-02T03:04:05Z",
        "finishedAt": "2026-01-02T03:04:09Z",
        "data": [{"name": "wine-all", "uri": "sklearn://wine", "rows": 130, "digest": {"sha256": "ab" * 32}}],
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "repository": "local/wine", "dirty": False},
        "lockDigest": file_sha256(root / "uv.lock"),
        "python": "3.11.7",
    }
    (root / "build" / "training.json").write_text(json.dumps({**record, **changes}))


@pytest.fixture
def context_of(repository):
    """Make the context of a gate: `context_of(frame=..., validation={...}, champion=...)`."""

    def make(frame=None, *, champion=None, champion_unavailable=NO_CHAMPION, **changes):
        data = wine_frame() if frame is None else frame
        context = GateContext(
            spec=ModelSpec.model_validate(spec_document(**changes)),
            repository=repository,
            build=repository / "build",
            load=lambda name: data,
            champion_unavailable=champion_unavailable,
            clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        return context if champion is None else replace(context, champion=champion, champion_unavailable=None)

    return make


def named(result, name):
    """The one check of that name."""
    (check,) = [check for check in result.checks if check.name == name]
    return check
