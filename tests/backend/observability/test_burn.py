"""The platform's own evaluation and the rules that ``platform generate`` writes say the same on the same series."""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.observability.burn import Counts, judge, within
from mlplatform.generate.objectives import Objective, objectives
from tests.mlplatform.generate.specs import SLOS, as_spec, minimal
from tests.mlplatform.generate.test_rules import promtool, written

MINUTE = 60
SPEC = minimal(slos=SLOS["realtime"], tier=1)
Shares = list[tuple[int, float]]
"""Minutes, and the share of bad requests in them."""

SCENARIOS: dict[str, Shares] = {
    "all is well": [(60, 0.0)],
    "a short outage": [(60, 0.0), (4, 1.0), (80, 0.0)],
    "a long outage": [(30, 0.0), (40, 1.0), (130, 0.0)],
    "a slow leak": [(30, 0.0), (220, 0.004)],
    "just below": [(150, 0.0009)],
    "comes and goes": [(30, 0.0), (10, 0.05), (50, 0.0), (10, 0.05), (50, 0.0), (10, 0.3), (60, 0.0)],
    "a rising share": [(60, 0.0), (60, 0.005), (60, 0.01), (60, 0.02), (60, 0.2), (60, 0.0)],
}
RATE = 600
"""Requests a minute."""


def availability(slos: Any = None) -> Objective:
    found = objectives(as_spec(minimal(slos=slos or SLOS["realtime"], tier=1)))
    return next(one for one in found if one.indicator == "availability")


def bad_by_minute(shares: Shares) -> list[int]:
    return [round(RATE * share) for minutes, share in shares for _ in range(minutes)]


def counts_of(bad: list[int]) -> Counts:
    # What a counter shows at a minute happened in the minute before.
    return Counts.of([(minute * MINUTE + MINUTE / 2, RATE, number) for minute, number in enumerate(bad)])


def series(bad: list[int]) -> list[tuple[str, list[int]]]:
    labels = 'model="churn", environment="production", version="1", protocol="v2"'
    good_total = bad_total = 0
    good, failed = [0], [0]
    for number in bad:
        good_total, bad_total = good_total + RATE - number, bad_total + number
        good.append(good_total)
        failed.append(bad_total)
    return [
        (f'model_server_requests_total{{{labels}, code="200"}}', good),
        (f'model_server_requests_total{{{labels}, code="500"}}', failed),
    ]


