"""A company that has templates and repositories from before: its template is imported, an old repository is adopted."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.mlplatform.repositories import Run, platform
from tests.scaffolder.template_repositories import pypackage_template

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

TRAINING = '''\
"""Tells malignant from benign tumours."""

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = ["mean radius", "mean texture", "mean smoothness"]
TARGET = "target"


def load_tumours() -> pd.DataFrame:
    frame = load_breast_cancer(as_frame=True).frame
    return frame[[*FEATURES, TARGET]]


def train_model(features, target, c=1.0):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c))
    return model.fit(features, target)


if __name__ == "__main__":
    tumours = load_tumours()
    print(train_model(tumours[FEATURES], tumours[TARGET]))
'''


@pytest.fixture
def pypackage() -> Path:
    return pypackage_template()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    kept.pop("VIRTUAL_ENV", None)
    who = {f"GIT_{role}_{part}": "ada" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return {**kept, **who, "ML_PLATFORM_HOME": str(tmp_path / "home"), "ML_PLATFORM_ANY_PYTHON": "1"}


def document(run: Run) -> dict[str, Any]:
    assert run.status == 0, f"{run.out}\n{run.err}"
    found: dict[str, Any] = json.loads(run.out)
    return found


def test_a_template_and_a_repository_from_before(pypackage: Path, environment: dict[str, str], tmp_path: Path) -> None:
    def said(*arguments: str, folder: Path = tmp_path) -> dict[str, Any]:
        return document(platform(*arguments, "--json", folder=folder, environment=environment, timeout=600))

    imported = said("templates", "import", str(pypackage), "--out", "package", "--verify", "5")
    compared = imported["verified"][str(tmp_path / "package")]
    assert compared
    assert all(one["files"] > 20 and not one["differences"] and one["fault"] is None for one in compared)
    assert (tmp_path / "package" / "IMPORTED.md").is_file()

    old = old_repository(pypackage, environment, tmp_path)
    before = tree(old, environment)
    dry = said("adopt", "--dry-run", "--data", "owner=group:default/risk", folder=old)
    assert dry["commit"] is None
    assert dry["evidence"]["training"]["value"] == "tumours.training:train_model"
    assert dry["evidence"]["target"]["value"] == "target"

    adopted = said("adopt", "--data", "owner=group:default/risk", "--data", "classification=public", folder=old)
    # Types of columns stand nowhere in the code: they are all that is asked for.
    waiting = adopted["check"]["faults"]
    assert [fault.split(": ")[1] for fault in waiting] == [f"schema.inputs[{index}].type" for index in range(3)]
    assert git(old, environment, "status", "--porcelain") == ""
    assert tree(old, environment) == before

    git(old, environment, "merge", "--quiet", "platform/adopt")
    after = tree(old, environment)
    merged = {decision["path"] for decision in adopted["decisions"] if decision["action"] == "merged"}
    assert {path for path in before if after.get(path) != before[path]} == merged
    refused = platform("check", folder=old, environment=environment)
    assert refused.status == 1
    assert "schema.inputs[0].type: is not filled in yet" in refused.err + refused.out
    model = old / "model.yaml"
    model.write_text(re.sub(r'type: "<fill in: [^"]*"', "type: double", model.read_text()))
    said("generate", folder=old)
    git(old, environment, "add", "--all")
    git(old, environment, "commit", "--quiet", "--message", "Say the types")

    checked = said("check", folder=old)
    assert checked["valid"]
    assert {"uv.lock", "derived files"} <= set(checked["checked"])
    assert "tumours" in {package["name"] for package in tomllib.loads((old / "uv.lock").read_text())["package"]}
    said("train", folder=old)
    assert (old / "build" / "model" / "MLmodel").is_file()


def old_repository(template: Path, environment: dict[str, str], place: Path) -> Path:
    """Make a repository with Cookiecutter itself, and let somebody train a model in it."""
    answers = [
        "pypi_package_name=tumours",
        "project_name=Tumours",
        "project_short_description=Tells malignant from benign tumours.",
    ]
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "--default-config"]
    subprocess.run(
        [*command, "--output-dir", str(place / "old"), *answers], env=environment, check=True, capture_output=True
    )
    (repository,) = (place / "old").iterdir()
    git(repository, environment, "init", "--quiet", "--initial-branch=main")
    git(repository, environment, "add", "--all")
    git(repository, environment, "commit", "--quiet", "--message", "From the template")
    (repository / "src" / "tumours" / "training.py").write_text(TRAINING)
    project = repository / "pyproject.toml"
    text = project.read_text()
    assert "dependencies = [\n" in text
    project.write_text(
        text.replace("dependencies = [\n", 'dependencies = [\n  "pandas>=2",\n  "scikit-learn>=1.5",\n', 1)
    )
    git(repository, environment, "add", "--all")
    git(repository, environment, "commit", "--quiet", "--message", "Train a model")
    return repository


def git(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tree(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    lines = git(folder, environment, "ls-tree", "-r", "HEAD").splitlines()
    return {path: about for about, _, path in (line.partition("\t") for line in lines)}
