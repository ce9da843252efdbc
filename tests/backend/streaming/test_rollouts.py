"""Streaming versions rolled out over a real stream: each message is answered once, by whoever has its share."""

import os
import signal
from typing import Any

import pytest

from tests.waiting import wait_until

from .conftest import PLACE, ROLLOUT, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_two_versions_share_a_stream_until_one_has_it_and_it_is_taken_back(shop: Shop) -> None:
    shop.add_version(1)
    shop.add_version(2)
    first = shop.deploy(1)
    assert first["outcome"] == "promoted", first["reason"]
    orders = shop.orders().start()
    second = shop.deploy(2)
    assert second["outcome"] == "promoted", second["reason"]
    shown = [(step["kind"], step["weight"], step["state"]) for step in second["steps"]]
    assert shown == [
        ("start", None, "passed"),
        ("warm", None, "passed"),
        ("canary", 20, "passed"),
        ("canary", 50, "passed"),
        ("canary", 100, "passed"),
        ("promote", 100, "passed"),
    ]
    canary = second["steps"][2]
    assert canary["canary"]["requests"] >= 20
    assert canary["primary"]["requests"] > canary["canary"]["requests"]
    checks = {check["name"]: check["verdict"] for check in canary["checks"]}
    assert set(checks) == {"success_rate", "success_rate_vs_primary", "latency", "latency_vs_primary", "lag"}
    assert "breached" not in checks.values()
    place = shop.ada.get(PLACE).json()
    assert (place["champion"], place["type"], place["url"]) == (2, "streaming", None)

    promoted_at = orders.sent
    back = shop.ada.post(f"{PLACE}/rollback", {"reason": "odd scores"})
    assert back.status_code == 200, back.text
    assert (back.json()["outcome"], back.json()["version"]) == ("promoted", 1)
    rolled_back_at = orders.sent
    wait_until(lambda: orders.sent >= rolled_back_at + 100, 30)
    answers = shop.until_answered(orders.stop())
    by = dict(answers)
    assert {by[order] for order in range(rolled_back_at + 50, orders.sent)} == {1}
    assert 2 in {by[order] for order in range(promoted_at)}
    assert shop.answers("lab.shop.dead") == []


@pytest.mark.parametrize(
    ("body", "analysis", "said"),
    [
        (
            "def predict(self, c, x, params=None):\n    if x['x'].iloc[0] > 9: raise ValueError('x')\n    return x['x']",
            {},
            "success rate",
        ),
        (
            "def predict(self, c, x, params=None):\n    time.sleep(0.4 if x['x'].iloc[0] > 10 else 0)\n    return x['x']",
            {"latency": {"maximum": "0.2s"}},
            "p99 latency",
        ),
        (
            "def predict(self, c, x, params=None):\n    time.sleep(3 if x['x'].iloc[0] > 10 else 0)\n    return x['x']",
            {"lag": {"maximum": "1s"}, "minRequests": 1000},
            "behind its stream, limit 1 s",
        ),
    ],
    ids=["fails", "slow", "behind"],
)
def test_a_version_that_does_worse_is_taken_back_and_loses_nothing(
    shop: Shop, body: str, analysis: dict[str, Any], said: str
) -> None:
    """What it failed on, or had not answered yet, is answered by the version that gets its share back."""
    shop.add_version(1)
    shop.add_version(2, body, rollout={**ROLLOUT, "analysis": {**ROLLOUT["analysis"], **analysis}})
    assert shop.deploy(1)["outcome"] == "promoted"
    orders = shop.orders().start()
    wait_until(lambda: orders.sent > 50, 30)
    done = shop.deploy(2)
    assert (done["outcome"], said in done["reason"]) == ("rolled_back", True), done["reason"]
    assert shop.ada.get(PLACE).json()["champion"] == 1
    shop.until_answered(orders.stop())
    assert shop.answers("lab.shop.dead") == []


@pytest.mark.fault
def test_workers_that_are_killed_in_the_middle_lose_and_double_nothing(shop: Shop) -> None:
    """The live version's worker and the canary's, each with a batch in flight; both are brought back or replaced."""
    slowly = "def predict(self, c, x, params=None):\n    time.sleep(0.05)\n    return x['x'] * {factor}"
    shop.add_version(1, slowly.format(factor=1))
    shop.add_version(2, slowly.format(factor=2), rollout={**ROLLOUT, "interval": "30s"})
    assert shop.deploy(1)["outcome"] == "promoted"
    orders = shop.orders().start()
    wait_until(lambda: orders.sent > 100, 30)
    (pid,) = shop.workers(1)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: shop.workers(1) not in ([], [pid]), 30)
    asked = shop.ask(2)
    shop.until(asked["id"], "progressing")
    wait_until(lambda: (shop.deployment(asked["id"])["steps"][2]["canary"] or {}).get("requests", 0) > 0, 60)
    (pid,) = shop.workers(2)
    os.kill(pid, signal.SIGKILL)
    done = shop.until(asked["id"], "completed")
    assert (done["outcome"], "v2 has no live replica any more" in done["reason"]) == ("rolled_back", True), done
    answers = shop.until_answered(orders.stop())
    assert {version for _, version in answers} == {1, 2}


def test_what_can_not_share_the_stream_is_refused(shop: Shop) -> None:
    shop.add_version(1)
    shop.add_version(2, streaming={"key": "order"})
    shop.add_version(3, streaming={"broker": "kafka"})
    assert shop.deploy(1)["outcome"] == "promoted"
    body = {"model": "orders", "version": 2, "environment": "lab"}
    refused = shop.ada.post("/deployments", body)
    assert refused.status_code == 409
    assert "streaming.key is order, not customer" in refused.json()["detail"]
    refused = shop.ada.post("/deployments", {**body, "version": 3})
    assert (refused.status_code, refused.json()["detail"]) == (409, "lab has no kafka broker")
    assert "mlPlatform.environments.lab.brokers.kafka.url" in refused.json()["fix"]
