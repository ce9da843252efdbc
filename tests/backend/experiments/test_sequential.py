"""The sequential test may be looked at after every outcome: false alarms stay rare, and real effects are found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.experiments.sequential import Arm, Design, half_width, judge, log_ratio, ratio_evidence

ALPHA = 0.05
RUNS, UNITS, LEAST = 600, 5000, 100
TEST = Design(effect=0.05, false_alarm_rate=ALPHA, better="higher", least=LEAST)


def stopped(one: NDArray[np.float64], other: NDArray[np.float64], effect: float) -> tuple[float, float]:
    """Look after every pair of outcomes; return the share of runs that were ever decided, and the mean time to that."""
    n = np.arange(1, one.shape[1] + 1)
    means, variances = [], []
    for arm in (one, other):
        total, squares = arm.cumsum(axis=1), (arm * arm).cumsum(axis=1)
        means.append(total / n)
        variances.append(np.maximum(squares - total * total / n, 0) / np.maximum(n - 1, 1))
    variance = (variances[0] + variances[1]) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        mixture = effect**2
        log = 0.5 * np.log(variance / (variance + mixture)) + (means[1] - means[0]) ** 2 * mixture / (
            2 * variance * (variance + mixture)
        )
    log[:, : LEAST - 1] = -np.inf
    decided = np.nan_to_num(log, nan=-np.inf) >= -math.log(ALPHA)
    ever = decided.any(axis=1)
    return float(ever.mean()), float(np.where(ever, decided.argmax(axis=1) + 1, one.shape[1]).mean())


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, size: rng.binomial(1, 0.5, size),
        lambda rng, size: rng.binomial(1, 0.02, size),
        lambda rng, size: rng.normal(3, 1, size),
        lambda rng, size: rng.exponential(1, size),
    ],
    ids=["half", "rare", "normal", "skewed"],
)
def test_without_a_difference_looking_all_the_time_raises_few_false_alarms(draw: object) -> None:
    rng = np.random.default_rng(7)
    one, other = (np.asarray(draw(rng, (RUNS, UNITS)), dtype=float) for _ in range(2))  # type: ignore[operator]
    alarms, _ = stopped(one, other, TEST.effect)
    # What chance adds to the rate in so many runs, three standard errors of it.
    assert alarms <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS), alarms


def test_a_real_difference_is_found_and_earlier_the_larger_it_is() -> None:
    rng = np.random.default_rng(8)
    found, when = {}, {}
    for effect in (0.05, 0.1):
        one = rng.binomial(1, 0.5, (300, UNITS)).astype(float)
        other = rng.binomial(1, 0.5 + effect, (300, UNITS)).astype(float)
        found[effect], when[effect] = stopped(one, other, TEST.effect)
    assert found[0.05] >= 0.9
    assert found[0.1] >= 0.999
    assert when[0.1] < when[0.05] / 2 < UNITS / 4


def test_the_simulation_looks_at_what_the_code_computes() -> None:
    rng = np.random.default_rng(9)
    one, other = rng.binomial(1, 0.4, 400).astype(float), rng.binomial(1, 0.6, 400).astype(float)
    champion, challenger, smallest, decided = Arm(), Arm(), 1.0, 0
    for index, (left, right) in enumerate(zip(one, other, strict=True), 1):
        champion.add(float(left))
        challenger.add(float(right))
        result = judge(champion, challenger, TEST, smallest)
        assert result.p_value <= smallest
        smallest = result.p_value
        if result.verdict != "undecided" and not decided:
            assert result.verdict == "challenger_better"
            decided = index
    share, when = stopped(one[None], other[None], TEST.effect)
    assert (share, when) == (1.0, decided)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_an_arm_knows_mean_and_variance(values: list[float]) -> None:
    arm = Arm()
    for value in values:
        arm = Arm(**arm.dump())
        arm.add(value)
    assert arm.mean == pytest.approx(np.mean(values), abs=1e-6, rel=1e-9)
    assert arm.variance == pytest.approx(np.var(values, ddof=1), abs=1e-3, rel=1e-9)


@given(st.floats(-10, 10), st.floats(1e-6, 10), st.floats(1e-3, 10), st.floats(0.001, 0.3))
def test_interval_and_p_value_agree(difference: float, variance: float, effect: float, alpha: float) -> None:
    test = Design(effect=effect, false_alarm_rate=alpha, better="higher", least=2)
    excludes = abs(difference) > half_width(variance, test)
    assert excludes == (log_ratio(difference, variance, effect) > -math.log(alpha)) or math.isclose(
        abs(difference), half_width(variance, test), rel_tol=1e-9
    )


def test_too_few_outcomes_or_all_the_same_decide_nothing() -> None:
    few, same, other = Arm(LEAST - 1, 1.0, 20.0), Arm(LEAST, 0.0, 0.0), Arm(LEAST, 1.0, 0.0)
    assert judge(few, Arm(LEAST, 0.0, 20.0), TEST).verdict == "undecided"
    assert judge(same, other, TEST).verdict == "undecided"
    lower = Design(effect=0.05, false_alarm_rate=ALPHA, better="lower", least=LEAST)
    spread = Arm(1000, 0.2, 160.0), Arm(1000, 0.8, 160.0)
    assert (judge(*spread, TEST).verdict, judge(*spread, lower).verdict) == ("challenger_better", "challenger_worse")


def test_a_wrong_split_is_noticed_and_a_right_one_seldom_called_wrong() -> None:
    rng = np.random.default_rng(10)
    assert ratio_evidence(7000, 3000, 0.3) < 1
    assert ratio_evidence(7000, 2500, 0.3) > 1000
    assert ratio_evidence(0, 0, 0.3) == pytest.approx(1)
    assert ratio_evidence(10**9, 1, 0.5) > 1000
    called = 0
    for _ in range(200):
        mine = rng.binomial(1, 0.3, 2000).cumsum()
        called += any(ratio_evidence(n - int(mine[n - 1]), int(mine[n - 1]), 0.3) >= 1000 for n in range(50, 2000, 25))
    assert called <= 1
