"""Judges a window against a training reference.

The rule, and what it promises: a report may spend a share of the error rate that is as large as the share of a quarter which
its window covers, and windows of a model never overlap. Within a report something has drifted only if the smallest p-value of
all its tests passes Bonferroni's bound, whatever depends on what. So the probability that a healthy model is called drifted at
all in a quarter is at most the error rate (5 % by default). Once a report has passed that bound, Benjamini and Hochberg's
procedure says which columns it was. In large windows a difference must matter too: everything differs a little when there are
enough rows.

Sources: Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995), 289-300; K. K. G. Lan, D. L. DeMets, Biometrika 70 (1983),
659-663.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from backend.drift import stattests
from backend.drift.window import PartWindow
from mlplatform.reference.profile import ALL, ColumnProfile, Reference, Side
from mlplatform.reference.values import category_of, number_of

QUARTER = timedelta(days=91)
LEAST_ROWS = 30
"""A column or a slice with fewer usable rows is not judged."""
LARGE = 1000
"""From so many rows on a difference must also matter."""
MATTERS = {stattests.WASSERSTEIN: 0.1, stattests.JENSEN_SHANNON: 0.1, "share": 0.05, "more": 0.1}
"""Distances that matter: Evidently's own, a share of missing values, and errors that are so much larger."""
_MOST_REFERENCE_ROWS = 20_000
_LARGEST = 1e9
_PLAIN_NUMBERS = {float, bool, type(None)}
_PLAIN = {str, int, bool}

Check = Literal["distribution", "missing", "performance"]
OTHER = "(other)"


@dataclass(frozen=True)
class Finding:
    """One test of one column in one part."""

    part: str
    side: Side
    column: str
    check: Check
    test: str
    rows: int
    p: float
    distance: float | None = None
    measure: str | None = None
    reference: float | None = None
    """The share of missing values, or the mean error, in the reference; ``current`` is that of the window."""
    current: float | None = None
    drifted: bool = False

    @property
    def matters(self) -> bool:
        """Whether the difference is large enough to be one, if it is true."""
        if self.rows <= LARGE or self.distance is None or self.measure is None:
            return True
        return self.distance >= MATTERS[self.measure]


@dataclass(frozen=True)
class Skipped:
    """A column or slice that was not judged, and why."""

    part: str
    side: Side | None
    column: str | None
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What came of all tests together. ``bound`` is the largest p-value that is called drift."""

    findings: list[Finding]
    skipped: list[Skipped]
    alpha: float
    bound: float

    @property
    def drifted(self) -> list[Finding]:
        """What has drifted, most certain first."""
        return sorted((one for one in self.findings if one.drifted), key=lambda one: one.p)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "alpha": self.alpha,
            "bound": self.bound,
            "findings": [asdict(one) for one in self.findings],
            "skipped": [asdict(one) for one in self.skipped],
        }


def alpha_of(window: timedelta, false_alarms: float) -> float:
    """Return the error rate that a window may spend."""
    return false_alarms * min(max(window / QUARTER, 0.0), 1.0)


def judge(reference: Reference, windows: Iterable[tuple[PartWindow, bool]], alpha: float) -> Judgement:
    """Run all tests. Of a part marked with true, errors are judged and nothing else; of others all but errors."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for window, labelled in windows:
        part = reference.part(window.name)
        if part is None:
            skipped.append(Skipped(window.name, None, None, "the reference has too few rows of this slice"))
            continue
        if window.rows < LEAST_ROWS:
            if window.name != ALL:
                skipped.append(Skipped(window.name, None, None, f"{window.rows} rows; {LEAST_ROWS} are needed"))
            continue
        for column in part.columns:
            if (column.side == "error") is labelled:
                _judge_column(column, window, findings, skipped)
    return decided(findings, skipped, alpha)


def decided(findings: Sequence[Finding], skipped: list[Skipped], alpha: float) -> Judgement:
    """Say which findings are drift, given that there are so many."""
    count = len(findings)
    if not count:
        return Judgement([], skipped, alpha, 0.0)
    bound = alpha / count
    candidates = [one.p for one in findings if one.matters and one.p <= bound]
    if candidates:
        for rank, p in enumerate(sorted(one.p for one in findings), start=1):
            if p <= rank * alpha / count:
                bound = max(bound, rank * alpha / count)
    marked = [
        Finding(**{**asdict(one), "drifted": bool(candidates) and one.matters and one.p <= bound}) for one in findings
    ]
    return Judgement(marked, skipped, alpha, bound)


