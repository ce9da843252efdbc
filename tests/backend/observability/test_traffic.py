"""What users see of a model's traffic over time, in the API."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.deployments.targets.base import VersionKey
from backend.observability.store import SampleStore
from mlplatform.generate.objectives import Objective
from tests.marks import on_one_database

from .conftest import Ward

pytestmark = pytest.mark.slow

PATH = "/observability/models/wine/series"


def test_each_version_has_its_rate_errors_and_latency_beside_what_is_promised(ward: Ward) -> None:
    ward.deploy(1)
    ward.at = ward.services.clock.now().timestamp() - 1_800
    ward.watch.evaluation.sample(ward.hand.samples(), ward.at)
    ward.pass_minutes(10, 1, requests=120)
    ward.deploy(2)
    ward.pass_minutes(10, 2, requests=600, errors=6, slow=30)
    ward.judge()
    answer = ward.ada.get(PATH, environment="lab", window="1h")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["type"], found["environment"], found["stepSeconds"]) == ("realtime", "lab", 20)
    first, second = found["versions"]
    assert [(one["version"], one["live"]) for one in (first, second)] == [(1, False), (2, True)]
    assert sum(one["requests"] for one in first["points"]) == 1_200
    assert sum(one["requests"] for one in second["points"]) == 6_000
    assert len(first["points"]) > 15
    # Of the point that has just begun less may be known than a rate takes.
    old, newest = ([point for point in one["points"] if point["rate"] is not None][-3] for one in (first, second))
    assert newest["rate"] == pytest.approx(10, rel=0.1)
    assert newest["errorRatio"] == pytest.approx(0.01, abs=0.006)
    assert 2 <= newest["p50Ms"] <= 5
    assert 2_500 <= newest["p99Ms"] <= 5_000
    # The older one answered nothing any more: known, and no ratio of nothing.
    assert (old["rate"], old["errorRatio"], old["p95Ms"]) == (0, None, None)
    assert [(one["slo"], one["errorRatio"], one["latencyMs"]) for one in found["limits"]] == [
        ("availability", 0.001, None), ("latency", None, 500)
    ]  # fmt: skip
    assert (found["moments"], found["leftOut"]) == ([], [])
    for window in ("6h", "1d", "7d", "30d"):
        versions = ward.ada.get(PATH, environment="lab", window=window).json()["versions"]
        assert [sum(point["requests"] for point in one["points"]) for one in versions] == [1_200, 6_000]

    assert ward.ada.get(PATH, environment="careful").json()["versions"] == []


@on_one_database
def test_a_window_that_makes_no_sense_and_what_is_not_there(ward: Ward) -> None:
    now = datetime.now(UTC)

    def refused(path: str = PATH, **query: str) -> int:
        answer = ward.ada.get(path, **{"environment": "lab", **query})
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        status: int = answer.status_code
        return status

    ago = {days: (now - timedelta(days=days)).isoformat() for days in (1, 2, 31, 40)}
    past = ward.ada.get(PATH, **{"environment": "lab", "from": ago[2], "to": ago[1]})
    assert past.status_code == 200, past.text
    same = {**ward.ada.headers, "if-none-match": past.headers["etag"]}
    assert ward.backend.http.get(str(past.request.url), headers=same).status_code == 304
    assert refused("/observability/models/nobody/series") == 404
    assert refused(environment="nowhere") == 404
    for query in (
        {"from": ago[1], "to": ago[2]},
        {"from": ago[40]},
        {"to": ago[40]},
        {"to": "0001-01-01T00:00:00Z"},
        {"from": (now + timedelta(days=1)).isoformat(), "to": (now + timedelta(days=2)).isoformat()},
        {"window": "2h"},
        {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00"},
    ):
        assert refused(**query) == 422, query
    assert ward.ada.get(PATH).status_code == 422


@on_one_database
def test_moments_at_which_messages_waited_too_long_are_a_share_over_time(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.deploy(1)
    lag = Objective("on-time", "lag", 99, timedelta(seconds=30), timedelta(days=28), (), (), True, "Messages in time")
    monkeypatch.setattr(ward.services.slos, "of_version", lambda session, model, version: [lag])
    store, now = SampleStore(), ward.services.clock.now().timestamp()
    for number in range(120):
        store.moment(VersionKey("lab", "wine", 1), "on-time", now - 1_800 + 10 * number, bad=number >= 90)
    with ward.services.database.write() as session:
        store.flush(session, now)
    found = ward.ada.get(PATH, environment="lab").json()
    assert (found["versions"], found["limits"]) == ([], [])
    (told,) = found["moments"]
    assert (told["slo"], told["indicator"], told["version"]) == ("on-time", "lag", 1)
    assert sum(one["moments"] for one in told["points"]) == 120
    assert (told["points"][0]["badRatio"], told["points"][-1]["badRatio"]) == (0, 1)
