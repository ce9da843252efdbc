"""When the generated alerts fire, beside those that Sloth and Pyrra would generate for the same objective, on the same series.

Neither was run: both are Go programs. Their windows, factors and waits are facts taken from what they publish under Apache-2.0,
and the rules below are written after the form of theirs. Sloth's are from https://github.com/slok/sloth
(``internal/alert/windows/google-28d.yaml`` and ``google-30d.yaml``, ``examples/_gen/getting-started.yml``), Pyrra's from
https://github.com/pyrra-dev/pyrra (``slo/rules.go``). What the tests below say of each is shown in the manual, in
``operate/prometheus-and-alertmanager.md``.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mlplatform.generate.specs import minimal
from tests.mlplatform.generate.test_rules import promtool, written

pytestmark = pytest.mark.slow

BUDGET = 0.001
SPEC = minimal(tier=1, slos=[{"name": "availability", "indicator": "availability", "objective": 99.9}])
BEFORE, AFTER = 25 * 60, 7 * 60
"""Minutes of health before trouble, so that windows of a day are full, and after it, so that alerts end."""
RATE = 6000
"""Requests a minute."""
SERIES = "model_server_requests_total{model='churn', environment='production'%s}"


@dataclass(frozen=True)
class Pair:
    """Windows in both of which the budget has to burn ``factor`` times as fast as it may, for ``wait`` minutes."""

    long: str
    short: str
    factor: float
    wait: int = 0


def share_of(percent: float, days: int, hours: float) -> float:
    """Sloth's factor: how fast a budget burns of which a percentage is gone within a window."""
    return round(percent / 100 * days * 24 / hours, 9)


def sloth(days: int) -> dict[str, list[list[Pair]]]:
    """Sloth's alerts by the days of the objective's window: one of each severity, with two pairs."""
    page = [Pair("1h", "5m", share_of(2, days, 1)), Pair("6h", "30m", share_of(5, days, 6))]
    ticket = [Pair("1d", "2h", share_of(10, days, 24)), Pair("3d", "6h", share_of(10, days, 72))]
    return {"page": [page], "ticket": [ticket]}


PEERS = {
    "sloth30": sloth(30),
    "sloth28": sloth(28),
    # Pyrra's alerts at 28 days: one of each pair, and each waits.
    "pyrra28": {
        "page": [[Pair("1h", "5m", 14, 2)], [Pair("6h", "30m", 7, 15)]],
        "ticket": [[Pair("1d", "2h", 2, 60)], [Pair("4d", "6h", 1, 180)]],
    },
}
OWN = {"page": "fast", "ticket": "slow"}

Fires = tuple[int, int] | None
"""First and last minute since the trouble began, the last one since it ended; ``None`` if it does not fire."""


def test_sloth_s_factors_are_those_that_its_generated_rules_show() -> None:
    pairs = [pair.factor for alerts in sloth(30).values() for pairs in alerts for pair in pairs]
    assert pairs == [14.4, 6, 3, 1]


def peer_rules() -> dict[str, Any]:
    """Return the rules of all peers in one document."""
    windows = sorted({window for alerts in PEERS.values() for one in alerts.values() for pairs in one for pair in pairs
                      for window in (pair.long, pair.short)})  # fmt: skip
    bad, every = SERIES % ", code=~'5..'", SERIES % ""
    ratios = [
        {
            "record": f"peer:error_ratio:rate{window}",
            "expr": f"sum(rate({bad}[{window}])) / sum(rate({every}[{window}]))",
        }
        for window in windows
    ]
    alerts = []
    for peer, severities in PEERS.items():
        for severity, found in severities.items():
            for pairs in found:
                terms = [
                    f"(peer:error_ratio:rate{pair.short} > {pair.factor * BUDGET:.12g}"
                    f" and peer:error_ratio:rate{pair.long} > {pair.factor * BUDGET:.12g})"
                    for pair in pairs
                ]
                alerts.append(
                    {
                        "alert": peer,
                        "expr": " or ".join(terms),
                        "for": f"{max(pair.wait for pair in pairs)}m",
                        "labels": {"severity": severity, "pair": pairs[0].long},
                    }
                )
    return {"groups": [{"name": "peers", "rules": [*ratios, *alerts]}]}


def series(share: float, minutes: int) -> list[dict[str, str]]:
    good, bad = round(RATE * (1 - share)), round(RATE * share)
    spans = [(RATE, 0, BEFORE), (good, bad, minutes), (RATE, 0, AFTER)]
    found = []
    for code, place in (("200", 0), ("500", 1)):
        value, parts = 0, []
        for span in spans:
            grows, count = span[place], span[2]
            parts.append(f"{value}+{grows}x{count - 1}")
            value += grows * count
        found.append({"series": SERIES.replace("'", '"') % f', code="{code}"', "values": " ".join(parts)})
    return found


