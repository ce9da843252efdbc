"""Drift of a real stream: the consumer samples what it answers, and the truth joins by the messages' ids."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from mlplatform.serving.samples import named_id
from tests.mlplatform.streaming.servers import NatsClient
from tests.waiting import wait_until

from ..drift_reports import drift_report
from .conftest import MODEL, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

SQUARES = "def predict(self, context, model_input, params=None):\n    return model_input['x'] ** 2"
DECLARED: dict[str, Any] = {
    "schema": {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "double"}]},
    "serving": {"samples": {"rate": 1}},
    "slos": [{"name": "like-training", "indicator": "drift", "objective": 90}],
}
AT_ONCE = 50
"""Fewer messages than wait for the sampler's thread at most, so that all of them are sampled."""


def bananas() -> list[float]:
    """A number of river's bananas, 5300 of them, which are real."""
    from river import datasets

    values = [float(x["1"]) for x, _ in datasets.Bananas()]
    random.Random(7).shuffle(values)
    return values


def trained(values: Sequence[float]) -> pd.DataFrame:
    draw = random.Random(1)
    frame = pd.DataFrame({"x": values, "y": [value**2 for value in values]})
    frame["error"] = [abs(draw.gauss(0, 0.1)) for _ in values]
    return frame


def ids_of(count: int) -> list[str]:
    return [named_id("lab", MODEL, f"banana {number}") for number in range(count)]


def until_sampled(shop: Shop, count: int) -> None:
    """Wait for the first messages to be among the samples, where what a rollout has asked to warm up may be, too."""

    def there() -> int:
        with shop.services.database.read() as session:
            return len(shop.services.privacy.samples.there(session, "lab", MODEL, ids_of(count)))

    wait_until(lambda: there() == count, 120, lambda: f"{there()} of {count}")


def publish(shop: Shop, first: int, values: Sequence[float]) -> None:
    """Publish messages numbered from ``first``, and wait until all of them are among the samples."""
    who = shop.orders()

    async def send(start: int) -> None:
        client = await NatsClient.connect(who.url, user=who.user, password=who.password)
        for number, value in enumerate(values[start : start + AT_ONCE], start=first + start):
            body = json.dumps({"x": value, "customer": f"c{number % 97}", "order": number})
            await client.publish("lab.shop.orders", body.encode(), {"Nats-Msg-Id": f"banana {number}"})
        await client.close()

    for start in range(0, len(values), AT_ONCE):
        asyncio.run(send(start))
        until_sampled(shop, first + min(start + AT_ONCE, len(values)))


def test_a_stream_is_silent_until_it_drifts(shop: Shop) -> None:
    values = bananas()
    shop.add_version(1, SQUARES, reference=trained(values[:2650]), **DECLARED)
    assert shop.deploy(1)["outcome"] == "promoted"
    later = values[2650:]
    publish(shop, 0, later[:150])
    healthy = drift_report(shop.ada, MODEL)
    assert (healthy["outcome"], healthy["rows"], healthy["drifted"]) == ("healthy", 150, []), healthy["reason"]
    assert shop.ada.get("/observability/incidents").json()["items"] == []
    # What was answered is looked at like a request's sample, by an id that follows from the message's.
    kept = shop.ada.get(f"/privacy/samples/{ids_of(4)[3]}").json()
    assert kept["request"]["instances"] == [{"x": later[3], "customer": "c3", "order": 3}]
    assert kept["answer"]["predictions"] == [{"order": 3, "y": later[3] ** 2}]
    listed = shop.ada.get("/privacy/samples", environment="lab", model=MODEL, limit=100).json()
    rest = shop.ada.get(
        "/privacy/samples", environment="lab", model=MODEL, limit=100, cursor=listed["nextCursor"]
    ).json()
    times = [one["at"] for one in [*listed["items"], *rest["items"]]]
    assert times == sorted(times, reverse=True)
    assert set(ids_of(150)) <= {one["id"] for one in [*listed["items"], *rest["items"]]}
    # The truth of what was healthy comes while the bananas grow.
    draw = random.Random(2)
    told = [{"id": f"banana {n}", "value": later[n] ** 2 + draw.gauss(0, 0.1)} for n in range(150)]
    answer = shop.ada.post(f"/drift/models/{MODEL}/labels", {"environment": "lab", "labels": told})
    assert answer.json() == {"new": 150, "changed": 0, "repeated": 0, "outdated": 0, "sampled": 150}
    publish(shop, 150, [value + 3 for value in later[150:250]])
    drifted = drift_report(shop.ada, MODEL)
    assert (drifted["outcome"], drifted["rows"], drifted["labelled"]) == ("drifted", 100, 150), drifted["reason"]
    assert {one["column"] for one in drifted["drifted"]} == {"x", "y"}
    assert (drifted["dataDrifted"], drifted["performanceDrifted"]) == (True, False)
    assert drifted["html"]
    (incident,) = shop.ada.get("/observability/incidents").json()["items"]
    assert {one["name"] for one in incident["alerts"]} == {"DataDrift", "PredictionDrift"}
    # A message's name is text; what no message of a stream has is refused.
    rows = [{"day": "2026-03-01", "key": {"order": 1}, "value": 1}]
    refused = shop.ada.post(f"/drift/models/{MODEL}/labels", {"environment": "lab", "labels": rows})
    assert refused.status_code == 422
    assert "predictions have an id, not a day" in refused.json()["detail"]
