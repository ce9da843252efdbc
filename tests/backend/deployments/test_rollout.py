"""Whole rollouts through the API, the engine and the database, on a scripted target."""

import time

import pytest

from tests.marks import on_one_database
from tests.waiting import wait_until

from .conftest import PLACE, Lab, add_version

pytestmark = pytest.mark.slow


@on_one_database
def test_the_first_version_is_promoted_without_analysis(lab: Lab) -> None:
    done = lab.deploy(1)
    assert (done["outcome"], done["previousVersion"]) == ("promoted", None)
    assert [step["kind"] for step in done["steps"]] == ["start", "warm", "promote"]
    assert lab.target.weights == {1: 100}
    place = lab.place()
    assert (place["champion"], place["challenger"], place["rollout"]) == (1, None, None)
    assert place["traffic"] == [
        {"version": 1, "weight": 100, "desiredWeight": 100, "state": "live", "mirror": 0, "warmUntil": None}
    ]
    assert place["url"].endswith("/lab/wine")


def test_a_good_version_goes_through_all_steps(lab: Lab) -> None:
    lab.deploy(1)
    done = lab.deploy(2)
    assert done["outcome"] == "promoted"
    assert done["reason"] == "v2 is live; v1 stays warm for 10 min"
    canary = [step for step in done["steps"] if step["kind"] == "canary"]
    assert [step["weight"] for step in canary] == [5, 25, 50, 100]
    for step in canary:
        assert step["state"] == "passed"
        assert step["canary"]["requests"] >= 10
        assert step["canary"]["successRate"] == 1
        assert {check["verdict"] for check in step["checks"]} <= {"passing", "no_data"}
    shares = [weights.get("2", 0) for weights in lab.target.state["history"]]
    assert shares == [0, 5, 25, 50, 100]
    traffic = {one["version"]: one for one in lab.place()["traffic"]}
    assert (traffic[2]["weight"], traffic[2]["state"]) == (100, "live")
    assert (traffic[1]["weight"], traffic[1]["state"]) == (0, "warm")
    assert traffic[1]["warmUntil"] is not None
    types = [
        event["type"].rsplit(".", 2)[-2:]
        for event in lab.events()
        if event["subject"].endswith(f"/deployments/{done['id']}")
    ]
    assert [".".join(one) for one in types] == [
        "deployment.requested",
        "rollout.started",
        "rollout.step_passed",
        "rollout.step_passed",
        *["traffic.shifted", "rollout.step_passed"] * 4,
        "rollout.promoted",
        "traffic.shifted",
        "rollout.finished",
    ]


@pytest.mark.parametrize(
    ("behaviour", "check", "said"),
    [
        ({"errors": 0.5}, "success_rate", "success rate"),
        ({"latency": 900.0}, "latency", "p99 latency"),
        ({"latency": 150.0}, "latency_vs_primary", "allowed by the primary's"),
    ],
)
@on_one_database
def test_a_bad_version_is_rolled_back_with_numbers(
    lab: Lab, behaviour: dict[str, float], check: str, said: str
) -> None:
    lab.deploy(1)
    lab.target.play(v2=behaviour)
    done = lab.deploy(2)
    assert done["outcome"] == "rolled_back"
    assert said in done["reason"]
    assert "e-value" in done["reason"]
    breached = [step for step in done["steps"] if step["state"] == "breached"]
    # How many requests a step sees before its time is over depends on the machine; the decision is at most a step late.
    assert [step["weight"] for step in breached] in ([5], [25])
    found = {one["name"]: one for one in breached[0]["checks"]}[check]
    assert found["verdict"] == "breached"
    assert found["evidence"] >= found["threshold"] == 400
    assert lab.target.weights == {1: 100}
    wait_until(lambda: lab.target.running == [1], 5)
    place = lab.place()
    assert (place["champion"], place["challenger"]) == (1, None)
    (event,) = lab.events("rollout.rolled_back")
    assert event["data"]["reason"] == done["reason"]
    assert event["data"]["canary"]["requests"] == breached[0]["canary"]["requests"]


