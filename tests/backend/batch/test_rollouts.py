"""Batch versions rolled out: tried on the newest day, compared with the live one, promoted or taken back."""

from typing import Any

import pytest

from tests.marks import on_one_database
from tests.waiting import wait_until

from .conftest import MODEL, Running, day

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SLEEPY = """
def predict(self, context, model_input, params=None):
    time.sleep(3)
    return model_input['x']
"""


def steps(deployment: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["kind"], step["state"]) for step in deployment["steps"]]


@on_one_database
def test_a_version_is_tried_compared_and_promoted(shop: Running) -> None:
    shop.write(1, 2, 3, 4)
    shop.add_version(2)
    done = shop.deploy(2)
    assert done["outcome"] == "promoted", done["reason"]
    assert steps(done) == [("start", "passed"), ("warm", "passed"), ("compare", "passed"), ("promote", "passed")]
    assert done["reason"] == "v2 is live; scheduled runs use it from now on, instead of v1"
    warm, compared = done["steps"][1], done["steps"][2]
    assert warm["reason"] == f"3 rows of {day(4)} scored for trial"
    assert compared["reason"] == (
        f"{day(2)} to {day(4)}: 9 rows, 100 % accepted (v1: 100 %); 100 % of 9 answers changed; "
        "y: 0 % agree, stability index 18.4, mean difference 1"
    )
    assert compared["canary"]["requests"] == compared["primary"]["requests"] == 9
    assert {check["name"]: check["verdict"] for check in compared["checks"]} == {
        "success_rate": "passing",
        "success_rate_vs_primary": "passing",
        "latency_vs_primary": "passing",
    }
    assert shop.read(4) == [], "nothing is published by a trial"
    place = shop.ada.get(f"/environments/lab/models/{MODEL}").json()
    assert (place["champion"], place["type"], place["url"]) == (2, "batch", None)
    trials = shop.runs(cause="trial")
    assert {run["deployment"] for run in trials} == {done["id"]}
    assert len(trials) == 6
    shop.services.batch_work._sweep()
    assert list((shop.services.settings.home / "run" / "trials").glob("*")) == []


@on_one_database
def test_without_data_and_primary_there_is_nothing_to_try(shop: Running) -> None:
    shop.add_version(2)
    done = shop.deploy(2)
    assert done["outcome"] == "promoted", done["reason"]
    said = {step["kind"]: step["reason"] for step in done["steps"]}
    assert said["warm"] == "there is no data yet at shop/orders in the lake of lab, so nothing was tried"
    assert said["compare"] == "there is no data yet that both v1 and this version read; not compared"


@pytest.mark.parametrize(
    ("body", "spec", "outcome", "said"),
    [
        (
            "def predict(self, context, model_input, params=None):\n    raise ValueError('x')",
            {},
            "failed",
            "the model raised ValueError",
        ),
        (
            None,
            {
                "schema": {
                    "inputs": [{"name": "x", "type": "double", "minimum": 1.5}],
                    "outputs": [{"name": "y", "type": "double"}],
                }
            },
            "rolled_back",
            "75 % of the rows accepted, under 99 %; 75 % of the rows accepted, under 99.50 % allowed by v1",
        ),
        pytest.param(SLEEPY, {}, "rolled_back", "ms a row, over", marks=pytest.mark.exhaustive),
    ],
)
@on_one_database
def test_a_version_that_does_worse_is_taken_back(
    shop: Running, body: str | None, spec: dict[str, Any], outcome: str, said: str
) -> None:
    shop.write(1, rows=1)
    shop.write(2, rows=3, value=2.0)
    shop.add_version(2, body, batch={"maxRejected": 1}, **spec)
    done = shop.deploy(2)
    assert (done["outcome"], said in done["reason"]) == (outcome, True), done["reason"]
    assert shop.ada.get(f"/environments/lab/models/{MODEL}").json()["champion"] == 1
    assert all(len(shop.read(number)) == 0 for number in (1, 2))