TROUBLES: dict[str, tuple[float, int, dict[str, dict[str, Fires]]]] = {
    "everything fails for 2 minutes": (
        1.0,
        2,
        {
            "own": {"page": (3, 4), "ticket": (5, 363)},
            "sloth30": {"page": (1, 4), "ticket": (2, 359)},
            "sloth28": {"page": (1, 4), "ticket": (2, 359)},
            "pyrra28": {"page": (3, 4), "ticket": (182, 359)},
        },
    ),
    "everything fails for 40 minutes": (
        1.0,
        40,
        {
            "own": {"page": (3, 34), "ticket": (4, 363)},
            "sloth30": {"page": (1, 29), "ticket": (2, 359)},
            "sloth28": {"page": (1, 29), "ticket": (2, 359)},
            "pyrra28": {"page": (3, 29), "ticket": (63, 359)},
        },
    ),
    "5 % fail for an hour": (
        0.05,
        60,
        {
            "own": {"page": (20, 29), "ticket": (33, 355)},
            "sloth30": {"page": (18, 26), "ticket": (31, 352)},
            "sloth28": {"page": (17, 26), "ticket": (29, 353)},
            "pyrra28": {"page": (19, 25), "ticket": (118, 352)},
        },
    ),
    "1 % fails for 4 hours": (
        0.01,
        240,
        {
            "own": {"page": (219, 14), "ticket": (169, 326)},
            "sloth30": {"page": (216, 11), "ticket": (167, 323)},
            "sloth28": {"page": (202, 13), "ticket": (155, 326)},
            "pyrra28": {"page": None, "ticket": (347, 323)},
        },
    ),
    "0.5 % fails for 16 hours": (
        0.005,
        960,
        {
            "own": {"page": None, "ticket": (377, 290)},
            "sloth30": {"page": None, "ticket": (376, 287)},
            "sloth28": {"page": None, "ticket": (345, 292)},
            "pyrra28": {"page": None, "ticket": (556, 287)},
        },
    ),
}
"""Share of failures, minutes, and when each fires."""


def test_with_the_same_windows_alerts_begin_and_end_within_minutes_of_sloth_s() -> None:
    """Sloth takes rates over a window, the generated rules add up rates over five minutes: what happens counts for five more."""
    for _, _, expected in TROUBLES.values():
        for severity, fires in expected["own"].items():
            theirs = expected["sloth30"][severity]
            assert (fires is None) == (theirs is None)
            if fires is not None and theirs is not None:
                assert 0 <= fires[0] - theirs[0] <= 3
                assert 0 <= fires[1] - theirs[1] <= 5


@pytest.mark.parametrize("trouble", TROUBLES)
def test_alerts_fire_when_those_of_sloth_and_pyrra_do(trouble: str, tmp_path: Path) -> None:
    share, minutes, expected = TROUBLES[trouble]
    folder = written(SPEC, tmp_path)
    (folder / "peers.yaml").write_text(json.dumps(peer_rules()), encoding="utf-8")
    end = BEFORE + minutes + AFTER - 1
    cases = []
    for name, severities in expected.items():
        for severity, fires in severities.items():
            selector = f'alertname="AvailabilityBudgetBurn", burn="{OWN[severity]}"'
            if name != "own":
                selector = f'alertname="{name}", severity="{severity}"'
            firing = f'timestamp(count(ALERTS{{alertstate="firing", {selector}}}) > 0)[{end}m:1m]'
            for function, origin, value in (
                ("min", BEFORE, fires and fires[0]),
                ("max", BEFORE + minutes, fires and fires[1]),
            ):
                samples = [] if value is None else [{"labels": "{}", "value": value}]
                expression = f"{function}_over_time({firing}) / 60 - {origin}"
                cases.append({"expr": expression, "eval_time": f"{end}m", "exp_samples": samples})
    test = {"interval": "1m", "input_series": series(share, minutes), "promql_expr_test": cases}
    # Otherwise promtool takes them in any order, and an alert may come a minute later.
    order = ["churn:availability", "churn:alerts", "peers"]
    document = {"rule_files": ["rules.yaml", "peers.yaml"], "evaluation_interval": "1m", "group_eval_order": order}
    document |= {"tests": [test]}
    (folder / "peers.test.yaml").write_text(json.dumps(document), encoding="utf-8")
    done = promtool(folder, "test", "rules", "peers.test.yaml")
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