@on_one_database
def test_a_version_that_turns_bad_later_is_rolled_back_too(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"steps": [10, 100], "interval": "3s"})
    lab.deploy(1)
    started = lab.deploy(3, wait=False)
    lab.until(started["id"], "progressing")
    wait_until(lambda: lab.deployment(started["id"])["steps"][2]["canary"] is not None, 5)
    time.sleep(1)
    lab.target.play(v3={"errors": 0.4})
    done = lab.until(started["id"], "completed")
    assert done["outcome"] == "rolled_back"
    assert done["steps"][2]["state"] == "breached"


def test_shadow_traffic_is_judged_before_any_user_meets_the_version(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"shadow": {"duration": "0.5s", "percent": 50}})
    lab.deploy(1)
    lab.target.play(v3={"errors": 0.5})
    done = lab.deploy(3)
    assert done["outcome"] == "rolled_back"
    assert [(step["kind"], step["state"]) for step in done["steps"]][2] == ("shadow", "breached")
    assert lab.target.state["history"] == [{"1": 100}]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"starts": "exit status 1: ModuleNotFoundError: No module named 'lightgbm'"}, "No module named 'lightgbm'"),
        ({"starts": "never"}, "0 of 1 replicas of v3 ready within 1 s"),
        ({"warms": "prediction is NaN"}, "does not answer trial requests well: prediction is NaN"),
    ],
)
@on_one_database
def test_a_version_that_does_not_come_up_fails_without_traffic(lab: Lab, behaviour: dict[str, str], said: str) -> None:
    add_version(lab.services, 3, serving={"startupTimeout": "1s"})
    lab.deploy(1)
    lab.target.play(v3=behaviour)
    done = lab.deploy(3)
    assert done["outcome"] == "failed"
    assert said in done["reason"]
    assert lab.target.state["history"] == [{"1": 100}]
    wait_until(lambda: lab.target.running == [1], 5)
    assert [event["data"]["reason"] for event in lab.events("rollout.failed")] == [done["reason"]]


@on_one_database
def test_a_damaged_artefact_is_said_so(lab: Lab) -> None:
    add_version(lab.services, 3)
    with lab.services.database.read() as session:
        folder = lab.services.registry.bundle_path(lab.services.registry.get_version(session, "wine", 3))
    (folder / "model" / "MLmodel").write_text("something else")
    lab.deploy(1)
    done = lab.deploy(3)
    assert done["outcome"] == "failed"
    assert "artefact of wine 3 was changed" in done["reason"]
    assert lab.target.weights == {1: 100}


@on_one_database
def test_too_little_traffic_holds_the_step_until_there_is_more(lab: Lab) -> None:
    lab.deploy(1)
    lab.target.play(rate=1.0)
    started = lab.deploy(2, wait=False)
    held = lab.until(started["id"], "held")
    assert "too little traffic to judge" in held["reason"]
    assert held["steps"][2]["state"] == "held"
    assert lab.target.weights == {1: 95, 2: 5}
    lab.target.play(rate=2000.0)
    assert lab.until(started["id"], "completed")["outcome"] == "promoted"
    assert len(lab.events("rollout.held")) == 1


@on_one_database
def test_too_little_traffic_for_too_long_ends_as_held(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"analysis": {"holdTimeout": "0.5s"}})
    lab.deploy(1)
    lab.target.play(rate=1.0)
    done = lab.deploy(3)
    assert done["outcome"] == "held"
    assert "traffic goes back" in done["reason"]
    assert lab.target.weights == {1: 100}


def test_a_person_aborts(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"interval": "60s"})
    lab.deploy(1)
    started = lab.deploy(3, wait=False)
    wait_until(lambda: lab.target.weights == {1: 95, 3: 5}, 10)
    answer = lab.ada.post(f"/deployments/{started['id']}/abort", {"reason": "wrong data set"})
    assert answer.status_code == 200
    assert (answer.json()["phase"], answer.json()["outcome"]) == ("rolling_back", "aborted")
    wait_until(lambda: lab.target.weights == {1: 100}, 30)  # half of the step's interval: it is not waited for
    done = lab.until(started["id"], "completed")
    assert done["reason"] == "aborted by user:default/ada: wrong data set"
    again = lab.ada.post(f"/deployments/{started['id']}/abort", {"reason": "once more"})
    assert again.status_code == 409


