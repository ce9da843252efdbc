import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.gates.columns import violations
from mlplatform.gates.result import Outcome
from mlplatform.gates.schema import evaluate
from mlplatform.spec.model import Column

from .conftest import FEATURES, estimator, save, spec_document, wine_frame


def resave(repository, model=None, **options):
    frame = wine_frame()
    shutil.rmtree(repository / "build" / "model", ignore_errors=True)
    save(model or estimator().fit(frame, frame["target"]), frame, repository / "build" / "model", **options)


def failures(result):
    return {check.name.removeprefix("schema."): check for check in result.checks if check.outcome is Outcome.FAILED}


def schema(inputs=None, outputs=None):
    document = spec_document()["schema"]
    return {"inputs": inputs or document["inputs"], "outputs": outputs or document["outputs"]}


def test_a_model_that_agrees_passes(context_of):
    result = evaluate(context_of())
    assert result.outcome is Outcome.PASSED, result.summary
    names = {check.name for check in result.checks}
    assert {
        "schema.signature.inputs.names",
        "schema.signature.outputs",
        "schema.example",
        "schema.data.wine-all",
    } <= names


def test_a_model_without_signature_fails_and_says_how_to_get_one(context_of, repository):
    resave(repository, signature=False, input_example=None)
    found = failures(evaluate(context_of()))
    assert "infer_signature" in found["signature"].message
    assert "input_example" in found["example"].message


def test_renamed_missing_and_moved_columns_are_told_apart(context_of):
    double = {"type": "double"}
    renamed = [{"name": "alcohol_level", **double}, *({"name": name, **double} for name in FEATURES[1:])]
    found = failures(evaluate(context_of(schema=schema(inputs=renamed))))
    assert "not in the signature: alcohol_level; not in model.yaml: alcohol" in found["signature.inputs.names"].message
    assert "no column alcohol_level" in found["data.wine-all.alcohol_level"].message
    moved = [{"name": name, **double} for name in reversed(FEATURES)]
    found = failures(evaluate(context_of(schema=schema(inputs=moved))))
    assert "another order, first at position 1" in found["signature.inputs.names"].message


def test_types_and_necessity_are_compared(context_of):
    inputs = [{"name": "alcohol", "type": "float"}, *({"name": name, "type": "double"} for name in FEATURES[1:])]
    inputs[1]["required"] = False
    found = failures(evaluate(context_of(schema=schema(inputs=inputs))))
    assert found["signature.inputs.alcohol.type"].observed == "double"
    assert found["signature.inputs.malic_acid.required"].limit == "optional"


@pytest.mark.parametrize(
    "outputs",
    [
        [{"name": "prediction", "type": "double"}],
        [{"name": "a", "type": "long"}, {"name": "b", "type": "long"}],
    ],
)
def test_other_outputs_fail(context_of, outputs):
    assert "signature.outputs" in failures(evaluate(context_of(schema=schema(outputs=outputs))))


def test_an_answer_outside_of_the_declared_values_fails(context_of):
    outputs = [{"name": "prediction", "type": "long", "enum": [1]}]
    found = failures(evaluate(context_of(schema=schema(outputs=outputs))))
    assert found["example.prediction.enum"].limit == "one of 1 declared values"


def test_probabilities_as_declared_outputs(context_of, repository):
    from mlflow.models import infer_signature

    frame = wine_frame()
    model = estimator().fit(frame, frame["target"])
    signature = infer_signature(frame[FEATURES], model.predict_proba(frame))
    resave(repository, model, signature=signature, pyfunc_predict_fn="predict_proba")
    outputs = [{"name": name, "type": "double", "minimum": 0, "maximum": 1} for name in ("first", "second")]
    result = evaluate(context_of(schema=schema(outputs=outputs)))
    assert result.outcome is Outcome.PASSED, result.summary


def test_a_model_that_does_not_load_fails_without_a_traceback(context_of, repository):
    (repository / "build" / "model" / "model.skops").write_bytes(b"damaged")
    assert "does not predict its own input example" in failures(evaluate(context_of()))["example"].message


