"""What is kept of training data: enough to compare with, and nobody's row."""

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.reference.build import FEWEST_OF_A_CATEGORY, profile, reference_dataset, slices
from mlplatform.reference.profile import ColumnProfile, Part, Reference, parse
from mlplatform.reference.values import category_of, in_slice, number_of, slice_name
from mlplatform.spec.model import Column, ModelSpec, Slice
from tests.backend.conftest import SPEC


def profiled(values: list[object], type: str = "double", **column: object) -> ColumnProfile:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    return profile(frame, Column.model_validate({"name": "x", "type": type, **column}), "input", 100)


def test_numbers_become_rising_quantiles_however_many_there_are() -> None:
    found = profiled([float(value) for value in range(10_000, 0, -1)])
    assert (found.kind, found.rows, found.missing, len(found.points)) == ("number", 10_000, 0, 100)
    assert found.points == sorted(found.points)
    assert found.points[50] == pytest.approx(5051, abs=51)


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=5), st.booleans()), max_size=60))
def test_whatever_is_in_a_column_its_profile_adds_up_and_can_be_stored(values: list[object]) -> None:
    for type in ("double", "long", "string", "boolean", "datetime", "binary"):
        found = profiled(values, type)
        assert found.rows == len(values)
        if found.kind == "category":
            assert sum(count for _, count in found.counts) + found.other + found.missing == found.rows
            assert all(count >= FEWEST_OF_A_CATEGORY for _, count in found.counts)
        assert all(math.isfinite(point) for point in found.points)
        assert ColumnProfile.model_validate_json(found.model_dump_json(by_alias=True)) == found


def test_rare_values_identifiers_and_texts_about_people_are_not_kept() -> None:
    mails = ["ada.quill@example.com"] * 20 + ["red"] * 20 + ["once"]
    found = profiled(mails, "string")
    assert [value for value, _ in found.counts] == ["[REDACTED:EMAIL]", "red"]
    assert found.other == 1
    names = profiled([f"customer-{number}" for number in range(500)], "string")
    assert (names.kind, names.counts, names.points) == ("not_judged", [], [])
    assert "value of its own" in names.reason


def test_numbers_with_few_values_are_categories_and_gaps_are_counted() -> None:
    found = profiled([1, 1.0, 2, None, math.nan, math.inf, "three", *[1] * 20, *[2] * 20], "long")
    assert found.kind == "category"
    assert dict(found.counts) == {"1": 22, "2": 21}
    assert found.missing == 4
    assert profiled([None] * 50).missing == 50
    assert profiled([], "double").rows == 0


def test_a_column_that_the_data_lacks_is_said_not_to_be_judged() -> None:
    found = profile(pd.DataFrame({"y": [1]}), Column.model_validate({"name": "x", "type": "double"}), "input", 100)
    assert (found.kind, found.reason) == ("not_judged", "the reference data has no such column")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nonsense", "JSON"),
        (b"{}", "modelDigest"),
        (b"[" * 9_000_000, "MiB"),
        (json.dumps({"modelDigest": "0" * 64, "dataset": "a", "answered": "b", "parts": []}).encode(), "parts"),
    ],
)
def test_what_is_no_reference_is_refused_with_a_reason(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(content)


def test_a_stored_reference_is_read_as_it_was() -> None:
    part = Part(name="all", rows=3, columns=[profiled([1.5, 2.5, 3.5])])
    reference = Reference(model_digest="0" * 64, dataset="a", answered="b", parts=[part])
    assert parse(reference.model_dump_json(by_alias=True).encode()) == reference


def test_the_data_set_and_the_slices_are_those_of_model_yaml() -> None:
    document = json.loads(json.dumps(SPEC))
    spec = ModelSpec.model_validate(document)
    assert reference_dataset(spec) == "wine-measurements"
    document["data"].append({**document["data"][0], "name": "train", "role": "training"})
    assert reference_dataset(ModelSpec.model_validate(document)) == "train"
    document["data"].append({**document["data"][0], "name": "wanted", "role": "reference"})
    by = {"metric": "accuracy_score", "minimum": 0.1}
    document["validation"]["thresholds"] += [
        {**by, "slice": {"column": "hue", "minimum": 1}},
        {**by, "slice": {"column": "hue", "minimum": 1}},
        {**by, "slice": {"column": "grower", "equals": 1}},
    ]
    spec = ModelSpec.model_validate(document)
    assert reference_dataset(spec) == "wanted"
    assert [slice_name(one) for one in slices(spec)] == ["1 <= hue"]


def test_values_of_requests_and_of_frames_are_the_same() -> None:
    assert category_of(1) == category_of(1.0) == "1"
    assert (category_of(True), category_of(None), category_of(math.nan), category_of(math.inf)) == (
        "true",
        None,
        None,
        None,
    )
    assert (number_of("1.5"), number_of(math.nan), number_of(10**400), number_of(2)) == (None, None, None, 2.0)
    half = Slice(column="x", minimum=0, maximum=1)
    assert [in_slice(value, half) for value in (0, 0.5, 1, None, "a")] == [True, True, False, False, False]
    assert in_slice("a", Slice(column="x", equals="a"))
