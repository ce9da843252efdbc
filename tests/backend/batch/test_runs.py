"""Days scored through the API, by real processes: how runs end, are tried again, and are cancelled."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from backend.local.processes import recorded
from tests.collector import collecting
from tests.marks import on_one_database
from tests.waiting import wait_until

from .conftest import MODEL, Running, day

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLOW = """
def predict(self, context, model_input, params=None):
    time.sleep(60)
    return model_input['x']
"""
NAN = "def predict(self, context, model_input, params=None):\n    return model_input['x'] * float('nan')"


def process_of(shop: Running, run: dict[str, Any]) -> int | None:
    found = [one for one in recorded(shop.services.batch_work.jobs.folders.pids) if run["id"] in one.name]
    return found[0].pid if found else None


def test_a_day_is_scored_published_and_recognised(shop: Running) -> None:
    shop.write(4, rows=5)
    asked = shop.request(4, reason="first look")
    assert (asked["state"], asked["cause"], asked["version"]) == ("pending", "manual", 1)
    done = shop.until(asked["id"])
    assert (done["state"], done["rows"], done["rejected"], done["attempts"]) == ("succeeded", 5, 0, 1), done["message"]
    assert done["message"] == "5 rows scored"
    assert shop.read(4) == [(row, 1.0, 1) for row in range(5)]
    again = shop.until(shop.request(4)["id"])
    assert again["state"] == "unchanged"
    assert again["outputDigest"] == done["outputDigest"]
    forced = shop.until(shop.request(4, force=True)["id"])
    assert (forced["state"], forced["outputDigest"]) == ("succeeded", done["outputDigest"])
    types = [
        event["type"].removeprefix("ml-platform.batch.") for event in shop.events() if asked["id"] in event["subject"]
    ]
    assert types == ["run.requested", "run.started", "run.succeeded"]
    page = shop.ada.get("/metrics".replace("/metrics", "/batch/runs"), limit=2).json()
    assert len(page["items"]) == 2
    assert page["nextCursor"]
    metrics = shop.backend.http.get("/metrics").text
    place = f'environment="lab",model="{MODEL}"'
    assert f'ml_platform_batch_runs_total{{{place},outcome="succeeded"}} 2.0'.replace(place, f"{place}") in metrics
    assert f'ml_platform_batch_rows_total{{{place},outcome="scored"}} 10.0' in metrics
    assert f"ml_platform_batch_last_success_timestamp_seconds{{{place}}}" in metrics
    assert f"ml_platform_batch_run_duration_seconds_count{{{place}}} 3.0" in metrics


@on_one_database
def test_rows_that_do_not_fit_are_told_without_their_values(shop: Running) -> None:
    shop.write(1, rows=3, value=-424242.0)
    done = shop.until(shop.request(1)["id"])
    assert done["state"] == "failed"
    assert "3 of 3 rows don't fit the schema" in done["message"]
    assert "424242" not in str(done)
    assert done["attempts"] == 1, "the same version would fail on the same input again"
    assert shop.read(1) == []


@on_one_database
def test_what_may_go_better_later_is_tried_again_and_then_fails(shop: Running) -> None:
    done = shop.until(shop.request(9)["id"])
    assert (done["state"], done["attempts"]) == ("failed", 3)
    assert done["message"] == "there is no input: shop/orders/date=2013-01-10 holds no Parquet files (after 3 attempts)"
    (failed,) = shop.events("run.failed")
    assert failed["data"]["reason"] == done["message"]
    assert len(shop.events("run.retrying")) == 2
    assert len(shop.events("run.started")) == 3


@on_one_database
def test_an_answer_that_is_none_fails_and_says_which(shop: Running) -> None:
    shop.add_version(2, NAN)
    shop.make_live(2)
    shop.write(1)
    done = shop.until(shop.request(1)["id"])
    assert done["state"] == "failed"
    assert "output y is not a finite number in 3 of 3 rows" in done["message"]


@on_one_database
def test_a_cancelled_run_is_ended_at_once_and_changes_nothing(shop: Running) -> None:
    shop.add_version(2, SLOW)
    shop.make_live(2)
    shop.write(1)
    run = shop.request(1)
    wait_until(lambda: shop.run(run["id"])["total"] == 3, 150)
    pid = process_of(shop, run)
    assert pid is not None
    assert os.getpgid(pid) == pid, "it leads a group of its own"
    started = time.monotonic()
    answer = shop.ada.post(f"/batch/runs/{run['id']}/cancel", {"reason": "wrong day"})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 15)
    assert time.monotonic() - started < 15
    assert shop.run(run["id"])["message"] == "cancelled by user:default/ada: wrong day"
    assert shop.read(1) == []
    again = shop.ada.post(f"/batch/runs/{run['id']}/cancel", {"reason": "once more"})
    assert (again.status_code, again.json()["detail"]) == (409, "the run is over: it has cancelled")
    shop.make_live(1)
    assert shop.until(shop.request(1)["id"])["state"] == "succeeded"


@pytest.mark.fault
@on_one_database
def test_a_run_that_is_killed_is_tried_again(shop: Running) -> None:
    marker = shop.lake.parent / "first"
    body = f"""
    def predict(self, context, model_input, params=None):
        if not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            os.kill(os.getpid(), 9)
        return model_input['x']
    """
    shop.add_version(2, body)
    shop.make_live(2)
    shop.write(1)
    done = shop.until(shop.request(1)["id"])
    assert (done["state"], done["attempts"]) == ("succeeded", 2), done["message"]
    (retried,) = shop.events("run.retrying")
    assert retried["data"]["reason"] == "attempt 1 of 3 failed: its process was killed"


@pytest.mark.fault
@pytest.mark.exhaustive
@on_one_database
def test_a_run_that_is_always_killed_fails_with_that(shop: Running) -> None:
    shop.add_version(2, SLOW, batch={"retries": 1})
    shop.make_live(2)
    shop.write(1)
    run = shop.request(1)
    for attempt in (1, 2):
        wait_until(
            lambda attempt=attempt: shop.run(run["id"])["attempts"] == attempt and process_of(shop, run) is not None,
            150,
        )  # type: ignore[misc]
        os.kill(process_of(shop, run) or 0, signal.SIGKILL)
    done = shop.until(run["id"])
    assert (done["state"], done["message"]) == ("failed", "its process was killed (after 2 attempts)")


@on_one_database
def test_a_run_that_takes_too_long_has_failed(shop: Running) -> None:
    shop.add_version(2, SLOW, batch={"timeout": "1s", "retries": 0})
    shop.make_live(2)
    shop.write(1)
    done = shop.until(shop.request(1)["id"])
    assert (done["state"], done["message"]) == ("failed", "it took longer than 1 s (batch.timeout)")


@on_one_database
def test_one_run_of_a_day_at_a_time(shop: Running) -> None:
    shop.add_version(2, SLOW)
    shop.make_live(2)
    shop.write(1, 2, 3)
    first = shop.request(1)
    answer = shop.ada.post("/batch/runs", {"environment": "lab", "model": MODEL, "day": str(day(1))})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:ml-platform:problem:run-in-progress")
    assert answer.json()["run"] == first["id"]
    others = [shop.request(2), shop.request(3)]
    wait_until(lambda: sum(run["state"] == "running" for run in shop.runs()) == 2, 60)
    time.sleep(1)
    assert sum(run["state"] == "running" for run in shop.runs()) == 2, "no more than mlPlatform.batch.parallelRuns"
    for run in (first, *others):
        shop.ada.post(f"/batch/runs/{run['id']}/cancel", {"reason": "enough"})


@on_one_database
def test_logs_of_runs_are_kept_and_redacted_and_sent_as_they_are_kept(shop: Running) -> None:
    body = """
    def predict(self, context, model_input, params=None):
        print("a letter to ada@example.com")
        return model_input['x']
    """
    shop.add_version(2, body)
    shop.make_live(2)
    shop.write(1)
    with collecting() as collector:
        shop.services.batch_work.jobs.collector = collector.endpoint
        run = shop.until(shop.request(1)["id"])
    letters = [one for one in collector.lines if "a letter to" in one.body]
    assert {(one.service, one.body, one.fields["day"]) for one in letters} == {
        (MODEL, "a letter to [REDACTED:EMAIL]", "2013-01-02")
    }
    assert {(one.resource["service.version"], one.fields["run"]) for one in letters} == {("2", run["id"])}
    assert b"ada@example.com" not in b"".join(collector.received)
    text = shop.ada.get(f"/environments/lab/models/{MODEL}/logs").text
    assert "a letter to [REDACTED:EMAIL]" in text
    assert all(line.startswith("2/2013-01-02 ") for line in text.splitlines()), text


@on_one_database
def test_who_may_and_what_may(shop: Running) -> None:
    shop.add_version(2)
    body = {"environment": "lab", "model": MODEL, "day": str(day(1))}
    stranger = shop.backend.someone("edsger").post("/batch/runs", body)
    assert stranger.status_code == 403
    (refused,) = shop.events("refused")
    assert refused["actor"] == "user:default/edsger"
    never = shop.ada.post("/batch/runs", {**body, "version": 2})
    assert (never.status_code, never.json()["detail"]) == (
        409,
        f"v2 of {MODEL} was never live in lab, so it may not score there",
    )
    for wrong, status in (
        ({**body, "environment": "moon"}, 404),
        ({**body, "model": "nothing"}, 404),
        ({**body, "environment": "production"}, 409),
        ({**body, "day": "2013-02-30"}, 422),
        ({**body, "day": "0001-01-01"}, 422),
        ({**body, "version": 7}, 404),
    ):
        assert shop.ada.post("/batch/runs", wrong).status_code == status, wrong
    assert shop.runs() == []


def test_the_same_key_asks_once(shop: Running) -> None:
    shop.write(1)
    body = {"environment": "lab", "model": MODEL, "day": str(day(1))}
    answers = [shop.ada.post("/batch/runs", body, **{"Idempotency-Key": "abc"}) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(shop.runs()) == 1
    shop.until(answers[0].json()["id"])
