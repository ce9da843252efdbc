"""What is called drift: never a healthy stream, always one that was changed. Streams are real data that ships with river."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.drift.judging import QUARTER, Finding, Judgement, alpha_of, decided, judge
from backend.drift.window import PartWindow, asked, parts_of
from backend.privacy.samples import Sample
from mlplatform.reference.build import profile
from mlplatform.reference.profile import ColumnProfile, Part, Reference, Side
from mlplatform.serving.rows import InputSchema, OutputSchema
from mlplatform.spec.model import Column, ModelSpec
from mlplatform.streaming.messages import Incoming, Messages
from tests.backend.batch.conftest import SPEC
from tests.backend.streaming.conftest import STREAMING

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
COLUMNS: list[tuple[Side, Column]] = [
    ("input", Column.model_validate({"name": "1", "type": "double"})),
    ("input", Column.model_validate({"name": "2", "type": "double"})),
    ("input", Column.model_validate({"name": "colour", "type": "string"})),
    ("output", Column.model_validate({"name": "ripe", "type": "boolean"})),
    ("error", Column.model_validate({"name": "error", "type": "boolean"})),
]
Change = Callable[[pd.DataFrame], object]


@pytest.fixture(scope="module")
def bananas() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two halves of river's bananas (5300 of them), with a colour by size, a model's answer and whether it was wrong."""
    from river import datasets

    rows = [{**{str(key): value for key, value in x.items()}, "truth": y} for x, y in datasets.Bananas()]
    frame = pd.DataFrame(rows).sample(frac=1, random_state=7).reset_index(drop=True)
    frame["colour"] = pd.cut(frame["1"], [-9, -1, 0, 1, 9], labels=["green", "pale", "yellow", "brown"]).astype(str)
    frame["ripe"] = frame["2"] + frame["1"] ** 2 > 0.5
    frame["error"] = frame["ripe"] != frame["truth"]
    return frame.iloc[:2650], frame.iloc[2650:]


@pytest.fixture(scope="module")
def reference(bananas: tuple[pd.DataFrame, pd.DataFrame]) -> Reference:
    before, _ = bananas
    columns = [profile(before, column, side, 1000) for side, column in COLUMNS]
    return Reference(
        model_digest="0" * 64, dataset="a", answered="b", parts=[Part(name="all", rows=len(before), columns=columns)]
    )


def window(frame: pd.DataFrame, labelled: bool = False) -> tuple[PartWindow, bool]:
    columns = {
        (side, column.name): frame[column.name].tolist()
        for side, column in COLUMNS
        if column.name in frame and (side == "error") is labelled
    }
    return PartWindow("all", len(frame), columns), labelled


