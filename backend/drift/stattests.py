"""The statistical tests of drift: Evidently's, and those beside them that keep their error rate at any size.

Evidently's own test of categories takes the reference for the truth (``scipy.stats.chisquare`` with the reference's shares):
where the window has as many rows as the reference or more, it calls healthy data drifted much more often than it says. The two
for categories here compare two samples. Source of the rule for cells with few rows: W. G. Cochran, Biometrics 10 (1954), 417-451.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

KS, EACH, CHI2 = "ks", "fisher_each", "chi2_homogeneity"
WORSE, MORE_WRONG = "mann_whitney_greater", "fisher_greater"
WASSERSTEIN, JENSEN_SHANNON = "wasserstein", "jensenshannon"
_NAMES = {EACH: "Fisher's exact test of each category", CHI2: "chi-square test of homogeneity"}
_ERRORS = {WORSE: "Mann-Whitney U test, one-sided", MORE_WRONG: "Fisher's exact test, one-sided"}
_LEAST_EXPECTED = 10.0

Test = Callable[[Any, Any], float]


@cache
def tests() -> dict[str, Test]:
    """Return the tests by name, each a function of the reference's and the window's values (pandas Series).

    Evidently is imported here: it takes seconds and a few hundred megabytes.
    """
    from evidently.legacy.calculations.stattests.registry import StatTest, get_registered_stattest, register_stattest
    from evidently.legacy.core import ColumnType

    number, category = ColumnType.Numerical, ColumnType.Categorical
    own: list[tuple[str, str, Any, Test]] = [
        (EACH, _NAMES[EACH], category, fisher_each),
        (CHI2, _NAMES[CHI2], category, chi2_homogeneity),
        (WORSE, _ERRORS[WORSE], number, mann_whitney_greater),
        (MORE_WRONG, _ERRORS[MORE_WRONG], category, fisher_greater),
    ]
    for name, shown, kind, test in own:
        made = StatTest(name=name, display_name=f"{shown}, p-value", allowed_feature_types=[kind])
        register_stattest(made, _as_theirs(test))
    kinds = {KS: number, WASSERSTEIN: number, JENSEN_SHANNON: category}
    theirs = {name: get_registered_stattest(name, kind) for name, kind in kinds.items()}

    def called(name: str) -> Test:
        return lambda reference, current: float(theirs[name](reference, current, kinds[name], None).drift_score)

    return {**{name: called(name) for name in theirs}, **{name: test for name, _, _, test in own}}


def _as_theirs(test: Test) -> Callable[[Any, Any, Any, float], tuple[float, bool]]:
    def run(reference: Any, current: Any, _kind: Any, threshold: float) -> tuple[float, bool]:
        p = test(reference, current)
        return p, p <= threshold

    return run


def fisher_each(reference: Any, current: Any) -> float:
    """Hold each category against all others; exact however few rows there are, and corrected for their number."""
    from scipy.stats import fisher_exact

    table = _pooled(_table(reference, current), 1.0)
    if len(table) < 2:
        return 1.0
    before, now = sum(one[0] for one in table), sum(one[1] for one in table)
    pairs = table[:1] if len(table) == 2 else table
    found = [float(fisher_exact([[a, before - a], [b, now - b]])[1]) for a, b in pairs]
    return min(1.0, min(found) * len(pairs))


def chi2_homogeneity(reference: Any, current: Any) -> float:
    """Hold the shares of all categories against each other; those with few rows are taken together."""
    from scipy.stats import chi2_contingency

    table = _pooled(_table(reference, current), _LEAST_EXPECTED)
    return 1.0 if len(table) < 2 else float(chi2_contingency(table, correction=False)[1])


def mann_whitney_greater(reference: Any, current: Any) -> float:
    """Say how probable errors as large as the window's are, if nothing got worse."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(current, reference, alternative="greater")[1])


def fisher_greater(reference: Any, current: Any) -> float:
    """Say how probable as many wrong answers as the window's are, if nothing got worse."""
    from scipy.stats import fisher_exact

    wrong = [int((values == "true").sum()) for values in (reference, current)]
    right = [len(values) - count for values, count in zip((reference, current), wrong, strict=True)]
    return float(fisher_exact([[wrong[1], right[1]], [wrong[0], right[0]]], alternative="greater")[1])


def _table(reference: Any, current: Any) -> list[tuple[int, int]]:
    before, now = reference.value_counts().to_dict(), current.value_counts().to_dict()
    return [(int(before.get(key, 0)), int(now.get(key, 0))) for key in sorted({*before, *now}, key=str)]


def _pooled(table: list[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    """Take together the categories of which fewer than ``least`` rows are expected on either side."""
    before, now = sum(one[0] for one in table), sum(one[1] for one in table)
    if not before or not now:
        return []
    share = min(before, now) / (before + now)
    kept = [one for one in table if sum(one) * share >= least]
    rest = [one for one in table if sum(one) * share < least]
    if rest:
        together = (sum(one[0] for one in rest), sum(one[1] for one in rest))
        if sum(together) * share >= least or not kept:
            kept.append(together)
        else:
            smallest = min(range(len(kept)), key=lambda index: sum(kept[index]))
            kept[smallest] = (kept[smallest][0] + together[0], kept[smallest][1] + together[1])
    return kept