@on_one_database
def test_an_abort_ends_the_trials(shop: Running) -> None:
    shop.write(1)
    shop.add_version(2, "def predict(self, c, x, params=None):\n    time.sleep(60)\n    return x['x']")
    asked = shop.ada.post("/deployments", {"model": MODEL, "version": 2, "environment": "lab"}).json()
    wait_until(lambda: any(run["state"] == "running" for run in shop.runs(cause="trial")), 150)
    (trial,) = shop.runs(cause="trial")
    refused = shop.ada.post(f"/batch/runs/{trial['id']}/cancel", {"reason": "no more"})
    assert (refused.status_code, refused.json()["deployment"]) == (409, asked["id"])
    shop.ada.post(f"/deployments/{asked['id']}/abort", {"reason": "wrong version"})
    assert shop.deployed(asked["id"])["outcome"] == "aborted"
    assert shop.until(trial["id"])["message"] == "the rollout is over"


@on_one_database
def test_versions_with_other_keys_are_promoted_without_a_comparison(shop: Running) -> None:
    shop.write(1)
    shop.add_version(2, batch={"keys": ["x"]})
    done = shop.deploy(2)
    assert done["outcome"] == "promoted", done["reason"]
    assert done["steps"][2]["reason"] == "not compared: v1 names rows by other keys"


@on_one_database
def test_a_rollback_is_immediate_and_names_what_is_left_to_score_again(shop: Running) -> None:
    shop.write(1, 2, 3)
    shop.until(shop.request(1)["id"])
    shop.add_version(2)
    assert shop.deploy(2)["outcome"] == "promoted"
    for number in (2, 3):
        shop.until(shop.request(number)["id"])
    shop.write(5)
    late = shop.request(5)
    back = shop.ada.post(f"/environments/lab/models/{MODEL}/rollback", {"reason": "odd scores"})
    assert back.status_code == 200, back.text
    answer = back.json()
    assert (answer["outcome"], answer["version"], answer["previousVersion"]) == ("promoted", 1, 2)
    assert answer["rescore"]["version"] == 2
    assert {str(day(2)), str(day(3))} <= set(answer["rescore"]["days"])
    assert shop.until(late["id"])["state"] in ("cancelled", "succeeded")
    days = answer["rescore"]["days"]
    made = shop.ada.post(
        "/batch/backfills",
        {
            "environment": "lab", "model": MODEL, "from": days[0], "to": days[-1], "scoredBy": 2,
            "reason": "scored by v2, which was rolled back",
        },
    ).json()  # fmt: skip
    assert shop.filled(made["id"])["state"] == "succeeded"
    assert [shop.read(number)[0][2] for number in (1, 2, 3)] == [1, 1, 1]
    again = shop.ada.get(f"/environments/lab/models/{MODEL}/batch/scored", version=2).json()
    assert [one for one in again["days"] if one != str(day(5))] == []


def test_runs_of_a_version_that_is_rolled_back_are_withdrawn(shop: Running) -> None:
    shop.add_version(
        2,
        "def predict(self, c, x, params=None):\n    time.sleep(60)\n    return x['x']",
        batch={"schedule": "0 3 * * *"},
    )
    shop.make_live(2)
    shop.write(1, 2)
    made = shop.backfill(1, 2)
    wait_until(lambda: any(run["state"] == "running" for run in shop.runs()), 150)
    back = shop.ada.post(f"/environments/lab/models/{MODEL}/rollback", {"reason": "it hangs"})
    assert back.status_code == 200, back.text
    wait_until(lambda: all(run["state"] not in ("pending", "running") for run in shop.runs()), 60)
    assert {run["state"] for run in shop.runs()} == {"cancelled"}
    assert shop.ada.get(f"/batch/backfills/{made['id']}").json()["state"] == "cancelled"
    assert back.json()["rescore"]["days"] == []