def test_a_person_promotes(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"interval": "60s"})
    lab.deploy(1)
    started = lab.deploy(3, wait=False)
    lab.until(started["id"], "progressing")
    path = f"/deployments/{started['id']}/promote"
    assert lab.ada.post(path, {"reason": "I am in a hurry"}).status_code == 403  # she asked for it herself
    grace = lab.backend.someone("grace")
    assert grace.post(path, {"reason": "fixes the outage"}).status_code == 200
    done = lab.until(started["id"], "completed")
    assert done["outcome"] == "promoted"
    assert "by user:default/grace: fixes the outage" in done["reason"]
    assert lab.target.weights == {3: 100}
    assert lab.target.state["history"][-1] == {"3": 100}


def test_one_at_a_time(lab: Lab) -> None:
    add_version(lab.services, 3, rollout={"interval": "60s"})
    lab.deploy(1)
    started = lab.deploy(3, wait=False)
    second = lab.ada.post("/deployments", {"model": "wine", "version": 2, "environment": "lab"})
    assert second.status_code == 409
    assert second.json()["type"].endswith("rollout-in-progress")
    assert second.json()["deployment"] == started["id"]


@on_one_database
def test_the_live_version_is_not_deployed_again(lab: Lab) -> None:
    lab.deploy(1)
    assert lab.ada.post("/deployments", {"model": "wine", "version": 1, "environment": "lab"}).status_code == 409


class TestRollback:
    def rollback(self, lab: Lab) -> tuple[int, dict[str, object]]:
        answer = lab.ada.post(f"{PLACE}/rollback", {"reason": "odd scores"})
        return answer.status_code, answer.json()

    def test_to_a_warm_version_is_instant(self, lab: Lab) -> None:
        lab.deploy(1)
        lab.deploy(2)
        status, document = self.rollback(lab)
        assert status == 200
        assert lab.target.weights == {1: 100}, "done when the answer comes"
        assert (document["version"], document["outcome"]) == (1, "promoted")
        lab.until(str(document["id"]), "completed")
        wait_until(lambda: lab.target.running == [1], 5)
        assert [row["version"] for row in lab.place()["traffic"]] == [1]
        (event,) = lab.events("rollout.rolled_back")
        assert event["actor"] == "user:default/ada"
        assert event["data"]["reason"] == "v2 was rolled back to v1: odd scores"
        # What was rolled back is no former version to come back to.
        assert self.rollback(lab)[0] == 409

    @on_one_database
    def test_to_a_version_that_was_stopped_starts_it_first(self, lab: Lab) -> None:
        lab.deploy(1)
        add_version(lab.services, 3, rollout={"keepWarm": "0.1s"})
        lab.deploy(3)
        wait_until(lambda: lab.target.running == [3], 5)
        status, document = self.rollback(lab)
        assert status == 200
        done = lab.until(str(document["id"]), "completed")
        assert (done["version"], done["outcome"], done["previousVersion"]) == (1, "promoted", 3)
        assert [step["kind"] for step in done["steps"]] == ["start", "promote"]
        assert lab.target.weights == {1: 100}
        assert lab.target.running == [1]

    def test_during_a_rollout_aborts_it(self, lab: Lab) -> None:
        add_version(lab.services, 3, rollout={"interval": "60s"})
        lab.deploy(1)
        started = lab.deploy(3, wait=False)
        wait_until(lambda: lab.target.weights == {1: 95, 3: 5}, 10)
        status, document = self.rollback(lab)
        assert (status, document["version"]) == (200, 1)
        assert lab.target.weights == {1: 100}, "done when the answer comes"
        assert lab.until(started["id"], "completed")["outcome"] == "aborted"

    @on_one_database
    def test_with_nothing_to_go_back_to(self, lab: Lab) -> None:
        assert self.rollback(lab)[0] == 409
        lab.deploy(1)
        assert self.rollback(lab)[0] == 409


