"""Training: what it leaves behind, and what it says when the repository's code does not do what it must."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.training import frame_digest
from tests.mlplatform.repositories import Repository

pytestmark = pytest.mark.slow

BODY = "from mlplatform.training import TrainedModel\nfrom wine.data import training_data\n\n\ndef train(context):\n"


def test_the_record_says_what_made_the_model(trained: Repository) -> None:
    build = trained.path / "build"
    record = json.loads((build / "training.json").read_text())
    assert record["modelDigest"] == artefact_digest(build / "model")
    assert record["lockDigest"] == file_sha256(trained.path / "uv.lock")
    assert record["git"] == {
        "commit": trained.git("rev-parse", "HEAD"),
        "repository": "local/wine",
        "dirty": False,
        "author": "ada@example.com",
        "committedAt": datetime.fromtimestamp(int(trained.git("log", "-1", "--format=%ct")), UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
    }
    assert record["metrics"]["train_accuracy"] > 0.8
    assert record["params"] == {"C": 1.0}
    assert record["seed"] == 42
    (data,) = record["data"]
    assert (data["name"], data["uri"], data["rows"]) == ("wine-train", "sklearn://wine/train", 106)
    assert len(data["digest"]["sha256"]) == 64


def test_what_the_function_prints_is_kept_and_stays_off_standard_output(trained: Repository) -> None:
    assert "trained on 106 rows" in (trained.path / "build" / "logs" / "train.log").read_text()
    run = trained.platform("train", "--json")
    assert json.loads(run.out)["metrics"]
    assert "trained on 106 rows" in run.err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    raise ValueError('no such column')\n",
            "training failed: ValueError: no such column (src/wine/train.py:6)",
        ),
        ("    raise SystemExit(3)\n", "training failed: SystemExit: 3 (src/wine/train.py:6)"),
        (
            "    return {'accuracy': 1.0}\n",
            "wine.train:train must return mlplatform.training.TrainedModel, it returned dict",
        ),
        ("    return TrainedModel()\n", "the training function saved no MLflow model in context.model_dir"),
        ("    return TrainedModel(metrics={'a': float('nan')})\n", "the metric a is nan; the training did not work"),
        ("    return TrainedModel(metrics={'a': 'good'})\n", "the metric a is 'good', not a number"),
        ("    context.load('wine')\n", "model.yaml has no data set 'wine'"),
        ("    import no_such_package\n", "training failed: ModuleNotFoundError: No module named 'no_such_package'"),
    ],
    ids=lambda value: value.strip()[:30],
)
def test_a_training_function_that_fails_is_told_in_a_line(repository: Repository, body: str, message: str) -> None:
    repository.write("src/wine/train.py", BODY + body)
    run = repository.platform("train")
    assert (run.status, run.out) == (1, "")
    assert f"error: {message}" in run.err
    assert not (repository.path / "build" / "training.json").exists()
    assert not (repository.path / "build" / "model").exists()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("return 7", "wine.data:training_data must return a pandas DataFrame, it returned int"),
        ("raise OSError('bucket is gone')", "loading the data set wine-train failed: OSError: bucket is gone"),
        (
            "import pandas; return pandas.DataFrame({'a': [[1], [2]]})",
            "the data set wine-train has values that can't be hashed",
        ),
    ],
    ids=["no frame", "fails", "lists"],
)
def test_a_loader_that_fails_is_told_in_a_line(repository: Repository, function: str, message: str) -> None:
    repository.write("src/wine/data.py", f"COLUMNS = []\ndef training_data():\n    {function}\n")
    run = repository.platform("train")
    assert run.status == 1
    assert message in run.err


def test_code_that_can_not_be_imported(repository: Repository) -> None:
    repository.write("src/wine/train.py", "import no_such_package\ndef train(context): ...\n")
    run = repository.platform("train")
    assert run.status == 1
    assert "importing wine.train failed: ModuleNotFoundError" in run.err
    assert "`uv add no_such_package`" in run.err


def test_a_failed_training_takes_the_old_model_with_it(trained: Repository) -> None:
    """Half of an old result beside a new commit would be worse than none."""
    trained.write("src/wine/train.py", BODY + "    raise ValueError\n")
    assert trained.platform("train").status == 1
    assert trained.platform("validate").err.startswith("error: there is no trained model in build/")


def test_the_seed_decides(repository: Repository) -> None:
    body = (
        "    import random, numpy\n    (context.model_dir).mkdir()\n    (context.model_dir / 'MLmodel').write_text('x')\n"
        "    return TrainedModel(metrics={'a': random.random(), 'b': numpy.random.rand()})\n"
    )
    repository.write("src/wine/train.py", BODY + body)
    one, again, other = (
        json.loads(repository.platform("train", "--json", "--seed", seed).out)["metrics"] for seed in ("1", "1", "2")
    )
    assert one == again != other


def test_the_digest_of_a_frame_is_of_its_content() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": np.array([1.0, np.nan, 3.0])})
    digest = frame_digest(frame)
    assert frame_digest(frame.set_index(pd.Index([7, 8, 9]))) == digest, "the index does not count"
    changes = [
        frame.rename(columns={"a": "z"}),
        frame.astype({"a": "float64"}),
        frame[["b", "a", "c"]],
        frame.iloc[::-1],
        frame.iloc[:2],
        frame.assign(b=["x", "y", "None"]),
    ]
    assert len({digest, *map(frame_digest, changes)}) == len(changes) + 1
