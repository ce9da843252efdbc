"""Engines are interchangeable: the same units, the same bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mlplatform.batch.conftest import Model, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RAY_ALONE = """
import logging, ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)

@ray.remote
class Six:
    def times(self, number): return 6 * number

print(ray.get(Six.remote().times.remote(7), timeout=120))
ray.shutdown()
"""

RUN = """
import sys
from mlplatform.batch import parts
parts.units_of.__defaults__ = (400,)
from mlplatform.batch.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module", autouse=True)
def ray_works() -> None:
    """Leave these tests out where Ray by itself, without any code of ours, can't run an actor in time."""
    pytest.importorskip("ray")
    try:
        done = subprocess.run(
            [sys.executable, "-c", RAY_ALONE], capture_output=True, text=True, timeout=240, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("Ray alone can't run an actor here within 240 s")
    if done.stdout.strip() != "42":
        pytest.skip(f"Ray alone can't run an actor here: {done.stderr.strip()[-300:]}")


def run(model: Model, folder: Path) -> "subprocess.CompletedProcess[str]":
    arguments = ["--model-dir", str(model.saved.folder), "--spec", str(model.spec_file), "--version", "1"]
    arguments += ["--lake", str(model.root), "--day", "2013-01-05", "--run-id", "r1", "--output-root", str(folder)]
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False, timeout=280
    )


def test_ray_data_writes_the_bytes_that_polars_writes(wine: Model, tmp_path: Path) -> None:
    wine.change(batch={"maxRejected": 0.5, "chunkRows": 150}, serving={"resources": {"cpu": 2}})
    frame = rows(wine, 1500)
    wine.write(frame.with_columns(frame["alcohol"].set(frame["id"] == 777, -1.0)))
    written = {}
    for engine in ("polars", "ray"):
        wine.change(batch={"engine": engine})
        (tmp_path / engine).mkdir()
        done = run(wine, tmp_path / engine)
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        files = [path for path in sorted((tmp_path / engine).rglob("*.parquet")) if path.is_file()]
        written[engine] = {str(path.relative_to(tmp_path / engine)): path.read_bytes() for path in files}
    assert len(written["polars"]) == 5
    assert written["ray"] == written["polars"]


def test_what_fails_on_ray_is_told_as_elsewhere(wine: Model, tmp_path: Path) -> None:
    wine.change(batch={"engine": "ray"})
    wine.write(rows(wine, 100).drop("ash"))
    done = run(wine, tmp_path)
    assert done.returncode == 1
    assert "the input has no column ash" in done.stdout.splitlines()[-1]
    assert list(tmp_path.rglob("part-*.parquet")) == []
