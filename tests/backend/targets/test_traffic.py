"""What users of a model notice of weights that move, versions that die and an Envoy that is killed: as little as can be."""

import json
import os
import signal
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from backend.deployments.targets.base import Sample, TargetUnavailable, VersionKey
from tests.backend.targets.load import Load
from tests.backend.targets.machine import Machine, route, wait_for


def sample_of(machine: Machine, key: VersionKey) -> Sample:
    time.sleep(0.4)  # histograms reach the admin interface four times a second
    return machine.target.sample()[key]


def test_weights_pins_and_unknown_models(machine: Machine) -> None:
    machine.run(1)
    machine.run(2)
    machine.target.apply([route((1, 100), warm=(2,))])
    assert {machine.infer().version for _ in range(20)} == {"1"}
    assert machine.infer(x_model_version="2").version == "2"

    machine.target.apply([route((1, 50), (2, 50))])
    assert {machine.infer().version for _ in range(40)} == {"1", "2"}

    unknown = machine.infer("/production/other")
    assert (unknown.status, unknown.content_type) == (404, "application/problem+json")
    assert unknown.document["type"] == "urn:ml-platform:problem:model-not-found"
    not_up = machine.infer(x_model_version="3")
    assert (not_up.status, not_up.document["type"]) == (404, "urn:ml-platform:problem:version-not-running")


def test_who_names_a_version_does_not_decide_about_its_rollout(machine: Machine) -> None:
    machine.run(1)
    bad = machine.run(2, fails=True)
    machine.target.apply([route((1, 100), warm=(2,))])
    before = sample_of(machine, bad)
    assert [machine.infer(x_model_version="2").status for _ in range(10)] == [500] * 10
    after = sample_of(machine, bad)
    assert (after.requests, after.errors, after.latency[-1]) == (before.requests, before.errors, before.latency[-1])


def test_mirrored_requests_are_answered_by_the_primary_and_counted_for_the_shadow(machine: Machine) -> None:
    one = machine.run(1)
    two = machine.run(2, fails=True)
    machine.target.apply([route((1, 100), mirror=(2, 100))])
    assert {machine.infer().version for _ in range(30)} == {"1"}
    wait_for(lambda: machine.target.sample()[two].requests == 30)
    assert machine.target.sample()[two].errors == 30
    assert (sample_of(machine, one).requests, sample_of(machine, one).errors) == (30, 0)


def test_moving_weights_a_hundred_times_under_load_fails_no_request(machine: Machine) -> None:
    machine.run(1)
    machine.run(2)
    machine.target.apply([route((1, 100))])
    slowest = 0.0
    with Load(machine.settings.ingress.port, rate=300) as load:
        for step in range(100):
            # At both ends one of the versions leaves the route, and its clusters with it.
            weight = (0, 30, 100, 60)[step % 4]
            weights = [(version, share) for version, share in ((1, 100 - weight), (2, weight)) if share]
            began = time.perf_counter()
            machine.target.apply([route(*weights)])
            slowest = max(slowest, time.perf_counter() - began)
            time.sleep(0.02)
    assert load.failed == {}
    assert sum(load.answers.values()) > 300
    assert load.of_version(1) > 50
    assert load.of_version(2) > 50
    assert slowest < 2


def test_requests_in_flight_survive_the_removal_of_their_version_from_the_route(machine: Machine) -> None:
    machine.run(1, delay=0.6)
    machine.run(2)
    machine.target.apply([route((1, 100), request_timeout=timedelta(seconds=3))])
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(machine.infer())) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.25)
    machine.target.apply([route((2, 100), request_timeout=timedelta(seconds=3))])
    assert machine.infer().version == "2"
    for thread in threads:
        thread.join()
    assert {(answer.status, answer.version) for answer in answers} == {(200, "1")}