def test_a_missing_model_fails(context_of, repository):
    shutil.rmtree(repository / "build" / "model")
    assert "platform train" in failures(evaluate(context_of()))["signature"].message


def test_bad_data_is_counted_and_located_and_never_shown(context_of):
    frame = wine_frame()
    frame.loc[[4, 9], "alcohol"] = -987.25
    frame.loc[7, "ash"] = None
    frame.loc[8, "ash"] = float("inf")
    result = evaluate(context_of(frame))
    found = failures(result)
    assert found["data.wine-all.alcohol.minimum"].observed == "2 of 130 (1.5 %) rows, at 4, 9"
    assert found["data.wine-all.ash.nulls"].observed == "1 of 130 (0.8 %) rows, at 7"
    assert found["data.wine-all.ash.finite"].observed == "1 of 130 (0.8 %) rows, at 8"
    assert "987" not in result.model_dump_json()


def test_data_that_does_not_load_fails_with_a_redacted_reason(context_of):
    from dataclasses import replace

    def load(name):
        raise RuntimeError("row of ada@example.com is broken")

    found = failures(evaluate(replace(context_of(), load=load)))
    assert "RuntimeError: row of [REDACTED:EMAIL]" in found["data.wine-all"].message


@pytest.mark.parametrize("frame", [pd.DataFrame(), wine_frame().head(0), wine_frame().drop(columns="target"), [1]])
def test_data_without_rows_or_columns_fails(context_of, frame):
    assert evaluate(context_of(frame)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("values", "column", "rules"),
    [
        (pd.Series([1, 2]), {"type": "long"}, []),
        (pd.Series([1, 2], dtype="int32"), {"type": "double"}, []),
        (pd.Series([1.5, 2]), {"type": "long"}, ["type"]),
        (pd.Series([1.0, None]), {"type": "long", "required": False}, []),
        (pd.Series([1.5, None]), {"type": "long", "required": False}, ["type"]),
        (pd.Series([1, None], dtype="Int64"), {"type": "long"}, ["nulls"]),
        (pd.Series([2**31]), {"type": "integer"}, ["type"]),
        (pd.Series([True, False]), {"type": "boolean"}, []),
        (pd.Series([True, False]), {"type": "long"}, ["type"]),
        (pd.Series([1, 0]), {"type": "boolean"}, ["type"]),
        (pd.Series(["a", "b"]), {"type": "string", "enum": ["a", "b"]}, []),
        (pd.Series(["a", "c"]), {"type": "string", "enum": ["a", "b"]}, ["enum"]),
        (pd.Series(["a", 1]), {"type": "string"}, ["type"]),
        (pd.Series(["a", "b"], dtype="category"), {"type": "string"}, []),
        (pd.Series(["1", "2"]), {"type": "double"}, ["type"]),
        (pd.Series([b"x"]), {"type": "binary"}, []),
        (pd.Series(pd.to_datetime(["2026-01-01"])), {"type": "datetime"}, []),
        (pd.Series(["2026-01-01"]), {"type": "datetime"}, ["type"]),
        (pd.Series([1, 2, 3]), {"type": "long", "enum": [1, 2.0]}, ["enum"]),
        (pd.Series([1, 5, 9]), {"type": "long", "minimum": 2, "maximum": 8}, ["minimum", "maximum"]),
        (pd.Series([np.nan, np.inf]), {"type": "double"}, ["nulls", "finite"]),
    ],
)
def test_rules_of_a_column(values, column, rules):
    assert [found.rule for found in violations(values, Column(name="c", **column))] == rules


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), max_size=6), st.data())
def test_any_column_of_anything_is_judged_without_an_error(values, data):
    kind = data.draw(st.sampled_from(["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]))
    column = Column(name="c", type=kind, minimum=0, maximum=10, enum=[1, "a", True, 2.5])
    for found in violations(pd.Series(values, dtype=object), column):
        assert 0 < found.count <= len(values)
