"""A day scored: the answers of the model server, for whole partitions; recognised when nothing has changed."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlplatform.batch import parts
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import open_lake
from mlplatform.serving.execution import Execution
from mlplatform.serving.model import load
from mlplatform.spec.load import load_spec
from tests.mlplatform.batch.conftest import DAY, Model, rows

pytestmark = pytest.mark.slow

DOUBLE = """
def predict(self, context, model_input, params=None):
    return model_input["x"] * 2
"""


def numbers(*values: float | None, **more: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"id": list(range(len(values))), "x": pl.Series(values, dtype=pl.Float64), **more})


def served(model: Model, frame: pl.DataFrame) -> list[list[Any]]:
    """What a model server answers to these rows."""
    loaded = load(model.saved.folder, load_spec(model.spec_file).schema_)
    records = frame.drop("id").to_dicts()
    answers = [
        Execution(loaded).run([loaded.inputs.from_records(records[at : at + 1000])])[0]
        for at in range(0, len(records), 1000)
    ]
    assert all(isinstance(one, list) for one in answers), answers
    return [[value for one in answers for value in one[output]] for output in range(len(answers[0]))]  # type: ignore[index,arg-type]


@pytest.mark.parametrize("name", ["wine", "cellar"])
def test_answers_are_those_of_the_model_server(name: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(name)
    frame = rows(model, 2_500)
    model.change(batch={"chunkRows": 1000})
    model.write(frame)
    done = model.score(version=7)
    assert (done.outcome, done.manifest.rows_in, done.manifest.rows_out) == ("done", 2500, 2500)
    written = model.read()
    assert written.columns == ["id", "prediction", "model_version"]
    assert written["id"].to_list() == frame["id"].to_list()
    assert written["prediction"].to_list() == served(model, frame)[0]
    assert written["model_version"].unique().to_list() == [7]


def test_the_same_version_and_input_change_nothing(wine: Model) -> None:
    wine.write(rows(wine))
    first = wine.score()
    before = {
        path: path.stat().st_mtime_ns for path in wine.root.rglob("*") if path.is_file() and ".lock" not in path.name
    }
    again = wine.score()
    assert again.outcome == "unchanged"
    assert again.manifest == first.manifest
    after = {
        path: path.stat().st_mtime_ns for path in wine.root.rglob("*") if path.is_file() and ".lock" not in path.name
    }
    assert before == after


def test_the_same_version_and_input_give_the_same_bytes(wine: Model) -> None:
    wine.write(rows(wine, 3000))
    wine.score()
    before = wine.bytes()
    assert wine.score(force=True).outcome == "done"
    assert wine.bytes() == before


@pytest.mark.parametrize("change", ["version", "input", "model.yaml", "output", "another file"])
def test_whatever_changes_is_scored_again(wine: Model, change: str) -> None:
    file = wine.write(rows(wine, 100))
    first = wine.score()
    version = 1
    if change == "version":
        version = 2
    elif change == "input":
        wine.write(rows(wine, 101))
    elif change == "another file":
        wine.write(rows(wine, 10), name="b.parquet")
    elif change == "model.yaml":
        wine.change(batch={"chunkRows": 200})
    else:
        (wine.root / "shop/scores" / f"date={DAY}" / first.manifest.output_files[0].name).unlink()
    assert file.exists()
    assert wine.score(version=version).outcome == "done"
    assert wine.score(version=version).outcome == "unchanged"


def test_an_input_that_is_only_touched_is_recognised(wine: Model) -> None:
    file = wine.write(rows(wine))
    wine.score()
    file.write_bytes(file.read_bytes())
    assert wine.score().outcome == "unchanged"


def test_rows_that_do_not_fit_are_set_aside_with_their_reasons(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE, maxRejected=0.9)
    model.change(
        schema={
            "inputs": [{"name": "x", "type": "double", "maximum": 10}],
            "outputs": [{"name": "y", "type": "double"}],
        }
    )
    model.write(numbers(1.0, None, float("nan"), 11.0, 2.0))
    done = model.score()
    assert (done.manifest.rows_in, done.manifest.rows_out, done.manifest.rows_rejected) == (5, 2, 3)
    assert model.read().select("id", "y").rows() == [(0, 2.0), (4, 4.0)]
    assert model.read("shop/scores_rejected").rows() == [
        (1, "a.parquet", 1, "x is missing (null)"),
        (2, "a.parquet", 2, "x is not a finite number: NaN"),
        (3, "a.parquet", 3, "x is outside of -1.79769e+308 to 10: 11.0"),
    ]
    assert [(one.column, one.rows) for one in done.manifest.rejected] == [("x", 1)] * 3
    # Once they are put right, what was set aside is gone.
    model.write(numbers(1.0, 2.0))
    assert model.score().manifest.rows_rejected == 0
    assert model.lake.days("shop/scores_rejected", "date") == []


@pytest.mark.parametrize("classification", ["pii", "sensitive-pii"])
def test_reasons_tell_no_value_of_personal_data(scripted: Callable[..., Model], classification: str) -> None:
    model = scripted(DOUBLE, maxRejected=0.9)
    data = json.loads(model.spec_file.read_text())["data"]
    model.change(
        data=[{**data[0], "classification": classification}],
        schema={
            "inputs": [{"name": "x", "type": "double", "maximum": 10}],
            "outputs": [{"name": "y", "type": "double"}],
        },
    )
    model.write(numbers(1.0, 987654.0))
    done = model.score()
    reasons = model.read("shop/scores_rejected")["reason"].to_list()
    assert reasons == ["x is outside of -1.79769e+308 to 10"]
    assert "987654" not in done.manifest.encoded().decode()


def test_too_many_rejected_rows_change_nothing(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE, maxRejected=0.2)
    model.write(numbers(*[1.0] * 8, None, None))
    model.score()
    before = model.bytes()
    model.write(numbers(*[1.0] * 7, None, None, float("inf")))
    with pytest.raises(BatchFailed) as caught:
        model.score()
    assert not caught.value.again
    assert caught.value.message == (
        "3 of 10 rows don't fit the schema, at most 0.2 of them may (batch.maxRejected); nothing was changed "
        "(x is missing (null): 2; x is not a finite number: 1)"
    )
    assert model.bytes() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "def predict(self, c, x, params=None):\n    return x['x'] * float('nan')",
            "output y is not a finite number in 3 of 3",
        ),
        ("def predict(self, c, x, params=None):\n    return x['x'].astype(str)", "output y is not a number"),
        ("def predict(self, c, x, params=None):\n    return x['x'][:1]", "The model answered 1 rows to 3."),
        ("def predict(self, c, x, params=None):\n    raise KeyError('ada@example.com')", "the model raised KeyError;"),
        ("def predict(self, c, x, params=None):\n    sys.exit(3)", "SystemExit;"),
    ],
)
def test_answers_that_are_none_fail_the_run_and_change_nothing(
    scripted: Callable[..., Model], body: str, message: str
) -> None:
    model = scripted(body)
    model.write(numbers(1.0, 2.0, 3.0))
    with pytest.raises(BatchFailed) as caught:
        model.score()
    assert message in caught.value.message
    assert "ada" not in caught.value.message
    assert model.lake.days("shop/scores", "date") == []
    assert list((model.root / "_staging").rglob("*.parquet")) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"id": [1], "z": [1.0]}), "a.parquet: the input has no column x"),
        (pl.DataFrame({"x": [1.0]}), "a.parquet: the input has no column id"),
        (pl.DataFrame({"id": [1], "x": ["1"]}), "column x is String in the input, model.yaml declares it as double"),
    ],
)
def test_an_input_of_another_form_is_told_in_a_sentence(
    scripted: Callable[..., Model], frame: pl.DataFrame, message: str
) -> None:
    model = scripted(DOUBLE)
    model.write(frame)
    with pytest.raises(BatchFailed) as caught:
        model.score()
    assert message in caught.value.message


def test_no_input_may_come_later(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE)
    with pytest.raises(
        BatchFailed, match="there is no input: shop/orders/date=2013-01-05 holds no Parquet files"
    ) as caught:
        model.score()
    assert caught.value.again


def test_a_file_that_is_no_parquet_fails(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE)
    file = model.write(numbers(1.0))
    file.write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(Exception, match=r"[Pp]arquet"):
        model.score()
    assert model.lake.days("shop/scores", "date") == []


def test_an_empty_partition_is_scored_to_an_empty_one(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE)
    model.write(numbers(1.0).clear())
    assert model.score().manifest.rows_out == 0
    assert model.read().schema == {"id": pl.Int64, "y": pl.Float64, "model_version": pl.Int32}
    assert model.score().outcome == "unchanged"


def test_missing_keys_are_rejected_and_keys_keep_their_type(scripted: Callable[..., Model]) -> None:
    model = scripted(DOUBLE, keys=["id", "day"], maxRejected=0.5)
    model.write(numbers(1.0, 2.0, day=[date(2013, 1, 5), None]))
    model.score()
    assert model.read().rows() == [(0, date(2013, 1, 5), 2.0, 1)]
    assert model.read("shop/scores_rejected")["reason"].to_list() == ["day is missing (null)"]


def test_optional_columns_without_a_missing_value_are_left_out_of_the_call(scripted: Callable[..., Model]) -> None:
    body = """
    def predict(self, context, model_input, params=None):
        return model_input["x"] + (model_input["n"] if "n" in model_input else -1)
    """
    model = scripted(body)
    model.change(
        schema={
            "inputs": [{"name": "x", "type": "double"}, {"name": "n", "type": "long", "required": False}],
            "outputs": [{"name": "y", "type": "double"}],
        }
    )
    manifest = model.saved.folder / "MLmodel"
    text = manifest.read_text()
    named = '{"type": "double", "name": "x", "required": true}'
    assert named in text
    manifest.write_text(text.replace(named, named + ', {"type": "long", "name": "n", "required": false}'))
    model.write(numbers(1.0, 2.0, 3.0, 4.0, n=[10, None, 30, None]))
    model.score()
    assert model.read()["y"].to_list() == [11.0, 1.0, 33.0, 3.0]
    model.write(numbers(1.0, 2.0))
    model.score()
    assert model.read()["y"].to_list() == [0.0, 1.0]


def test_units_follow_from_the_input_and_keep_its_order(wine: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.units_of, "__defaults__", (700,))
    frame = rows(wine, 2000)
    wine.write(frame[:300], name="1.parquet")
    wine.write(frame[300:1900], name="2.parquet", row_group_size=250)
    wine.write(frame[1900:], name="3.parquet")
    done = wine.score()
    assert [file.rows for file in done.manifest.output_files] == [700, 700, 600]
    assert wine.read()["id"].to_list() == list(range(2000))


def test_units_of_any_files() -> None:
    units = parts.units_of([("a", 0), ("b", 5), ("c", 4), ("d", 0), ("e", 1)], most=4)
    assert [[(one.file, one.start, one.count) for one in unit.slices] for unit in units] == [
        [("a", 0, 0), ("b", 0, 4)],
        [("b", 4, 1), ("c", 0, 3)],
        [("c", 3, 1), ("e", 0, 1)],
    ]
    assert [len(unit.slices) for unit in parts.units_of([("a", 0), ("b", 0)])] == [1]


def test_an_input_that_is_written_meanwhile_is_not_published(wine: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    wine.write(rows(wine, 200))
    written = parts.UnitScorer._written

    def interfering(scorer: parts.UnitScorer, *arguments: Any) -> Any:
        wine.write(rows(wine, 10), name="late.parquet")
        return written(scorer, *arguments)

    monkeypatch.setattr(parts.UnitScorer, "_written", interfering)
    with pytest.raises(BatchFailed, match="was written while it was read") as caught:
        wine.score()
    assert caught.value.again
    assert wine.lake.days("shop/scores", "date") == []


def test_answers_of_another_model_can_be_the_input(scripted: Callable[..., Model]) -> None:
    """Which files count is then said by the manifest of whoever wrote them."""
    model = scripted(DOUBLE)
    model.write(numbers(1.0))
    model.score()
    spec = json.loads(model.spec_file.read_text())
    model.change(
        batch={"input": "shop/scores", "output": "shop/doubled"},
        schema={**spec["schema"], "inputs": [{"name": "x", "type": "double"}]},
    )
    (model.root / "shop/scores" / f"date={DAY}" / "stray.parquet").write_bytes(b"not named")
    with pytest.raises(BatchFailed, match="has no column x"):
        model.score()


def command(model: Model, *more: str, day: str = "2013-01-05") -> "subprocess.CompletedProcess[str]":
    arguments = ["--model-dir", str(model.saved.folder), "--spec", str(model.spec_file), "--version", "3"]
    arguments += ["--environment", "lab", "--lake", str(model.root), "--day", day, "--run-id", "r1", *more]
    return subprocess.run(
        [sys.executable, "-m", "mlplatform.batch", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_tells_its_progress_and_nothing_else_on_standard_output(scripted: Callable[..., Model]) -> None:
    body = """
    def predict(self, context, model_input, params=None):
        print("to ada@example.com", flush=True)
        os.write(1, b"from native code\\n")
        return model_input["x"]
    """
    model = scripted(body)
    model.write(numbers(1.0, 2.0))
    done = command(model)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["progress", "progress", "ended"]
    assert events[-1] | {"outcome": "done", "rows": 2, "rejected": 0, "total": 2} == events[-1]
    assert "from native code" in done.stderr
    assert "ada@example.com" not in done.stderr
    assert json.loads(command(model).stdout)["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ((), 1, "error: can't score 2013-02-01: there is no input"),
        (("--lake", "s3://a:b@c/d"), 1, "must not hold credentials"),
        (("--run-id", "../x"), 2, "use letters, digits"),
        (("--day", "yesterday"), 2, "invalid"),
        (("--timeout", "0.2s"), 1, ""),
    ],
)
def test_the_command_says_why_in_one_line(
    scripted: Callable[..., Model], more: tuple[str, ...], status: int, said: str
) -> None:
    model = scripted("def predict(self, c, x, params=None):\n    time.sleep(60)\n    return x['x']")
    if "--timeout" in more:
        model.write(numbers(1.0), day=date(2013, 2, 1))
    done = command(model, *more, day="2013-02-01")
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if status == 1:
        assert json.loads(done.stdout.splitlines()[-1])["event"] == "failed"
    if "--timeout" in more:
        assert "longer than 0.2 s (batch.timeout)" in done.stdout


def test_a_run_into_another_lake_publishes_nothing_here(wine: Model, tmp_path: Path) -> None:
    wine.write(rows(wine, 50))
    (tmp_path / "scratch").mkdir()
    wine.score(output=open_lake(str(tmp_path / "scratch")))
    assert wine.lake.days("shop/scores", "date") == []
    assert open_lake(str(tmp_path / "scratch")).days("shop/scores", "date") == [DAY]
