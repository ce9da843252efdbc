"""Drift: a report about a million rows beside plain Evidently, and how often healthy data is called drifted by either's tests."""

import argparse
import os
import resource
import time
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from backend.drift.child import NO_TELEMETRY
from backend.drift.judging import alpha_of, judge
from backend.drift.rendering import dashboard, page
from backend.drift.window import PartWindow
from benchmarks import report
from mlplatform.reference.build import profile
from mlplatform.reference.profile import Part, Reference, Side
from mlplatform.spec.model import Column

NUMBERS, CATEGORIES = 8, 2
REFERENCE_ROWS = 20_000
QUARTERS, WINDOW_ROWS = 8, 300


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Return healthy data: normal, skewed and counted numbers, and categories of which some are rare."""
    draw = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for number in range(NUMBERS):
        kinds = (draw.normal(0, 1, rows), draw.lognormal(0, 1, rows), draw.poisson(40, rows).astype(float))
        columns[f"number_{number}"] = kinds[number % 3]
    for number in range(CATEGORIES):
        shares = np.array([0.5, 0.25, 0.15, 0.07, 0.02, 0.01])
        columns[f"category_{number}"] = draw.choice(list("abcdef"), rows, p=shares)
    return pd.DataFrame(columns)


def declared() -> list[Column]:
    """Return the columns as model.yaml would have them."""
    numbers = [Column.model_validate({"name": f"number_{index}", "type": "double"}) for index in range(NUMBERS)]
    return numbers + [
        Column.model_validate({"name": f"category_{index}", "type": "string"}) for index in range(CATEGORIES)
    ]


def referenced(data: pd.DataFrame) -> Reference:
    """Return the reference of training data."""
    columns = [profile(data, column, "input", 1000) for column in declared()]
    return Reference(
        model_digest="0" * 64, dataset="a", answered="a", parts=[Part(name="all", rows=len(data), columns=columns)]
    )


def windowed(data: pd.DataFrame) -> PartWindow:
    """Return data as rows of a window."""
    columns: dict[tuple[Side, str], list[Any]] = {("input", str(name)): data[name].tolist() for name in data}
    return PartWindow("all", len(data), columns)


def ours(reference: Reference, data: pd.DataFrame) -> dict[str, Any]:
    """Judge, and make the page."""
    started = time.perf_counter()
    window = [(windowed(data), False)]
    judgement = judge(reference, window, alpha_of(timedelta(days=1), 0.05))
    judged = time.perf_counter()
    text = page("Drift", [], dashboard(reference, window, judgement))
    ended = time.perf_counter()
    drifted = sorted({one.column for one in judgement.drifted})
    return {"judge": judged - started, "page": ended - judged, "bytes": len(text), "drifted": drifted}


def plain(before: pd.DataFrame, data: pd.DataFrame) -> dict[str, Any]:
    """Run Evidently's preset as its documentation does."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[name for name in data if name.startswith("number")],
        categorical_columns=[name for name in data if name.startswith("category")],
    )
    started = time.perf_counter()
    current, earlier = (Dataset.from_pandas(one, data_definition=definition) for one in (data, before))
    snapshot = Report([DataDriftPreset()], include_tests=False).run(current, earlier)
    judged = time.perf_counter()
    text = snapshot.get_html_str(as_iframe=False)
    return {"judge": judged - started, "page": time.perf_counter() - judged, "bytes": len(text)}


def silence(quarters: int) -> dict[str, Any]:
    """Count windows of healthy quarters that are called drifted, by our rule and by Evidently's tests at its own levels."""
    from evidently.legacy.calculations.stattests import chi_stat_test, ks_stat_test

    alpha = alpha_of(timedelta(days=1), 0.05)
    silent, theirs, windows = 0, 0, 0
    for quarter in range(quarters):
        before = frame(900, 1_000_000 + quarter)
        reference, called = referenced(before), 0
        for day in range(91):
            data = frame(WINDOW_ROWS, 1000 * quarter + day + 10)
            called += bool(judge(reference, [(windowed(data), False)], alpha).drifted)
            windows += 1
            ps = [
                (ks_stat_test if name.startswith("number") else chi_stat_test)(
                    before[name], data[name], "num" if name.startswith("number") else "cat", 0.05
                ).drifted
                for name in data
            ]
            theirs += any(ps)
        silent += not called
    return {"quarters": quarters, "silent": silent, "windows": windows, "evidently": theirs}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, and one quarter")
    quick = parser.parse_args().quick
    rows = 100_000 if quick else 1_000_000
    os.environ.update(NO_TELEMETRY)
    from backend.drift.stattests import tests

    started = time.perf_counter()
    tests()
    imported = time.perf_counter() - started
    before, data = frame(REFERENCE_ROWS, 1), frame(rows, 2)
    data["number_0"] += 0.5
    mine = ours(referenced(before), data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    other = plain(before, data)
    memory_after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quiet = silence(1 if quick else QUARTERS)
    report.write(
        "drift",
        title=f"Drift: {rows:,} rows of {NUMBERS} numbers and {CATEGORIES} categories",
        command="python -m benchmarks.drift",
        header=["", "tests", "page", "page size"],
        rows=[
            ["this platform", f"{mine['judge']:.1f} s", f"{mine['page']:.1f} s", f"{mine['bytes'] / 1e6:.1f} MB"],
            ["plain Evidently", f"{other['judge']:.1f} s", f"{other['page']:.1f} s", f"{other['bytes'] / 1e6:.1f} MB"],
        ],
        notes=(
            f"Found: {', '.join(mine['drifted'])}, which was moved by half a standard deviation. Tests run on all rows; the "
            f"page draws 20,000 of each column. Importing Evidently took {imported:.1f} s more. At most {memory:.0f} MiB were "
            f"in use, and {memory_after:.0f} MiB after plain Evidently. Of {quiet['quarters']} healthy quarters of "
            f"{WINDOW_ROWS} rows a day, {quiet['silent']} were silent; Evidently's tests at their own level of 0.05 called "
            f"{quiet['evidently']} of the same {quiet['windows']} days drifted in some column."
        ),
        raw={"ours": mine, "plain": other, "silence": quiet, "import": imported, "memory": [memory, memory_after]},
    )


if __name__ == "__main__":
    main()