class TestTrouble:
    @on_one_database
    def test_a_canary_that_dies_is_rolled_back(self, lab: Lab) -> None:
        add_version(lab.services, 3, rollout={"interval": "60s"})
        lab.deploy(1)
        started = lab.deploy(3, wait=False)
        wait_until(lambda: lab.target.weights == {1: 95, 3: 5}, 10)
        lab.target.play(rate=0.0, v3={"dead": True})
        wait_until(lambda: lab.target.weights == {1: 100}, 2)
        done = lab.until(started["id"], "completed")
        assert done["outcome"] == "rolled_back"
        assert done["reason"] == "v3 has no live replica any more"

    @on_one_database
    def test_a_dead_primary_is_stood_in_for_and_gets_its_traffic_back(self, lab: Lab) -> None:
        lab.deploy(1)
        lab.deploy(2)
        lab.target.play(v2={"dead": True})
        wait_until(lambda: lab.target.weights == {1: 100}, 2)
        wait_until(lambda: {one["version"]: one["weight"] for one in lab.place()["traffic"]} == {1: 100, 2: 0}, 2)
        lab.target.play()
        wait_until(lambda: lab.target.weights == {2: 100}, 2)
        wait_until(lambda: len(lab.events("traffic.failed_over", "traffic.restored")) == 2, 2)
        over, back = lab.events("traffic.failed_over", "traffic.restored")
        assert over["data"]["reason"] == "v2 has no live replica; its 100 % of traffic went to v1"
        assert back["data"]["reason"] == "v2 is back and has its 100 % of traffic again"

    @on_one_database
    def test_a_bad_canary_stands_in_for_a_primary_that_is_dead(self, lab: Lab) -> None:
        add_version(lab.services, 3, rollout={"interval": "60s"}, serving={"startupTimeout": "1s"})
        add_version(lab.services, 4, serving={"startupTimeout": "1s"})
        lab.deploy(4)
        started = lab.deploy(3, wait=False)
        wait_until(lambda: lab.target.weights == {4: 95, 3: 5}, 10)
        lab.target.play(v4={"dead": True})
        wait_until(lambda: lab.target.weights == {3: 100}, 2)
        assert lab.ada.post(f"/deployments/{started['id']}/abort", {"reason": "not today"}).status_code == 200
        assert lab.until(started["id"], "completed")["outcome"] == "aborted"
        assert lab.target.weights == {3: 100}  # all that is alive
        lab.target.play()
        wait_until(lambda: lab.target.weights == {4: 100}, 5)

    def test_an_engine_that_is_stopped_and_started_goes_on(self, lab: Lab) -> None:
        add_version(lab.services, 3, rollout={"interval": "1s", "steps": [10, 100]})
        lab.deploy(1)
        started = lab.deploy(3, wait=False)
        lab.until(started["id"], "progressing")
        lab.services.runtime.stop()
        assert lab.deployment(started["id"])["phase"] == "progressing"
        lab.services.runtime.start()
        done = lab.until(started["id"], "completed")
        assert (done["outcome"], lab.target.weights) == ("promoted", {3: 100})

    @on_one_database
    def test_a_rollback_does_not_go_to_a_warm_version_that_is_dead(self, lab: Lab) -> None:
        add_version(lab.services, 3, serving={"startupTimeout": "1s"})
        lab.deploy(3)
        lab.deploy(2)
        lab.target.play(v3={"dead": True})
        answer = lab.ada.post(f"{PLACE}/rollback", {"reason": "odd scores"})
        assert (answer.status_code, answer.json()["phase"]) == (200, "pending")
        done = lab.until(answer.json()["id"], "completed")
        assert done["outcome"] == "failed"
        assert lab.target.weights == {2: 100}

    @on_one_database
    def test_replicas_that_vanish_are_started_again(self, lab: Lab) -> None:
        lab.deploy(1)
        (lab.target.folder / "state.json").unlink()
        wait_until(lambda: lab.target.running == [1] and lab.target.weights == {1: 100}, 12)

    @on_one_database
    def test_a_proxy_that_is_down_loses_no_rollout(self, lab: Lab) -> None:
        lab.deploy(1)
        started = lab.deploy(2, wait=False)
        lab.until(started["id"], "progressing")
        lab.target.play(down=True)
        time.sleep(1)
        assert lab.deployment(started["id"])["phase"] == "progressing"
        lab.target.play()
        assert lab.until(started["id"], "completed")["outcome"] == "promoted"

    @on_one_database
    def test_warm_versions_are_stopped_in_time(self, lab: Lab) -> None:
        add_version(lab.services, 3, rollout={"keepWarm": "0.3s"})
        lab.deploy(1)
        lab.deploy(3)
        wait_until(lambda: lab.target.running == [3], 5)
        assert [row["version"] for row in lab.place()["traffic"]] == [3]
        (event,) = lab.events("traffic.retired")
        assert event["subject"] == "model:wine/versions/1"
