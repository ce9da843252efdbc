"""Commands that run the model's code do so in the repository's own environment, from wherever they are started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mlplatform.repositories import MODEL_YAML, command, platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[3]
TRAIN = """\
import sys

def train(context):
    raise RuntimeError(f"in {sys.prefix}")
"""


def repository(path: Path, dependencies: str) -> dict[str, str]:
    (path / "src" / "wine").mkdir(parents=True)
    (path / "src" / "wine" / "train.py").write_text(TRAIN)
    (path / "model.yaml").write_text(MODEL_YAML)
    (path / "pyproject.toml").write_text(
        f'[project]\nname = "wine"\nversion = "0.1.0"\nrequires-python = ">=3.11,<3.14"\ndependencies = [{dependencies}]\n'
        f'[tool.uv.sources]\nmlplatform = {{ path = "{ROOT / "mlplatform"}", editable = true }}\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    environment |= {
        "UV_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
        "PATH": f"{Path(command()).parent}:{environment['PATH']}",
    }
    environment.pop("VIRTUAL_ENV", None)
    uv = shutil.which("uv", path=environment["PATH"])
    assert uv is not None
    done = subprocess.run(
        [uv, "lock", "--quiet"], cwd=path, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and "CI" not in os.environ:
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return environment


def test_training_runs_in_the_repositorys_environment(tmp_path: Path) -> None:
    path = tmp_path / "a repository"
    environment = repository(path, '"mlplatform"')
    run = platform("train", "-C", path.name, folder=tmp_path, environment=environment, timeout=240)
    assert run.status == 1
    assert "building the environment of a repository from its uv.lock" in run.err
    assert f"training failed: RuntimeError: in {path / '.venv'} (src/wine/train.py:4)" in run.err
    assert "VIRTUAL_ENV" not in run.err


def test_a_repository_without_the_toolkit_is_told_so_and_does_not_loop(tmp_path: Path) -> None:
    environment = repository(tmp_path / "wine", "")
    run = platform("train", folder=tmp_path / "wine", environment=environment, timeout=240)
    assert run.status == 1
    assert "the environment of wine has no `platform` command" in run.err
    assert "mlplatform[gates,serve]" in run.err
