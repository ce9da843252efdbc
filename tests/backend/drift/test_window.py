"""Rows from sampled requests and answers, of all protocols, and whatever else was sent."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.drift.window import MOST_OF_A_REQUEST, asked, parts_of, told
from backend.privacy.samples import Sample
from mlplatform.spec.model import ModelSpec
from tests.backend.conftest import SPEC

DOCUMENT: dict[str, Any] = json.loads(json.dumps(SPEC))
DOCUMENT["validation"]["thresholds"].append(
    {"metric": "accuracy_score", "minimum": 0.1, "slice": {"column": "hue", "minimum": 1}}
)
WINE = ModelSpec.model_validate(DOCUMENT)


def sample(request: Any, answer: Any) -> Sample:
    return Sample("0" * 36, "lab", "wine", 1, datetime(2026, 3, 1, tzinfo=UTC), request, answer)


def tensor(name: str, *data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": "FP64", "data": list(data)}


SAME = [
    ({"instances": [{"alcohol": 1, "hue": 2}, {"hue": 4, "alcohol": 3}]}, {"predictions": [0, 1]}),
    ({"instances": [[1, 2], [3, 4]]}, {"predictions": [{"prediction": 0}, {"prediction": 1}]}),
    ({"inputs": {"alcohol": [1, 3], "hue": [2, 4]}}, {"outputs": [0, 1]}),
    ({"inputs": {"alcohol": [1, 3], "hue": [2, 4]}}, {"outputs": {"prediction": [0, 1]}}),
    ({"inputs": [tensor("alcohol", 1, 3), tensor("hue", 2, 4)]}, {"outputs": [tensor("prediction", 0, 1)]}),
    ({"inputs": [tensor("rows", 1, 2, 3, 4, shape=[2, 2])]}, {"outputs": [tensor("prediction", 0, 1)]}),
    ({"inputs": [tensor("rows", [1, 2], [3, 4], shape=[2, 2])]}, {"outputs": [tensor("prediction", 0, 1)]}),
]


@pytest.mark.parametrize(("request_", "answer"), SAME)
def test_all_protocols_give_the_same_rows(request_: Any, answer: Any) -> None:
    assert list(asked(WINE, sample(request_, answer))) == [
        {("input", "alcohol"): 1, ("input", "hue"): 2, ("output", "prediction"): 0},
        {("input", "alcohol"): 3, ("input", "hue"): 4, ("output", "prediction"): 1},
    ]


def test_a_column_that_nobody_sent_is_one_without_values() -> None:
    rows = list(asked(WINE, sample({"inputs": {"alcohol": [1, 2]}}, {"predictions": [0, 0]})))
    assert [row["input", "hue"] for row in rows] == [None, None]


def test_of_a_large_request_some_rows_count_evenly_spread() -> None:
    rows = list(asked(WINE, sample({"inputs": {"alcohol": list(range(200))}}, {"outputs": [0] * 200})))
    assert [row["input", "alcohol"] for row in rows] == list(range(0, 200, 200 // MOST_OF_A_REQUEST))


def test_truth_makes_rows_with_their_error_and_their_slice() -> None:
    request = {"instances": [[1, 0.5], [3, 2.0], [5, 2.0]]}
    rows = list(told(WINE, sample(request, {"predictions": [0, 1, None]}), [0, "0", 1]))
    assert [row["error", "error"] for row in rows] == [False, True]
    everything, tinted = parts_of(WINE, rows)
    assert (everything.name, everything.rows, tinted.name, tinted.rows) == ("all", 2, "1 <= hue", 1)
    assert tinted.columns["error", "error"] == [True]
    # Fewer truths than rows, and none at all.
    assert len(list(told(WINE, sample(request, {"predictions": [0, 1, 2]}), [0]))) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["instances", "inputs", "outputs", "predictions", "data", "name", "shape", "hue"]), inner
        )
    ),
    max_leaves=15,
)


@given(_JSON, _JSON)
def test_nothing_that_is_sent_raises(request: Any, answer: Any) -> None:
    one = sample(request, answer)
    for row in [*asked(WINE, one), *told(WINE, one, [1, None, "x"])]:
        assert all(side in ("input", "output", "error") for side, _ in row)
    parts_of(WINE, asked(WINE, one))
