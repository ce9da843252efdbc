"""Model servers as processes: started, crashed, killed, drained, scaled, and found again by whoever comes next."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from backend.core.errors import Conflict
from backend.deployments.targets.base import TargetUnavailable, VersionKey
from backend.deployments.targets.local.logs import log_path
from tests.backend.targets.load import Load
from tests.backend.targets.machine import Machine, route, wait_for


def test_a_model_that_crashes_on_load_fails_at_once_with_its_last_words_redacted(machine: Machine) -> None:
    spec = machine.spec(1, crash=True)
    began = time.monotonic()
    machine.target.start(spec)
    (replica,) = machine.until(spec.key, "failed")
    assert time.monotonic() - began < 3
    assert replica.message == (
        "the model server ended before it was ready; its last words: "
        + "can not load the model for [REDACTED:EMAIL]: file is broken"
    )
    assert {one.state for one in machine.target.replicas(spec.key)} == {"failed"}
    # It is tried again, but not for ever.
    wait_for(lambda: machine.platform.states()["production--wine--v1--r0"].state == "FATAL", 20)
    machine.target.stop(spec.key)
    machine.until_gone(spec.key)


def test_start_again_of_what_has_failed_for_good_tries_anew_after_a_while(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = machine.spec(1, crash=True)
    machine.target.start(spec)
    wait_for(lambda: machine.platform.states().get("production--wine--v1--r0"))
    wait_for(lambda: machine.platform.states()["production--wine--v1--r0"].state == "FATAL", 20)
    (spec.artefact_dir / "model" / "behaviour.json").write_text("{}")
    machine.target.start(spec)
    assert machine.platform.states()["production--wine--v1--r0"].state == "FATAL"  # too early
    monkeypatch.setattr("backend.deployments.targets.local.keeper._TRY_AGAIN_AFTER", 0.0)
    machine.target.start(spec)
    machine.until(spec.key, "ready")


def test_a_killed_server_comes_back_on_its_port_by_itself(machine: Machine) -> None:
    key = machine.run(1)
    (before,) = machine.target.replicas(key)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: machine.target.replicas(key)[0].state != "ready", 2)
    (after,) = machine.until(key, "ready")
    assert time.monotonic() - killed < 5
    assert after.port == before.port
    assert after.pid != before.pid


def test_the_next_backend_finds_what_the_last_one_started(machine: Machine) -> None:
    key = machine.run(1, replicas=2)
    before = machine.target.replicas(key)
    machine.target.close()
    target = machine.another_target()
    try:
        assert target.replicas() == before
        target.start(machine.spec(2))
        target.stop(key)
        wait_for(lambda: not target.replicas(key))
    finally:
        target.close()


def test_start_and_stop_may_be_repeated_and_crossed(machine: Machine) -> None:
    spec = machine.spec(1, drain=0.5)
    machine.target.start(spec)
    machine.target.start(spec)
    (first,) = machine.until(spec.key, "ready")
    machine.target.start(spec)
    assert machine.target.replicas(spec.key)[0].pid == first.pid

    machine.target.stop(spec.key)
    machine.target.stop(spec.key)
    assert machine.target.replicas(spec.key)[0].state == "stopped"
    machine.target.start(spec)  # while it is still draining
    (second,) = machine.until(spec.key, "ready")
    assert second.pid != first.pid
    machine.target.stop(spec.key)
    machine.until_gone(spec.key)
    machine.target.stop(spec.key)
    machine.target.stop(VersionKey("production", "never", 1))


def test_stopping_lets_running_requests_finish(machine: Machine) -> None:
    key = machine.run(1, delay=0.3, drain=1.0)
    machine.run(2)
    machine.target.apply([route((1, 50), (2, 50))])
    with Load(machine.settings.ingress.port, rate=40) as load:
        time.sleep(0.7)
        machine.target.apply([route((2, 100))])
        machine.target.stop(key)
        machine.until_gone(key)
    assert load.failed == {}
    assert load.of_version(1) > 5


def test_replicas_are_added_and_taken_away(machine: Machine) -> None:
    spec = machine.spec(1, replicas=1)
    machine.target.start(spec)
    (first,) = machine.until(spec.key, "ready")
    more = type(spec)(**{**vars(spec), "replicas": 3})
    machine.target.start(more)
    three = machine.until(spec.key, "ready", 3)
    assert first in three
    assert len({replica.port for replica in three}) == 3
    machine.target.start(spec)
    wait_for(lambda: [name for name in machine.platform.states() if "--r" in name] == ["production--wine--v1--r0"])
    assert machine.target.replicas(spec.key) == [first]


def test_a_version_never_changes_its_content(machine: Machine) -> None:
    spec = machine.spec(1)
    machine.target.start(spec)
    with pytest.raises(Conflict, match="a version never changes"):
        machine.target.start(type(spec)(**{**vars(spec), "digest": "0" * 64}))


@pytest.mark.parametrize("name", ["../etc", "wine; rm", "Wine", "a--b", "wine\n", "", "a" * 64])
def test_names_that_could_reach_elsewhere_are_refused(machine: Machine, name: str) -> None:
    spec = machine.spec(1)
    with pytest.raises(ValueError, match="is not a name"):
        machine.target.start(type(spec)(**{**vars(spec), "key": VersionKey("production", name, 1)}))


def test_model_code_sees_nothing_of_the_environment_and_can_gain_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = machine.run(1, environment=True)
    (line,) = [text for text in machine.target.logs([key], 50, False) if "environment" in text]
    seen = json.loads(line.partition("environment ")[2])
    assert set(seen) <= {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "ML_PLATFORM_SAMPLES",
    }
    assert Path(seen["HOME"]).is_relative_to(machine.folders.scratch)
    (replica,) = machine.target.replicas(key)
    status = Path(f"/proc/{replica.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert int(Path(f"/proc/{replica.pid}/oom_score_adj").read_text()) == 500
    assert (machine.folders.socket.stat().st_mode & 0o777) == 0o600


def test_servers_go_on_without_their_keeper(machine: Machine) -> None:
    key = machine.run(1)
    machine.target.apply([route((1, 100))])
    keeper = machine.platform.keeper_pid()
    assert keeper is not None
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: machine.platform.keeper_pid() is None)
    time.sleep(1)
    assert machine.infer().version == "1"
    assert [replica.state for replica in machine.target.replicas(key)] == ["ready"]
    with pytest.raises(TargetUnavailable) as caught:
        machine.target.start(machine.spec(2))
    assert "platform up" in str(caught.value.fix)


def test_asking_for_replicas_is_cheap(machine: Machine) -> None:
    machine.run(1, replicas=3)
    machine.target.replicas()
    began = time.process_time()
    for _ in range(200):
        machine.target.replicas()
    assert (time.process_time() - began) / 200 < 0.005


def test_ports_in_use_are_passed_over(machine: Machine) -> None:
    first, _ = machine.settings.serving.port_range
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first))
        other.listen()
        key = machine.run(1)
        (replica,) = machine.target.replicas(key)
        assert replica.port is not None
        assert replica.port > first


def test_a_used_up_port_range_is_an_error_that_names_the_setting(machine: Machine) -> None:
    files = machine.target._keeper.files
    with pytest.raises(TargetUnavailable) as caught:
        files.free_ports(2, (19_321, 19_321))
    assert "portRange" in str(caught.value.fix)


def test_logs_are_kept_after_the_stop_and_followed_across_rotation(machine: Machine) -> None:
    key = machine.run(1, verbose=True)
    machine.target.apply([route((1, 100))])
    lines = machine.target.logs([key], 10, True)
    assert next(lines) == "1/0 listening"
    path = log_path(machine.folders, key, 0)
    seen = 0
    with Load(machine.settings.ingress.port, rate=400):
        wait_for(lambda: path.with_name(path.name + ".1").exists(), 30)
    machine.target.stop(key)
    for line in lines:
        seen += line == "1/0 served 1"
    assert seen > 20_000 / len("served 1\n") * 0.9
    # Each request that was answered left its line, on both sides of the rotation.
    written = sum(one.read_text().count("served 1\n") for one in path.parent.glob(f"{path.name}*"))
    assert seen == written
    assert len(list(machine.target.logs([key], 10_000, False))) == written + 1