def stable(objective: Objective, counts: Counts, minute: int) -> frozenset[str] | None:
    """What fires at a minute; ``None`` where it changes within two minutes: the rules are evaluated once a minute."""
    said = {judge(objective, counts, (minute + away) * MINUTE).firing for away in (-2, -1, 0, 1, 2)}
    return said.pop() if len(said) == 1 else None


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SCENARIOS, "random 1", "random 2", "random 3"])
def test_own_evaluation_and_generated_rules_agree(name: str, tmp_path: Path) -> None:
    shares = SCENARIOS.get(name) or chance(int(name.removeprefix("random ")))
    folder, objective, bad = written(SPEC, tmp_path), availability(), bad_by_minute(shares)
    counts = counts_of(bad)
    cases = []
    compared = 0
    # For the first ten minutes a rate in Prometheus knows less than it will.
    for minute in range(10, len(bad), 5):
        firing = stable(objective, counts, minute)
        if firing is None:
            continue
        compared += 1
        for burn in ("fast", "slow"):
            expression = f'count(ALERTS{{alertname="AvailabilityBudgetBurn", burn="{burn}"}}) or vector(0)'
            samples = [{"labels": "{}", "value": float(burn in firing)}]
            cases.append({"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples})
    assert compared > len(bad) / 5 * 0.6
    values = [{"series": one, "values": " ".join(str(value) for value in values)} for one, values in series(bad)]
    test = {"interval": "1m", "input_series": values, "promql_expr_test": cases}
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "agree.test.yaml").write_text(json.dumps(document))
    done = promtool(folder, "test", "rules", "agree.test.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


@pytest.mark.slow
def test_both_say_the_same_of_what_is_left_of_the_budget(tmp_path: Path) -> None:
    folder, objective, bad = written(SPEC, tmp_path), availability(), bad_by_minute(SCENARIOS["a rising share"])
    counts = counts_of(bad)
    cases = []
    for minute in (100, 200, 300, 359):
        left = judge(objective, counts, minute * MINUTE).remaining
        assert left is not None
        width = max(abs(left) * 0.02, 0.01)
        expression = f'slo:error_budget:remaining{{slo="availability"}} > {left - width} < {left + width}'
        cases.append(
            {"expr": f"count({expression})", "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}
        )
    values = [{"series": one, "values": " ".join(str(value) for value in values)} for one, values in series(bad)]
    test = {"interval": "1m", "input_series": values, "promql_expr_test": cases}
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "agree.test.yaml").write_text(json.dumps(document))
    done = promtool(folder, "test", "rules", "agree.test.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def chance(seed: int) -> Shares:
    dice = random.Random(seed)
    return [(dice.randint(5, 60), dice.choice([0.0, 0.0, 0.001, 0.004, 0.008, 0.02, 0.1, 1.0])) for _ in range(5)]


def test_pairs_of_windows_are_those_of_the_workbook() -> None:
    pairs = [(one.name, one.long, one.short, one.rate) for one in availability().burns]
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    assert pairs == [
        ("fast", hour, 5 * minute, 14.4),
        ("fast", 6 * hour, 30 * minute, 6.0),
        ("slow", 24 * hour, 2 * hour, 3.0),
        ("slow", 72 * hour, 6 * hour, 1.0),
    ]


def test_without_events_nothing_is_known_and_nothing_fires() -> None:
    judged = judge(availability(), Counts.of([]), 10**9)
    assert (judged.remaining, judged.firing) == (None, frozenset())
    late = judge(availability(), counts_of([600] * 60), 10**9)
    assert (late.remaining, late.firing) == (None, frozenset())


def test_an_objective_that_can_not_burn_so_fast_fires_when_everything_is_bad() -> None:
    easy = availability([{"name": "availability", "indicator": "availability", "objective": 50}])
    assert judge(easy, counts_of([600] * 120), 120 * MINUTE).firing == {"fast", "slow"}
    assert judge(easy, counts_of([500] * 120), 120 * MINUTE).firing == {"slow"}


@pytest.mark.parametrize(
    ("bad", "total", "left"), [(0, 1000, 1.0), (1, 1000, 0.0), (2, 1000, -1.0), (1000, 1000, -999.0)]
)
def test_what_is_left_of_the_budget(bad: int, total: int, left: float) -> None:
    counts = Counts.of([(1000.0, total, bad)])
    remaining = judge(availability(), counts, 2000.0).remaining
    assert remaining == pytest.approx(left)


@given(
    rows=st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 100), st.integers(0, 100)), max_size=40),
    now=st.integers(0, 60_000),
    minutes=st.sampled_from([5, 30, 60, 360]),
)
def test_a_window_weighs_as_a_sum_of_rates_over_time(rows: list[tuple[int, int, int]], now: int, minutes: int) -> None:
    """Against the rules' own definition: rates over five minutes, added up second by second."""
    counts = Counts.of([(at, total + bad, bad) for at, total, bad in rows])
    got = within(counts, now, timedelta(minutes=minutes))
    length = minutes * 60

    def plain(value: Callable[[tuple[int, int, int]], int]) -> float:
        found = 0.0
        for row in rows:
            if length <= 300:
                found += value(row) * (now - length < row[0] <= now)
            else:
                seconds = range(max(now - length, row[0]), min(now, row[0] + 300))
                found += value(row) * len(seconds) / 300
        return found

    assert got == pytest.approx((plain(lambda row: row[1] + row[2]), plain(lambda row: row[2])))
