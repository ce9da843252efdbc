"""Experiments through the door that people use, on a scripted target: begun, watched, ended, decided; and wrong inputs."""

import uuid
from collections.abc import Iterator

import pytest

from tests.backend.experiments.lab import (
    AB,
    METRIC,
    SHADOW,
    Json,
    Lab,
    answered,
    live,
    outcomes,
    predict,
    running_lab,
    taking,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab"), None) as found:
        yield found


@pytest.fixture
def lab(shared: Lab) -> Lab:
    """The backend of all tests here, with version 1 live in "lab", and nothing under way."""
    shared.target.play()
    if shared.ada.get("/environments/lab/models/wine").json()["champion"] != 1:
        shared.deploy(1)
    return shared


def test_a_shadow_run_compares_answers_request_by_request(lab: Lab) -> None:
    id = lab.start(SHADOW)["id"]
    wait_until(lambda: lab.route().get("experiment") == [id, 2, 50, None], 60)
    assert lab.route()["weights"] == [[1, 100]]
    champion, challenger = lab.records(1), lab.records(2)
    same, near, other, failed, alone = (taking(id) for _ in range(5))
    for records, values, took in (
        (champion, (1.0, 2.0, "ada@example.com"), 0.01),
        (challenger, (1.0, 2.0000001, "b"), 0.03),
    ):
        for one, value in zip((same, near, other), values, strict=True):
            records.take(one, took, 200, answered(value))
    champion.take(failed, 0.01, 200, answered(1.0))
    challenger.take(failed, 0.01, 500, b"")
    champion.take(alone, 0.01, 200, answered(1.0))
    champion.take(same, 0.01, 200, answered(7.0))  # a client that uses the id of a request again
    champion.flush(10)
    challenger.flush(10)
    found = lab.until(id, lambda one: one["figures"]["compared"] == 4)
    figures = found["figures"]
    assert (figures["agreed"], figures["errors"]) == (2, {"champion": 0, "challenger": 1})
    assert figures["largestDifference"] == pytest.approx(1e-7, rel=1e-3)
    assert figures["milliseconds"] == {"champion": 10.0, "challenger": 25.0}
    assert found["summary"] == "2 of 4 compared answers agree (50.00 %)"

    first = lab.ada.get(f"/experiments/{id}/pairs", limit=1, differing=True).json()
    second = lab.ada.get(f"/experiments/{id}/pairs", limit=1, differing=True, cursor=first["nextCursor"]).json()
    differing = {one["where"] for page in (first, second) for one in page["items"]}
    assert second["nextCursor"] is None
    assert differing == {"outputs[0].data[0]: '[EMAIL]' and 'b'", "status: 200 and 500"} or "ada" not in str(differing)

    ended = lab.ada.post(f"/experiments/{id}/stop", {"reason": "seen enough"}).json()
    assert (ended["phase"], ended["outcome"], ended["figures"]["unpaired"]) == ("ended", "stopped", 1)
    wait_until(lambda: lab.target.running == [1] and lab.route()["experiment"] is None, 60)
    kept = lab.ada.post(f"/experiments/{id}/decision", {"decision": "keep", "reason": "answers differ"}).json()
    assert (kept["decision"], kept["decidedBy"], kept["deployment"]) == ("keep", "user:default/ada", None)
    told = [one["type"].rpartition(".")[2] for one in lab.events("requested", "started", "ended", "decided")]
    assert told == ["requested", "started", "ended", "decided"]


def test_an_ab_experiment_stops_early_and_its_promotion_is_an_ordinary_deployment(lab: Lab) -> None:
    id = lab.start(AB)["id"]
    wait_until(lambda: lab.route().get("experiment") == [id, 2, 50, "x-user-id"], 60)
    assert lab.route()["weights"] == [[1, 50], [2, 50]]
    nobody = taking(id)
    lab.records(1).take(nobody, 0.01, 200, answered(1))
    ids = predict(lab, id)
    assert lab.until(id, lambda one: one["figures"]["withoutKey"] == 1)["figures"]["keys"] == {
        "champion": 30,
        "challenger": 30,
    }
    # One thing at a time.
    refused = lab.ada.post("/deployments", {"model": "wine", "version": 3, "environment": "lab"})
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "experiment-in-progress")
    assert id in refused.json()["fix"]
    again = lab.ada.post("/experiments", {**SHADOW, "version": 3})
    assert (again.status_code, again.json()["experiment"]) == (409, id)

    path = f"/experiments/{id}/outcomes"
    bad = outcomes(ids[1], lambda index: float(index % 10 == 0))
    told = lab.ada.post(path, {"outcomes": bad}).json()
    assert (told["taken"], told["repeated"], told["unknown"]) == (30, 0, [])
    told = lab.ada.post(path, {"outcomes": bad}).json()
    assert (told["taken"], told["repeated"]) == (0, 30)
    stranger = str(uuid.uuid4())
    told = lab.ada.post(path, {"outcomes": outcomes([stranger, nobody.prediction, ids[1][1]], 1)}).json()
    assert (told["unknown"], told["conflicting"]) == ([stranger, nobody.prediction], [ids[1][1]])
    told = lab.ada.post(path, {"outcomes": outcomes(ids[2], lambda index: float(index % 10 != 0))}).json()
    assert told["experiment"]["figures"]["result"]["verdict"] == "challenger_better"
    found = lab.until(id, lambda one: one["phase"] == "ended")
    assert (found["phase"], found["outcome"]) == ("ended", "challenger_better")
    assert found["figures"]["result"]["interval"][0] > 0
    wait_until(lambda: lab.route()["weights"] == [[1, 100]], 60)

    decided = lab.ada.post(f"/experiments/{id}/decision", {"decision": "promote", "reason": "more clicks"}).json()
    deployment = decided["deployment"]
    assert lab.ada.get(f"/deployments/{deployment}").json()["requestedBy"] == "user:default/ada"
    wait_until(lambda: lab.ada.get(f"/deployments/{deployment}").json()["outcome"] == "promoted", 120)
    late = lab.ada.post(path, {"outcomes": outcomes(ids[2], 0)}).json()
    assert (late["late"], late["experiment"]["figures"]["result"]) == (30, found["figures"]["result"])
    twice = lab.ada.post(f"/experiments/{id}/decision", {"decision": "keep", "reason": "changed my mind"})
    assert twice.status_code == 409
    event = lab.events("decided")[-1]
    assert (event["data"]["deployment"], event["data"]["decision"]) == (deployment, "promote")