def days(later: pd.DataFrame, seed: int, rows: int) -> Iterator[pd.DataFrame]:
    draw = np.random.default_rng(seed)
    for _ in range(QUARTER // DAY):
        yield later.iloc[draw.integers(0, len(later), rows)]


@pytest.mark.parametrize("rows", [150, 1500])
def test_a_healthy_stream_of_a_quarter_stays_silent(
    bananas: tuple[pd.DataFrame, pd.DataFrame], reference: Reference, rows: int
) -> None:
    alpha = alpha_of(DAY, 0.05)
    for day in days(bananas[1], 5, rows):
        found = judge(reference, [window(day), window(day, labelled=True)], alpha)
        assert len(found.findings) == 5
        assert found.drifted == []


def test_so_does_a_healthy_quarter_of_messages(
    bananas: tuple[pd.DataFrame, pd.DataFrame], reference: Reference
) -> None:
    """As the consumer samples them; one whose messages have changed does not."""
    declared = {
        "inputs": [column for side, column in COLUMNS if side == "input"],
        "outputs": [column for side, column in COLUMNS if side == "output"],
    }
    schema = {side: [one.model_dump(exclude_none=True) for one in columns] for side, columns in declared.items()}
    spec = ModelSpec.model_validate({**SPEC, "type": "streaming", "schema": schema, "streaming": STREAMING})
    assert spec.streaming is not None
    inputs, outputs = InputSchema(declared["inputs"]), OutputSchema(declared["outputs"])
    messages = Messages(
        spec.streaming, inputs, outputs, name="orders", version="1", environment="lab", max_bytes=10_000
    )
    alpha = alpha_of(DAY, 0.05)

    def judged(day: pd.DataFrame) -> Judgement:
        samples = []
        for place, row in enumerate(day.to_dict("records")):
            body = {**{name: row[name] for name in inputs.names}, "customer": f"c{place % 7}", "order": place}
            message = Incoming("shop.orders", "", place, json.dumps(body).encode(), {}, 1, 0.0)
            answer = messages.answer(message, messages.parse(message), [[bool(row["ripe"])]])
            id, request, said = messages.sample(message, answer)
            at = datetime(2026, 3, 1, tzinfo=UTC)
            samples.append(Sample(id, "lab", "orders", 1, at, json.loads(request), json.loads(said)))
        (everything,) = parts_of(spec, (row for sample in samples for row in asked(spec, sample)))
        return judge(reference, [(everything, False)], alpha)

    for day in days(bananas[1], 6, 150):
        found = judged(day)
        assert len(found.findings) == 4
        assert found.drifted == []
    late = next(days(bananas[1], 11, 300)).reset_index(drop=True)
    _is_late(late)
    assert {one.column for one in judged(late).drifted} == {"1"}


def _is_late(frame: pd.DataFrame) -> None:
    frame["1"] = frame["1"] + 0.6


def _has_a_new_colour(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[::5], "colour"] = "blue"


def _has_texts_for_numbers(frame: pd.DataFrame) -> None:
    frame["2"] = [str(value) for value in frame["2"]]


def _has_gaps(frame: pd.DataFrame) -> None:
    frame["2"] = None


def _is_not_finite(frame: pd.DataFrame) -> None:
    frame["2"] = [np.inf if index % 3 else value for index, value in enumerate(frame["2"])]


def _lacks_a_column(frame: pd.DataFrame) -> None:
    del frame["2"]


def _is_one_value(frame: pd.DataFrame) -> None:
    frame["2"] = 0.0


def _has_no_two_alike(frame: pd.DataFrame) -> None:
    frame["colour"] = [f"colour-{index}" for index in range(len(frame))]


def _answers_otherwise(frame: pd.DataFrame) -> None:
    frame["ripe"] = True


def _is_wrong_more_often(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[::3], "error"] = True


@pytest.mark.parametrize(
    ("change", "column", "check"),
    [
        (_is_late, "1", "distribution"),
        (_has_a_new_colour, "colour", "distribution"),
        (_has_texts_for_numbers, "2", "missing"),
        (_has_gaps, "2", "missing"),
        (_is_not_finite, "2", "missing"),
        (_lacks_a_column, "2", "missing"),
        (_is_one_value, "2", "distribution"),
        (_has_no_two_alike, "colour", "distribution"),
        (_answers_otherwise, "ripe", "distribution"),
        (_is_wrong_more_often, "error", "performance"),
    ],
)
def test_what_was_changed_in_one_day_is_found_and_nothing_else(
    bananas: tuple[pd.DataFrame, pd.DataFrame], reference: Reference, change: Change, column: str, check: str
) -> None:
    day = next(days(bananas[1], 11, 300)).reset_index(drop=True)
    change(day)
    found = judge(reference, [window(day), window(day, labelled=True)], alpha_of(DAY, 0.05))
    assert {(one.column, one.check) for one in found.drifted} == {(column, check)}


def test_better_answers_are_no_drift(bananas: tuple[pd.DataFrame, pd.DataFrame], reference: Reference) -> None:
    day = bananas[1].assign(error=False)
    assert judge(reference, [window(day, labelled=True)], 0.05).drifted == []


def test_a_difference_that_does_not_matter_is_none_however_many_rows_show_it() -> None:
    coin = ColumnProfile(
        name="coin",
        side="input",
        kind="category",
        rows=20_000,
        missing=0,
        counts=[("heads", 10_000), ("tails", 10_000)],
    )
    tossed = Reference(
        model_digest="0" * 64, dataset="a", answered="b", parts=[Part(name="all", rows=20_000, columns=[coin])]
    )
    columns: dict[tuple[Side, str], list[Any]] = {("input", "coin"): ["heads"] * 26_000 + ["tails"] * 24_000}
    (found,) = judge(tossed, [(PartWindow("all", 50_000, columns), False)], 0.05).findings
    assert found.p < 1e-5
    assert (found.matters, found.drifted) == (False, False)
    columns["input", "coin"] = ["heads"] * 35_000 + ["tails"] * 15_000
    assert judge(tossed, [(PartWindow("all", 50_000, columns), False)], 0.05).drifted


def test_few_rows_are_said_to_be_few(bananas: tuple[pd.DataFrame, pd.DataFrame], reference: Reference) -> None:
    assert judge(reference, [window(bananas[1].iloc[:29])], 0.05).findings == []
    gaps = bananas[1].iloc[:60].assign(colour=["green"] * 20 + [None] * 40)
    found = judge(reference, [window(gaps)], 0.05)
    assert [(one.column, one.reason) for one in found.skipped] == [
        ("colour", "20 usable rows in the window; 30 are needed")
    ]
    slice_window = PartWindow("1 <= 2", 40, {})
    (skipped,) = judge(reference, [(slice_window, False)], 0.05).skipped
    assert skipped.reason == "the reference has too few rows of this slice"


def finding(p: float, rows: int = 500, distance: float | None = None) -> Finding:
    measure = None if distance is None else "wasserstein"
    return Finding("all", "input", f"c{p}", "distribution", "ks", rows, p, distance, measure)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(1e-6, 0.5))
def test_something_has_drifted_only_if_the_smallest_p_passes_the_strictest_bound(ps: list[float], alpha: float) -> None:
    found: Judgement = decided([finding(p) for p in ps], [], alpha)
    assert bool(found.drifted) == (min(ps) <= alpha / len(ps))
    assert all(one.p <= found.bound <= alpha for one in found.drifted)
    if found.drifted:
        assert len(found.drifted) == sum(p <= found.bound for p in ps)


def test_what_does_not_matter_does_not_speak_for_others() -> None:
    assert decided([finding(1e-9, 5000, 0.05), finding(0.04)], [], 0.05).drifted == []
    assert len(decided([finding(1e-9, 5000, 0.2), finding(0.04)], [], 0.05).drifted) == 2


def test_error_rates_of_a_quarter_add_up_to_what_is_promised() -> None:
    for length in (timedelta(minutes=10), DAY, timedelta(days=7)):
        assert alpha_of(length, 0.05) * (QUARTER / length) == pytest.approx(0.05)
    assert (alpha_of(timedelta(days=-1), 0.05), alpha_of(timedelta(days=400), 0.05)) == (0.0, 0.05)


def test_all_findings_can_be_written_as_json(reference: Reference) -> None:
    odd: dict[tuple[Side, str], list[Any]] = {("input", "1"): [1e308, -1e308] * 50, ("input", "colour"): [[1]] * 100}
    found = judge(reference, [(PartWindow("all", 100, odd), False)], 0.05)
    json.dumps(found.as_json(), allow_nan=False)
