"""Streaming versions rolled out over a real stream: each message is answered once, by whoever has its share."""

import pytest

from .conftest import PLACE, Shop

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
    while orders.sent < rolled_back_at + 100:
        pass
    answers = shop.until_answered(orders.stop())
    by = dict(answers)
    assert {by[order] for order in range(rolled_back_at + 50, orders.sent)} == {1}
    assert 2 in {by[order] for order in range(promoted_at)}
    assert shop.answers("lab.shop.dead") == []