def _judge_column(column: ColumnProfile, window: PartWindow, findings: list[Finding], skipped: list[Skipped]) -> None:
    raw = window.columns.get((column.side, column.name), [None] * window.rows)
    usable = usable_values(column, raw)
    missing = len(raw) - len(usable)
    # Where neither side misses anything the test could never say otherwise: it need not be paid for.
    if column.side != "error" and column.rows and (missing or column.missing):
        findings.append(_missing(column, window, len(raw), missing))
    if column.kind == "not_judged":
        skipped.append(Skipped(window.name, column.side, column.name, column.reason))
        return
    before = reference_values(column)
    for values, where in ((before, "the reference"), (usable, "the window")):
        if len(values) < LEAST_ROWS:
            reason = f"{len(values)} usable rows in {where}; {LEAST_ROWS} are needed"
            skipped.append(Skipped(window.name, column.side, column.name, reason))
            return
    found = _performance if column.side == "error" else _distribution
    findings.append(found(column, window, before, usable))


def usable_values(column: ColumnProfile, raw: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a window that a column can be judged by, as the reference has them."""
    types = set(map(type, raw))
    if column.kind == "number":
        if types <= _PLAIN_NUMBERS:  # as nearly always: many times faster than one by one
            import numpy as np

            numbers = np.array(raw, dtype=float)
            usable: Sequence[Any] = numbers[np.isfinite(numbers)]
            return usable
        return [number for value in raw if (number := number_of(value)) is not None]
    if column.kind == "not_judged":
        return [value for value in raw if value is not None and value == value]
    known = {value for value, _ in column.counts}
    if len(types) == 1 and types <= _PLAIN:
        meant = {value: category_of(value) for value in set(raw)}
        said: Iterable[str | None] = map(meant.__getitem__, raw)
    else:
        said = map(category_of, raw)
    return [value if value in known else OTHER for value in said if value is not None]


def reference_values(column: ColumnProfile) -> list[Any]:
    """Return the values of a reference; of many rows proportionally fewer, which makes tests more careful."""
    if column.kind == "number":
        return list(column.points)
    counts = [*column.counts, (OTHER, column.other)]
    total = sum(count for _, count in counts)
    scale = min(1.0, _MOST_REFERENCE_ROWS / total) if total else 1.0
    return [value for value, count in counts for _ in range(round(count * scale))]


def _distribution(column: ColumnProfile, window: PartWindow, before: Sequence[Any], now: Sequence[Any]) -> Finding:
    reference, current = _series(column, before), _series(column, now)
    name = chosen(column, len(now))
    measure = stattests.WASSERSTEIN if column.kind == "number" else stattests.JENSEN_SHANNON
    distance = stattests.tests()[measure](
        *_scaled(reference, current) if column.kind == "number" else (reference, current)
    )
    return Finding(
        window.name,
        column.side,
        column.name,
        "distribution",
        name,
        len(now),
        _probability(stattests.tests()[name](reference, current)),
        min(distance, _LARGEST) if math.isfinite(distance) else _LARGEST,
        measure,
    )


def _performance(column: ColumnProfile, window: PartWindow, before: Sequence[Any], now: Sequence[Any]) -> Finding:
    reference, current = _series(column, before), _series(column, now)
    name = stattests.WORSE if column.kind == "number" else stattests.MORE_WRONG
    p = stattests.tests()[name](reference, current)
    as_numbers = (reference, current) if column.kind == "number" else (reference == "true", current == "true")
    was, means = (min(float(one.mean()), _LARGEST) for one in as_numbers)
    more = (means - was) / was if was else (_LARGEST if means else 0.0)
    distance = min(more, _LARGEST)
    return Finding(
        window.name, "error", column.name, "performance", name, len(now), _probability(p), distance, "more", was, means
    )


def _missing(column: ColumnProfile, window: PartWindow, rows: int, missing: int) -> Finding:
    from scipy.stats import fisher_exact

    scale = min(1.0, _MOST_REFERENCE_ROWS / column.rows)
    total, gone = round(column.rows * scale), round(column.missing * scale)
    p = float(fisher_exact([[missing, rows - missing], [gone, total - gone]])[1])
    was, means = column.missing / column.rows, missing / rows
    return Finding(
        window.name,
        column.side,
        column.name,
        "missing",
        "fisher_exact",
        rows,
        _probability(p),
        abs(means - was),
        "share",
        was,
        means,
    )


def chosen(column: ColumnProfile, rows: int) -> str:
    """Return the test of a column's distribution, by its kind and the size of the window."""
    if column.kind == "number":
        return stattests.KS
    return stattests.EACH if rows <= LARGE else stattests.CHI2


def _series(column: ColumnProfile, values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.Series(values, dtype=float if column.kind == "number" else object)


def _scaled(reference: Any, current: Any) -> tuple[Any, Any]:
    """Bring numbers to the reference's own scale: Evidently takes a spread below 0.001 for 0.001."""
    spread = float(reference.std(ddof=0))
    if not math.isfinite(spread) or spread <= 0:
        return reference, current
    middle = float(reference.mean())
    return (reference - middle) / spread, ((current - middle) / spread).clip(-_LARGEST, _LARGEST)


def _probability(p: float) -> float:
    return p if 0.0 <= p <= 1.0 else 1.0