def test_a_wrong_split_decides_nothing_and_promotes_nothing(lab: Lab) -> None:
    id = lab.start(AB, metric={**METRIC, "source": "errors"})["id"]
    for version, count in ((1, 300), (2, 100)):
        records = lab.records(version)
        for number in range(count):
            records.take(taking(id, f"user-{version}-{number}"), 0.01, 500 if version == 1 and number % 2 else 200, b"")
        records.flush(10)
    found = lab.until(id, lambda one: one["figures"]["split"]["mismatch"] and one["figures"]["predictions"] == 400)
    assert (found["phase"], found["figures"]["result"]["verdict"]) == ("running", "challenger_better")
    # The same people at the other version, as while theirs is dead: seen, and not counted twice.
    lab.records(2).take(taking(id, "user-1-0"), 0.01, 200, b"")
    lab.until(id, lambda one: one["figures"]["crossed"] == 1)
    refused = lab.ada.post(f"/experiments/{id}/decision", {"decision": "promote", "reason": "looks better"})
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "split-is-wrong")
    assert lab.ada.post(f"/experiments/{id}/stop", {"reason": "split is wrong"}).json()["outcome"] == "stopped"
    unused = lab.ada.post(f"/experiments/{id}/outcomes", {"outcomes": outcomes([str(uuid.uuid4())], 1)})
    assert unused.status_code == 409


def test_users_are_spared_a_challenger_that_errs_dies_or_does_not_start(lab: Lab) -> None:
    lab.target.play(v2={"errors": 0.5})
    id = lab.start(AB, phase="ended")["id"]
    found = lab.show(id)
    assert (found["outcome"], found["reason"][:24]) == ("challenger_worse", "v2 is taken from users: ")
    assert "success rate" in found["reason"]

    # In a shadow run that hurts nobody, and the run goes on; with a challenger that is dead it ends.
    id = lab.start(SHADOW)["id"]
    lab.until(id, lambda one: one["figures"].get("traffic", {}).get("canary", {}).get("errors", 0) > 20)
    assert lab.show(id)["phase"] == "running"
    lab.target.play(v2={"dead": True})
    found = lab.until(id, lambda one: one["phase"] == "ended")
    assert (found["outcome"], found["reason"]) == ("failed", "v2 has no live replica any more")

    lab.target.play(v2={"starts": "no such module"})
    found = lab.start(SHADOW, phase="ended")
    assert (found["outcome"], found["reason"]) == ("failed", "v2 can't be started: no such module")


