"""kill -9 of every process during rollouts: no rollout is lost, no traffic stays on a dead version.

Each step of a rollout for itself is in tests/backend/deployments/test_kill.py, where a step lasts until it is killed.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from demo import repository
from demo.shell import wait_until
from tests.journeys.conftest import RunningPlatform
from tests.journeys.story import ENVIRONMENT, Model

pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(900)]


def kill(platform: RunningPlatform, program: str) -> None:
    """Kill a program that supervisord keeps; a second `platform up` names its process."""
    os.kill(platform.up()["pids"][program], signal.SIGKILL)


def kill_server(model: Model, version: int) -> None:
    replicas = [item for item in model.state()["replicas"] if item["version"] == version and item["pid"]]
    assert replicas, f"version {version} has no running replica"
    for replica in replicas:
        os.kill(replica["pid"], signal.SIGKILL)


def shadowed(folder: Path) -> None:
    """Have the new version answer mirrored requests before it gets any user."""
    declaration = folder / "model.yaml"
    text = declaration.read_text(encoding="utf-8")
    assert text.count("\nrollout:\n") == 1
    declaration.write_text(text.replace("\nrollout:\n", "\nrollout:\n  shadow: {duration: 5s}\n"), encoding="utf-8")


@pytest.fixture(scope="module")
def model(running_platform: RunningPlatform) -> Model:
    """A model with a first version live and a second one registered."""
    model = Model(running_platform, "unkillable")
    first = model.ended(model.ship()["id"])
    assert first["outcome"] == "promoted", first["reason"]
    model.change(repository.better_version, "Use all features")
    model.change(shadowed, "Look at mirrored traffic first")
    model.author.platform("run", "--until", "register")
    return model


@pytest.fixture
def on_version_1(model: Model) -> Model:
    """The model with version 1 live, whatever the test before left behind."""
    if model.weights() != {1: 100}:
        model.author.platform("rollback", "--env", ENVIRONMENT, "--reason", "start of a test", expect=None)
        wait_until(lambda: model.weights() == {1: 100}, seconds=60, what="version 1 to be live")
    return model


def deploy(model: Model) -> str:
    requested = model.author.platform("deploy", "--env", ENVIRONMENT, "--version", "2", "--no-wait").document
    model.approver.platform("approve", requested["id"], "--comment", "go")
    return str(requested["id"])


def step(deployment: dict[str, object]) -> str:
    """Name the step that a rollout is in."""
    running = [item for item in deployment["steps"] if item["state"] in {"running", "held"}]  # type: ignore[attr-defined]
    return f"{running[-1]['kind']} {running[-1]['weight'] or ''}".strip() if running else str(deployment["phase"])


def test_the_backend_dies_in_step_after_step_and_the_rollout_goes_on(on_version_1: Model) -> None:
    model, platform = on_version_1, on_version_1.platform
    with model.users(seconds=420) as seen:
        identifier = deploy(model)
        killed_in: set[str] = set()

        def ended_or_killed() -> bool:
            try:
                deployment = model.deployment(identifier)
            except Exception:
                return False  # the backend is on its way back
            if deployment["outcome"]:
                return True
            if (now := step(deployment)) not in killed_in:
                killed_in.add(now)
                kill(platform, "backend")
            return False

        wait_until(ended_or_killed, seconds=400, every=0.2, what="the end of the rollout")
        ended = model.deployment(identifier)
        assert model.weights() == {2: 100}
    assert ended["outcome"] == "promoted", ended["reason"]
    assert len(killed_in) >= 3, "a step may be over before the backend is back, but not most of them"
    assert [request for request in seen if request.failed] == []
    promotions = [event for event in model.events() if event["type"].endswith("rollout.promoted")]
    assert len([event for event in promotions if identifier in str(event)]) == 1
    assert model.author.platform("audit", "verify").document["valid"] is True


@pytest.mark.exhaustive
def test_envoy_dies_during_a_rollout_and_the_rollout_goes_on(on_version_1: Model) -> None:
    model = on_version_1
    with model.users() as seen:
        identifier = deploy(model)
        model.reaches(identifier, lambda deployment: step(deployment) == "canary 25", "the step at 25 %")
        kill(model.platform, "envoy")
        ended = model.ended(identifier)
    assert ended["outcome"] == "promoted", ended["reason"]
    failed = [request for request in seen if request.failed]
    assert len(failed) < 0.1 * len(seen), "Envoy is the only door, so requests fail until supervisord has it back"


def test_the_new_version_dies_and_users_do_not_notice(on_version_1: Model) -> None:
    model = on_version_1
    with model.users() as seen:
        identifier = deploy(model)
        model.reaches(identifier, lambda deployment: step(deployment) == "canary 25", "the step at 25 %")
        kill_server(model, version=2)
        ended = model.ended(identifier)
        live = model.weights()
    assert ended["outcome"] in {"rolled_back", "promoted"}
    assert live == {2 if ended["outcome"] == "promoted" else 1: 100}
    failed = [request for request in seen if request.failed]
    assert len(failed) <= 5, "only what the killed process had in hand may fail"


@pytest.mark.exhaustive
def test_the_primary_dies_and_comes_back(on_version_1: Model) -> None:
    model = on_version_1
    dead = {item["pid"] for item in model.state()["replicas"] if item["version"] == 1}
    with model.users() as seen:
        kill_server(model, version=1)
        wait_until(
            lambda: any(
                item["version"] == 1 and item["state"] == "ready" and item["pid"] not in dead
                for item in model.state()["replicas"]
            ),
            seconds=60,
            what="the primary to be back",
        )
        time.sleep(3)
    assert [request.status for request in seen[-50:]] == [200] * 50


@pytest.mark.exhaustive
def test_a_second_rollout_is_refused_and_aborting_the_first_puts_traffic_back(on_version_1: Model) -> None:
    model = on_version_1
    with model.users():
        identifier = deploy(model)
        model.reaches(identifier, lambda deployment: step(deployment).startswith("canary"), "users at the new version")
        refused = model.author.platform("deploy", "--env", ENVIRONMENT, "--version", "2", "--no-wait", expect=1)
        assert "progress" in (refused.messages + str(refused.document)).lower()
        model.author.platform("abort", identifier, "--reason", "changed my mind")
        ended = model.ended(identifier)
        assert model.weights() == {1: 100}
    assert ended["outcome"] == "aborted"
    assert "changed my mind" in ended["reason"]
