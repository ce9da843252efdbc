"""Shadow runs and A/B experiments as route configuration of the real Envoy: who gets which answer, whatever happens."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.deployments.targets.base import ExperimentRoute, ReplicaState, VersionKey
from backend.deployments.targets.local.envoy import clusters
from backend.deployments.targets.local.plan import plan_traffic
from tests.backend.targets.machine import Machine, route, serving_machine, wait_for

pytestmark = pytest.mark.slow
AB = ExperimentRoute("018f-ab", challenger=2, percent=30, key_header="x-user")
SHADOW = ExperimentRoute("018f-shadow", challenger=3, percent=100)
USERS = [f"user-{number}" for number in range(100)]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Versions 1 and 2 answer well, 3 fails, 4 hangs; all write down what they are told."""
    with serving_machine() as one:
        one.run(1, told=True)
        one.run(2, told=True)
        one.run(3, told=True, fails=True)
        one.run(4, delay=30)
        yield one


def told(machine: Machine, version: int) -> list[list[str]]:
    key = machine.spec_key(version)
    lines = [line.split() for line in machine.target.logs([key], 5000, False) if " told " in line]
    return [line[2:] for line in lines]


def assigned(machine: Machine) -> dict[str, str | None]:
    return {user: machine.infer(x_user=user).version for user in USERS}


def test_a_key_always_meets_the_same_version(machine: Machine) -> None:
    split = route((1, 70), (2, 30), warm=(3, 4), experiment=AB)
    machine.target.apply([split])
    first = assigned(machine)
    assert 12 <= sum(version == "2" for version in first.values()) <= 50

    # No key, an empty one and a version that is named are no part of the experiment: the first two meet the champion.
    assert {machine.infer().version for _ in range(30)} == {"1"}
    assert {machine.infer(x_user="").version for _ in range(10)} == {"1"}
    assert {machine.infer(x_model_version="2", x_user=USERS[0]).version} == {"2"}
    # Nobody can tell a server that a request belongs to an experiment, but the proxy.
    machine.infer(x_experiment="forged", x_experiment_unit="forged")
    machine.infer(x_experiment="forged", x_experiment_unit="forged", x_model_version="1")
    seen = wait_for(lambda: told(machine, 1)[-2:])
    assert [one[:2] for one in seen] == [[AB.id, "-"], ["-", "-"]]

    # Another configuration in between, and an Envoy that is killed and comes back.
    machine.target.apply([replace(split, warm=(4,)), route((3, 100), model="other")])
    os.kill(machine.pid("envoy"), signal.SIGKILL)
    wait_for(machine.target.acknowledged)
    assert assigned(machine) == first
    # The next experiment does not hand the same people to its challenger.
    machine.target.apply([replace(split, experiment=replace(AB, id="018f-next"))])
    assert assigned(machine) != first
    units = {one[1] for one in told(machine, 2) if one[0] == AB.id}
    assert units == {user for user, version in first.items() if version == "2"}


def test_users_never_notice_a_shadow_that_errs_hangs_or_dies(machine: Machine) -> None:
    machine.target.apply([route((1, 100), warm=(2, 3, 4), experiment=SHADOW)])
    before = len(told(machine, 3))
    answers = [machine.infer() for _ in range(40)]
    assert {(one.status, one.version) for one in answers} == {(200, "1")}
    wait_for(lambda: len(told(machine, 3)) == before + 40)
    # Both servers are told the same request ids, by which their answers are compared.
    ids = {one[2] for one in told(machine, 3)[before:]}
    assert ids == {one[2] for one in told(machine, 1)[-40:]}
    assert len(ids) == 40

    machine.target.apply([route((1, 100), warm=(2, 3, 4), experiment=replace(SHADOW, challenger=4))])
    began = time.monotonic()
    assert {(one.status, one.version) for one in (machine.infer() for _ in range(40))} == {(200, "1")}
    assert time.monotonic() - began < 5, "users waited for a shadow that hangs"

    dying = replace(SHADOW, challenger=2)
    machine.target.apply([route((1, 100), warm=(2, 3, 4), experiment=dying)])
    (replica,) = machine.target.replicas(machine.spec_key(2))
    assert replica.pid is not None
    os.kill(replica.pid, signal.SIGKILL)
    assert {(one.status, one.version) for one in (machine.infer() for _ in range(40))} == {(200, "1")}


def test_a_share_of_the_requests_is_mirrored(machine: Machine) -> None:
    machine.target.apply([route((1, 100), warm=(3,), experiment=replace(SHADOW, percent=25))])
    before = len(told(machine, 3))
    for _ in range(120):
        machine.infer()
    marked = [one for one in told(machine, 1)[-120:] if one[0] == SHADOW.id]
    assert 10 <= len(marked) <= 55
    wait_for(lambda: len(told(machine, 3)) == before + len(marked))


def test_when_the_champion_dies_a_shadow_does_not_answer_for_it() -> None:
    one, shadow = VersionKey("production", "wine", 1), VersionKey("production", "wine", 3)
    ports = {one: (1,), shadow: (3,)}
    there = [ReplicaState(shadow, 0, "ready", 3, 3, None)]
    (plan,) = plan_traffic([route((1, 100), warm=(3,), experiment=SHADOW)], ports, there)
    assert (plan.weights, plan.standby) == (((1, 100),), (1,))
    aggregates = {one["name"]: one["cluster_type"] for one in clusters([plan]) if "cluster_type" in one}
    assert [one["typed_config"]["clusters"] for one in aggregates.values()] == [["production/wine/v1"]]
