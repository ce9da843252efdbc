"""Rows against the schema: what is taken, what is refused and in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.serving import v1, v2
from mlplatform.serving.problems import InvalidInput, MalformedRequest, PayloadTooLarge, Problem
from mlplatform.serving.rows import MAX_ROWS, InputSchema
from mlplatform.spec.model import Column

NUMBERS = InputSchema([Column(name="a", type="double", minimum=0, maximum=10), Column(name="b", type="long")])
MIXED = InputSchema(
    [
        Column(name="size", type="float"),
        Column(name="kind", type="string", enum=["x", "y"]),
        Column(name="new", type="boolean"),
        Column(name="when", type="datetime", required=False),
        Column(name="picture", type="binary", required=False),
        Column(name="count", type="integer", required=False),
    ]
)


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": [{"a": 1.5, "b": 2}, {"b": 4, "a": 3}]},
        {"instances": [[1.5, 2], [3, 4]]},
        {"instances": [[1.5, 2.0], [3, 4.0]]},
        {"inputs": {"b": [2, 4], "a": [1.5, 3]}},
    ],
)
def test_v1_forms(request_):
    rows, _ = v1.decode(request_, NUMBERS)
    assert (rows.values, rows.count) == ([1.5, 2, 3, 4], 2)


@pytest.mark.parametrize(
    "inputs",
    [
        [{"name": "anything", "shape": [2, 2], "datatype": "FP64", "data": [1.5, 2, 3, 4]}],
        [{"name": "anything", "shape": [2, 2], "datatype": "FP32", "data": [[1.5, 2.0], [3.0, 4.0]]}],
        [
            {"name": "b", "shape": [2], "datatype": "INT64", "data": [2, 4]},
            {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [[1.5], [3]]},
        ],
    ],
)
def test_v2_forms(inputs):
    rows = v2.decode({"inputs": inputs}, NUMBERS)
    assert (rows.values, rows.count) == ([1.5, 2, 3, 4], 2)


def test_all_types():
    rows = MIXED.from_records(
        [{"size": 1, "kind": "x", "new": True, "when": "2026-01-02T03:04:05+01:00", "picture": "aGk="}]
    )
    size, kind, new, when, picture, _ = rows.values
    assert (size, kind, new, when.isoformat(), picture) == (1, "x", True, "2026-01-02T02:04:05", b"hi")
    assert rows.absent == {"count"}


@pytest.mark.parametrize(
    ("row", "column", "detail"),
    [
        ({"b": 1}, "a", "is missing"),
        ({"a": 1, "b": 1, "bb": 1}, "bb", "is not a column of the model; did you mean b?"),
        ({"a": "1", "b": 1}, "a", "is not a number"),
        ({"a": True, "b": 1}, "a", "is not a number"),
        ({"a": None, "b": 1}, "a", "is missing (null)"),
        ({"a": [1], "b": 1}, "a", "is not a number"),
        ({"a": {}, "b": 1}, "a", "is not a number"),
        ({"a": float("nan"), "b": 1}, "a", "is not a finite number"),
        ({"a": float("inf"), "b": 1}, "a", "is not a finite number"),
        ({"a": -0.1, "b": 1}, "a", "is outside of 0 to 10"),
        ({"a": 11, "b": 1}, "a", "is outside of 0 to 10"),
        ({"a": 1, "b": 1.5}, "b", "is not an integer"),
        ({"a": 1, "b": 2**63}, "b", "does not fit into the type long"),
    ],
)
def test_refused_numbers(row, column, detail):
    for rows, number in (([row], 0), ([{"a": 1, "b": 1}, row], 1)):
        with pytest.raises(InvalidInput) as caught:
            NUMBERS.from_records(rows)
        assert caught.value.extra["errors"] == [{"row": number, "column": column, "detail": detail}]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"size": 1e39}, "does not fit into the type float"),
        ({"kind": "z"}, "is not one of x, y"),
        ({"kind": 1}, "is not a string"),
        ({"new": "yes"}, "is not a boolean"),
        ({"new": 2}, "is not a boolean"),
        ({"when": "yesterday"}, "is not a date and time in ISO 8601"),
        ({"when": 5}, "is not a date and time in ISO 8601"),
        ({"picture": "%"}, "is not a string in base64"),
        ({"picture": "é"}, "is not a string in base64"),
        ({"count": 2**31}, "does not fit into the type integer"),
    ],
)
def test_refused_other_types(change, detail):
    with pytest.raises(InvalidInput) as caught:
        MIXED.from_records([{"size": 1, "kind": "x", "new": True, **change}])
    assert [error["detail"] for error in caught.value.extra["errors"]] == [detail]


def test_an_optional_whole_number_is_given_in_all_rows_or_none():
    row = {"size": 1, "kind": "x", "new": True}
    with pytest.raises(InvalidInput, match="in some rows only"):
        MIXED.from_records([row, {**row, "count": 1}])


def test_the_value_itself_is_never_repeated():
    with pytest.raises(InvalidInput) as caught:
        NUMBERS.from_records([{"a": "ada@example.com", "b": 1}])
    assert b"ada" not in caught.value.body()


@pytest.mark.parametrize("request_", [{"instances": []}, {"inputs": {"a": [], "b": []}}, {"inputs": {}}])
def test_empty(request_):
    with pytest.raises(InvalidInput):
        v1.decode(request_, NUMBERS)


def test_too_many_rows():
    with pytest.raises(PayloadTooLarge):
        v1.decode({"instances": [[1, 1]] * (MAX_ROWS + 1)}, NUMBERS)


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        ({"name": "t", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}, InvalidInput),
        ({"name": "t", "shape": [2], "datatype": "FP64", "data": [1, 2]}, InvalidInput),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64", "data": [1]}, MalformedRequest),
        ({"name": "t", "shape": [0, 2], "datatype": "FP64", "data": []}, InvalidInput),
        ({"name": "t", "shape": [-1, 2], "datatype": "FP64", "data": [1, 2]}, MalformedRequest),
        ({"name": "t", "shape": [1, 2.0], "datatype": "FP64", "data": [1, 2]}, MalformedRequest),
        ({"name": "t", "shape": [], "datatype": "FP64", "data": [1, 2]}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "FP99", "data": [1, 2]}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": [], "data": [1, 2]}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "INT8", "data": [1, 200]}, InvalidInput),
        ({"name": "t", "shape": [1, 2], "datatype": "INT64", "data": [1.5, 2]}, InvalidInput),
        ({"name": "t", "shape": [1, 2], "datatype": "BYTES", "data": ["1", "2"]}, InvalidInput),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64", "data": [[1, 2], 3]}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64", "data": {"a": 1}}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64"}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 8}}, MalformedRequest),
        ({"name": "t", "shape": [1, 2], "datatype": "FP64", "parameters": 3}, MalformedRequest),
        ({"name": ["t"], "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}, MalformedRequest),
        ("t", MalformedRequest),
        (None, MalformedRequest),
        ([], MalformedRequest),
    ],
)
def test_refused_tensors(tensor, kind):
    with pytest.raises(kind):
        v2.decode({"inputs": [tensor]}, NUMBERS)


def test_columns_of_unequal_length_and_named_twice():
    a = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}
    b = {"name": "b", "shape": [2], "datatype": "INT64", "data": [1, 2]}
    with pytest.raises(InvalidInput, match="same number of rows; they have: a 1, b 2"):
        v2.decode({"inputs": [a, b]}, NUMBERS)
    with pytest.raises(MalformedRequest, match="Two tensors"):
        v2.decode({"inputs": [a, a]}, NUMBERS)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "name", "shape", "datatype", "data", "inputs", "instances"]), inner, max_size=5
        )
    ),
    max_leaves=25,
)
numbers = st.lists(anything, max_size=4)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "size", "t"]) | anything,
        "shape": st.just([1, 2]) | anything,
        "datatype": st.sampled_from(["FP64", "BYTES"]) | anything,
        "data": numbers | anything,
    }
)


@given(
    st.one_of(
        anything,
        st.fixed_dictionaries({"inputs": st.lists(tensors, max_size=3)}),
        st.fixed_dictionaries({"instances": anything}),
    )
)
def test_whatever_is_sent_is_decoded_or_refused(request_):
    for schema in (NUMBERS, MIXED):
        for decode in (v1.decode, v2.decode):
            refusal = None
            try:
                decode(request_, schema)
            except Problem as problem:
                refusal = problem
            assert refusal is None or (400 <= refusal.status < 500 and refusal.body())
