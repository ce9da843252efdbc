"""Trial requests against a version: what is sent, and which answers are not good enough."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.deployments.targets.local.warm import (
    AnswerRefused,
    check_answer,
    example_rows,
    infer_request,
    schema_rows,
    trial_batches,
)
from mlplatform.spec.model import ModelSpec
from tests.backend.targets.machine import SPEC, Machine


def with_columns(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]] | None = None) -> ModelSpec:
    document = SPEC.model_dump(mode="json", by_alias=True)
    document["schema"] = {"inputs": inputs, "outputs": outputs or document["schema"]["outputs"]}
    return ModelSpec.model_validate(document)


def test_a_good_version_passes_on_every_replica(machine: Machine) -> None:
    key = machine.run(1, replicas=2)
    result = machine.target.warm(key, SPEC)
    assert result.ok, result.message
    assert result.requests > 20


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"value": float("nan")}, "output prediction is nan"),
        ({"value": -1.0}, "output prediction is below its minimum 0"),
        ({"value": "x"}, "output prediction is not a number"),
        ({"fails": True}, "status 500: made to fail"),
        ({"delay": 3}, "no answer (timed out)"),
    ],
)
def test_a_bad_version_is_told_apart(machine: Machine, behaviour: dict[str, Any], reason: str) -> None:
    key = machine.run(1, **behaviour)
    result = machine.target.warm(key, SPEC)
    assert not result.ok
    assert reason in result.message
    assert str(key) in result.message


def test_a_version_that_is_not_ready_is_not_warmed(machine: Machine) -> None:
    spec = machine.spec(1, unready=True)
    assert "is not ready" in machine.target.warm(spec.key, SPEC).message
    machine.target.start(spec)
    machine.until(spec.key, "starting")
    assert "is not ready" in machine.target.warm(spec.key, SPEC).message


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["alcohol", "extra"], "data": [[13.0, 1]]}},
        {"columns": ["alcohol"], "data": [[13.0]]},
        {"inputs": [{"alcohol": 13.0}]},
        {"inputs": [[13.0]]},
        [{"alcohol": 13.0}],
    ],
)
def test_all_forms_of_input_examples_are_read(tmp_path: Path, document: Any) -> None:
    (tmp_path / "input_example.json").write_text(json.dumps(document))
    assert example_rows(tmp_path, SPEC) == [{"alcohol": 13.0}]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"inputs": 3}', '{"columns": ["other"], "data": [[1]]}'])
def test_a_useless_input_example_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "input_example.json").write_text(text)
    assert example_rows(tmp_path, SPEC) == []
    assert trial_batches(SPEC, tmp_path)


def test_rows_are_made_at_the_borders_of_the_schema() -> None:
    spec = with_columns(
        [
            {"name": "age", "type": "long", "minimum": 17.5, "maximum": 99},
            {"name": "colour", "type": "string", "enum": ["red", "white"]},
            {"name": "sugar", "type": "double"},
            {"name": "note", "type": "string", "required": False},
        ]
    )
    rows = schema_rows(spec, {"age": 40, "colour": "red", "sugar": 2.5})
    assert {"age": 18, "colour": "red", "sugar": 2.5} in rows
    assert {"age": 99, "colour": "white", "sugar": 2.5} in rows
    assert {"age": 40, "colour": "white", "sugar": 2.5} in rows
    assert all(row["sugar"] == 2.5 and "note" not in row for row in rows)
    assert schema_rows(spec)[0] == {"age": 58, "colour": "red", "sugar": 0.0}


def test_requests_have_one_tensor_per_column() -> None:
    assert infer_request([{"alcohol": 1.0}, {"alcohol": 2.0}], SPEC) == {
        "inputs": [{"name": "alcohol", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}]
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([], "no outputs"),
        ({"outputs": None}, "no outputs"),
        ({"outputs": [{"name": "other", "data": [1]}]}, "output prediction is missing"),
        ({"outputs": [{"name": "prediction", "data": [1.0, 2.0]}]}, "2 values for 1 rows"),
        ({"outputs": [{"name": "prediction", "data": None}]}, "no values for 1 rows"),
        ({"outputs": [{"name": "prediction", "data": [True]}]}, "not a number"),
        ({"outputs": [{"name": "prediction", "data": [float("inf")]}]}, "is inf"),
    ],
)
def test_answers_that_break_the_schema_are_refused(answer: Any, reason: str) -> None:
    with pytest.raises(AnswerRefused, match=reason):
        check_answer(answer, 1, SPEC)


def test_outputs_of_other_types_are_checked_as_well() -> None:
    outputs = [{"name": "label", "type": "string", "enum": ["good", "bad"]}]
    spec = with_columns([{"name": "alcohol", "type": "double"}], outputs)
    check_answer({"outputs": [{"name": "label", "data": ["good"]}]}, 1, spec)
    for value, reason in (("fine", "none of its accepted values"), (None, "has no value")):
        with pytest.raises(AnswerRefused, match=reason):
            check_answer({"outputs": [{"name": "label", "data": [value]}]}, 1, spec)