def test_a_rollback_ends_an_experiment_and_so_does_its_time(lab: Lab) -> None:
    lab.deploy(2)
    id = lab.start(AB, version=3)["id"]
    rolled = lab.ada.post("/environments/lab/models/wine/rollback", {"reason": "odd scores"})
    assert rolled.status_code == 200, rolled.text
    found = lab.show(id)
    assert (found["outcome"], found["reason"]) == ("rolled_back", "v2 is rolled back by user:default/ada: odd scores")
    wait_until(lambda: lab.route()["weights"] == [[1, 100]] and lab.target.running == [1], 60)

    id = lab.start(SHADOW)["id"]
    with lab.backend.services.database.write() as session:
        row = lab.backend.services.experiments.get(session, id)
        row.ends_at = row.started_at
    # The work reads its row again after a restart only, which is what this is.
    lab.backend.services.runtime.stop()
    lab.backend.services.runtime.start()
    found = lab.until(id, lambda one: one["phase"] == "ended")
    assert (found["outcome"], found["reason"]) == ("completed", "its time is over: no answers were compared")


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({**SHADOW, "version": 1}, 409, "is live in lab already"),
        ({**SHADOW, "environment": "production"}, 409, "no version of wine is live in production"),
        ({**SHADOW, "environment": "strict"}, 409, "no version of wine is live in strict"),
        ({**SHADOW, "environment": "moon"}, 404, "there is no environment 'moon'"),
        ({**SHADOW, "version": 9}, 404, "9"),
        ({**SHADOW, "percent": 0}, 422, "percent"),
        ({**SHADOW, "percent": 101}, 422, "percent"),
        ({**AB, "percent": 100}, 422, "has to stay with the champion"),
        ({**AB, "keyHeader": "Authorization"}, 422, "holds a secret"),
        ({**AB, "keyHeader": "x-request-id"}, 422, "a meaning of its own"),
        ({**AB, "keyHeader": None}, 422, "needs keyHeader and metric"),
        ({**AB, "metric": {**METRIC, "effect": 0}}, 422, "effect"),
        ({**SHADOW, "metric": METRIC}, 422, "neither keyHeader nor metric"),
        ({**SHADOW, "duration": "400d"}, 422, "the platform allows 30d"),
        ({**SHADOW, "duration": "1s"}, 422, "at least 10s"),
    ],
)
def test_what_can_not_be_tried_is_refused_with_the_reason(lab: Lab, wish: Json, status: int, said: str) -> None:
    answer = lab.ada.post("/experiments", wish)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_strangers_and_versions_without_gates_are_refused(lab: Lab) -> None:
    stranger = lab.backend.someone("edsger").post("/experiments", SHADOW)
    assert stranger.status_code == 403
    assert lab.events("refused")[-1]["actor"] == "user:default/edsger"
    live(lab, "strict")
    answer = lab.ada.post("/experiments", {**SHADOW, "environment": "strict"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "admission-refused")
    assert {one["state"] for one in answer.json()["requirements"]} >= {"missing"}


def test_where_a_rollout_needs_approval_so_does_an_ab_experiment(lab: Lab) -> None:
    grace = lab.backend.someone("grace")
    live(lab, "production")
    waiting = lab.start(AB, phase="awaiting_approval", environment="production")
    path = f"/experiments/{waiting['id']}/approval"
    own = lab.ada.post(path, {"decision": "approve"})
    assert (own.status_code, len(lab.events("approval.refused"))) == (403, 1)
    assert {one["action"]: one["allowed"] for one in waiting["actions"]} == {
        "approve": False,
        "stop": True,
        "decide": False,
    }
    rejected = grace.post(path, {"decision": "reject", "comment": "not before Christmas"}).json()
    assert (rejected["phase"], rejected["outcome"]) == ("ended", "rejected")
    # Nobody ever sees an answer of a shadow.
    shadow = lab.start(SHADOW, phase="starting", environment="production")
    assert lab.ada.post(f"/experiments/{shadow['id']}/stop", {"reason": "shown"}).json()["outcome"] == "stopped"
    approved = lab.start(AB, phase="awaiting_approval", environment="production")
    said = grace.post(f"/experiments/{approved['id']}/approval", {"decision": "approve", "comment": "go on"}).json()
    assert (said["phase"], said["approvedBy"]) == ("starting", "user:default/grace")
    assert lab.ada.post(f"/experiments/{approved['id']}/stop", {"reason": "shown"}).json()["outcome"] == "stopped"