def test_traffic_of_a_killed_version_goes_to_a_living_one_though_nobody_moves_weights(machine: Machine) -> None:
    one = machine.run(1)
    two = machine.run(2)
    machine.target.apply([route((1, 50), (2, 50))])
    (server,) = machine.target.replicas(two)
    machine.target.close()  # the backend is gone
    with Load(machine.settings.ingress.port, rate=100) as load:
        time.sleep(1)
        assert server.pid is not None
        # Stopped for good: supervisord would have it back within a second.
        machine.platform.supervisor.stop("production--wine--v2--r0")
        os.kill(server.pid, signal.SIGKILL)
        killed = time.time()
        time.sleep(3)
    failed = sum(load.failed.values())
    assert failed <= 2, load.failed  # what was being answered at that moment
    late = {version for moment, _, version in load.moments if moment > killed + 0.5}
    assert late == {"1"}

    target = machine.another_target()
    time.sleep(0.4)
    figures = target.sample()
    # Honest figures: those that the first version answered for the second count for the first.
    assert figures[two].requests == load.of_version(2) + figures[two].errors
    assert figures[two].errors > 0
    assert figures[one].requests == load.of_version(1)
    assert figures[one].errors == 0
    target.close()


def test_errors_timeouts_and_resets_are_counted_for_the_version_that_caused_them(machine: Machine) -> None:
    one = machine.run(1)
    machine.target.apply([route((1, 100), request_timeout=timedelta(milliseconds=300))])
    assert machine.infer().status == 200
    timed_out = machine.infer(x_delay="2")
    assert (timed_out.status, timed_out.document["status"]) == (504, 504)
    assert timed_out.content_type == "application/problem+json"
    assert sample_of(machine, one).errors == 1
    reset = machine.infer(x_die="1")
    assert reset.status == 503
    after = sample_of(machine, one)
    assert (after.requests, after.errors) == (3, 2)


def test_latency_is_a_cumulative_histogram_of_true_upper_bounds(machine: Machine) -> None:
    one = machine.run(1)
    machine.target.apply([route((1, 100))])
    for delay in ("0.030", "0.030", "0.120"):
        assert machine.infer(x_delay=delay).status == 200
    latency = dict(sample_of(machine, one).latency)
    assert latency[28.0] == 0
    assert latency[100.0] == 2
    assert latency[120.0] == 2
    assert latency[1000.0] == 3
    assert latency[float("inf")] == 3


def test_figures_go_on_growing_over_a_restart_of_envoy_and_routes_are_kept(machine: Machine) -> None:
    one = machine.run(1)
    machine.target.apply([route((1, 100))])
    for _ in range(5):
        machine.infer()
    assert sample_of(machine, one).requests == 5
    before = machine.pid("envoy")
    os.kill(before, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: machine.target.acknowledged(), 6)
    took = time.monotonic() - killed
    assert machine.pid("envoy") != before
    assert took < 4
    assert machine.infer().version == "1"
    assert sample_of(machine, one).requests == 6


def test_apply_says_so_when_envoy_is_down_and_envoy_comes_up_with_what_was_applied(machine: Machine) -> None:
    machine.run(1)
    machine.platform.supervisor.stop("envoy")
    wait_for(lambda: machine.platform.states()["envoy"].state == "STOPPED")
    with pytest.raises(TargetUnavailable, match="Envoy does not answer"):
        machine.target.apply([route((1, 100))])
    machine.platform.supervisor.start("envoy")
    wait_for(lambda: machine.target.acknowledged())
    assert machine.infer().version == "1"


def test_a_version_without_a_ready_server_gets_no_weight(machine: Machine) -> None:
    machine.run(1)
    unready = machine.spec(2, unready=True)
    machine.target.start(unready)
    machine.until(unready.key, "starting")
    machine.target.apply([route((1, 5), (2, 95))])
    assert {machine.infer().version for _ in range(20)} == {"1"}


def test_no_version_at_all_is_a_problem_document(machine: Machine) -> None:
    machine.target.apply([route((1, 100))])
    answer = machine.infer()
    assert (answer.status, answer.document["type"]) == (503, "urn:ml-platform:problem:no-version-ready")
    machine.target.apply([])
    assert machine.infer().status == 404


def test_the_admin_interface_is_on_loopback_only(machine: Machine) -> None:
    bootstrap = json.loads(machine.folders.envoy_bootstrap.read_text())
    assert bootstrap["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
