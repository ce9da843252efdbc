"""What two versions answered to the same days, figure by figure."""

import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.batch.compare import Side, compare, psi
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import open_lake
from mlplatform.spec.load import load_spec
from tests.mlplatform.batch.conftest import DAY, Model, batch_model
from tests.mlplatform.serving.conftest import save_scripted

NEXT = date(2013, 1, 6)


def sides(tmp_path: Path, old: str, new: str, frame: pl.DataFrame) -> tuple[Model, Model]:
    made = []
    for name, body in (("old", old), ("new", new)):
        source = f"def predict(self, context, model_input, params=None):\n    x = model_input['x']\n    return {body}"
        model = batch_model(save_scripted(tmp_path / name, source), tmp_path / f"lake-{name}", maxRejected=0.9)
        for day in (DAY, NEXT):
            model.write(frame, day)
            model.score(day)
        made.append(model)
    return made[0], made[1]


def side(model: Model) -> Side:
    return Side(load_spec(model.spec_file), model.lake)


@pytest.mark.slow
def test_figures_of_two_versions(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2, 2, 3], "x": [1.0, 2.0, 3.0, None]})
    old, new = sides(tmp_path, "x", "x + (x > 2.5) * 10", frame)
    found = compare(side(old), side(new), [DAY, NEXT])
    assert found["old"]["rows"] == found["new"]["rows"] == 8
    assert (found["new"]["rejected"], found["new"]["accepted"], found["matched"]) == (2, 0.75, 6)
    assert found["changed"] == pytest.approx(1 / 3, abs=1e-6)
    (output,) = found["outputs"].values()
    assert output["agreement"] == pytest.approx(2 / 3, abs=1e-6)
    assert output["difference"] == {"mean": pytest.approx(10 / 3), "largest": 10.0}
    assert output["mean"] == {"old": 2.0, "new": pytest.approx(16 / 3)}
    assert output["psi"] > 0.25
    same = compare(side(old), side(old), [DAY])
    assert (same["changed"], same["outputs"]["y"]["psi"]) == (0.0, 0.0)


@pytest.mark.slow
def test_the_command_prints_one_line(tmp_path: Path) -> None:
    old, new = sides(tmp_path, "x", "x", pl.DataFrame({"id": [1], "x": [1.0]}))
    arguments = ["--old-spec", str(old.spec_file), "--old", str(old.root), "--new-spec", str(new.spec_file)]
    command = [sys.executable, "-m", "mlplatform.batch.compare", *arguments, "--new", str(new.root)]
    done = subprocess.run([*command, "--day", "2013-01-05"], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["comparison"]["changed"]) == (0, 0.0)
    done = subprocess.run([*command, "--day", "2013-01-09"], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["event"]) == (1, "failed")
    assert "error: can't compare: shop/scores/date=2013-01-09 was not scored" in done.stderr


@pytest.mark.slow
def test_versions_with_other_keys_are_not_compared(scripted: Callable[..., Model]) -> None:
    model = scripted("def predict(self, context, model_input, params=None):\n    return model_input['x']")
    old = side(model)
    model.change(batch={"keys": ["order"]})
    with pytest.raises(BatchFailed, match=r"other keys \(id; now order\)"):
        compare(old, side(model), [])


def test_open_lake_of_nothing_has_no_days(tmp_path: Path) -> None:
    assert open_lake(str(tmp_path / "none")).days("shop/scores", "date") == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=50))
def test_a_sample_is_as_stable_as_can_be_against_itself(values: list[float | None]) -> None:
    series = pl.Series(values, dtype=pl.Float64)
    assert psi(series, series.shuffle(seed=1)) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("bcd"), min_size=1))
def test_the_index_is_its_definition(old: list[str], new: list[str]) -> None:
    expected = 0.0
    for value in set(old) | set(new):
        p, q = max(old.count(value) / len(old), 1e-4), max(new.count(value) / len(new), 1e-4)
        expected += (q - p) * math.log(q / p)
    assert psi(pl.Series(old), pl.Series(new)) == pytest.approx(expected, abs=1e-5)


def test_a_shift_of_numbers_shows(tmp_path: Path) -> None:
    drawn = random.Random(1)
    old = pl.Series([drawn.gauss(0, 1) for _ in range(5000)])
    alike = pl.Series([drawn.gauss(0, 1) for _ in range(5000)])
    assert (psi(old, alike) or 0) < 0.02
    assert (psi(old, alike + 1) or 0) > 0.25
    assert psi(old, old.clear()) is None
