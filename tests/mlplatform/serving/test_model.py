"""How a model is called, and that its answers are those of ``mlflow.pyfunc`` whatever the way."""

import subprocess
import sys
import warnings

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from mlplatform.serving.execution import Execution
from mlplatform.serving.model import LoadedModel, ModelUnusable, load
from mlplatform.serving.problems import ModelFailed, ModelOutputInvalid
from mlplatform.serving.rows import InputSchema, OutputSchema
from mlplatform.spec.load import load_spec
from mlplatform.spec.model import Column


def loaded(saved) -> LoadedModel:
    return load(saved.folder, load_spec(saved.spec).schema_)


@pytest.mark.parametrize(("name", "way"), [("wine", "array"), ("tumours", "array"), ("cellar", "frame")])
def test_answers_are_those_of_pyfunc(models, name, way):
    saved = models(name)
    model = loaded(saved)
    assert (model.way, model.row_wise) == (way, True)
    reference = mlflow.pyfunc.load_model(str(saved.folder))

    expected = np.asarray(reference.predict(saved.data)).reshape(len(saved.data), -1).T.tolist()
    assert model.predict([model.inputs.from_records(saved.rows)]) == expected

    for row in (0, 57, 130):
        frame = saved.data.iloc[[row]].reset_index(drop=True)
        expected = np.asarray(reference.predict(frame)).reshape(1, -1).T.tolist()
        assert model.predict([model.inputs.from_records([saved.rows[row]])]) == expected


def test_a_batch_of_requests_answers_each_row_as_alone(models):
    saved = models("tumours")
    model = loaded(saved)
    batches = [model.inputs.from_records([row]) for row in saved.rows[:40]]
    results = Execution(model).run(batches)
    alone = [model.predict([rows]) for rows in batches]
    np.testing.assert_allclose(np.array(results, dtype=float), np.array(alone), rtol=1e-9)


def test_no_warning_about_feature_names(models):
    model = loaded(models("wine"))
    rows = model.inputs.from_records(models("wine").rows[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([rows])


def test_a_model_that_looks_at_its_neighbours_is_not_batched(scripted):
    saved = scripted(
        "def predict(self, context, model_input, params=None):\n    return model_input['x'] - model_input['x'].mean()"
    )
    save_two_different_rows(saved)
    assert loaded(saved).row_wise is False


def save_two_different_rows(saved) -> None:
    (saved.folder / "input_example.json").write_text('{"columns": ["x"], "data": [[1.0], [5.0]]}')


def test_inputs_follow_the_order_of_the_signature(models, tmp_path):
    saved = models("wine")
    spec = load_spec(saved.spec)
    turned = spec.schema_.model_copy(update={"inputs": list(reversed(spec.schema_.inputs))})
    model = load(saved.folder, turned)
    assert list(model.inputs.names) == list(saved.data.columns)
    assert model.predict([model.inputs.from_records(saved.rows[:1])]) == [[0]]


def test_model_yaml_and_signature_must_agree(models):
    saved = models("wine")
    schema = load_spec(saved.spec).schema_
    wrong = schema.model_copy(update={"inputs": [*schema.inputs[1:], Column(name="bouquet", type="double")]})
    with pytest.raises(ModelUnusable, match=r"only in model\.yaml: bouquet; only in the model's signature: alcohol"):
        load(saved.folder, wrong)


def test_a_folder_without_a_model(tmp_path, models):
    with pytest.raises(ModelUnusable, match="no MLmodel file"):
        load(tmp_path, load_spec(models("wine").spec).schema_)


def answering(function, *outputs: Column) -> Execution:
    inputs = InputSchema([Column(name="x", type="double")])
    schema = OutputSchema(outputs or [Column(name="y", type="double")])
    return Execution(
        LoadedModel("frame", "test", inputs, schema, None, call=lambda frame, _parameters: function(frame["x"]))
    )


def rows_of(*values: float) -> list:
    return [InputSchema([Column(name="x", type="double")]).from_flat([value], 1) for value in values]


def test_one_bad_row_does_not_fail_the_others():
    def fails_on_negative(x):
        if (x < 0).any():
            raise ValueError("negative")
        return x * 2

    results = answering(fails_on_negative).run(rows_of(1, -1, 3))
    assert results[0] == [[2.0]]
    assert results[2] == [[6.0]]
    assert isinstance(results[1], ModelFailed)
    assert "negative" not in results[1].detail  # what the model says may hold a caller's data


def test_a_model_that_exits_is_a_failed_call():
    assert isinstance(answering(lambda _x: sys.exit("no")).run(rows_of(1))[0], ModelFailed)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_is_blamed_on_its_own_row(bad):
    results = answering(lambda x: x.where(x > 0, bad)).run(rows_of(1, -1, 3))
    assert results[0] == [[1.0]]
    assert results[2] == [[3.0]]
    assert isinstance(results[1], ModelOutputInvalid)


@pytest.mark.parametrize(
    ("answer", "column"),
    [
        (lambda x: x + 0.5, Column(name="y", type="long")),
        (lambda x: x * 100, Column(name="y", type="double", maximum=1)),
        (lambda x: ["maybe"] * len(x), Column(name="y", type="string", enum=["yes", "no"])),
        (lambda x: [None] * len(x), Column(name="y", type="string")),
        (lambda x: x * 1e300 * 1e10, Column(name="y", type="double")),
        (lambda x: x * 1e39, Column(name="y", type="float")),
        (lambda x: np.zeros((len(x), 2)), Column(name="y", type="double")),
        (lambda x: np.zeros((len(x), 2, 2)), Column(name="y", type="double")),
        (lambda x: np.zeros(len(x) + 1), Column(name="y", type="double")),
        (lambda _x: None, Column(name="y", type="double")),
        (lambda _x: {"z": [1]}, Column(name="y", type="double")),
    ],
)
def test_answers_outside_of_the_output_schema(answer, column):
    assert isinstance(answering(answer, column).run(rows_of(1))[0], ModelOutputInvalid)


@pytest.mark.parametrize(
    ("answer", "column", "expected"),
    [
        (lambda x: x, Column(name="y", type="long"), 3),
        (lambda x: x > 0, Column(name="y", type="boolean"), True),
        (lambda x: pd.DataFrame({"other": x * 0, "y": x}), Column(name="y", type="double"), 3.0),
        (lambda x: [{"y": value} for value in x], Column(name="y", type="double"), 3.0),
        (lambda x: x.tolist(), Column(name="y", type="double"), 3.0),
        (lambda x: [None] * len(x), Column(name="y", type="string", required=False), None),
    ],
)
def test_forms_that_an_answer_may_have(answer, column, expected):
    assert answering(answer, column).run(rows_of(3)) == [[[expected]]]


def test_importing_the_package_is_light():
    code = "import sys, mlplatform.serving.command; print(sorted({'numpy', 'mlflow', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
