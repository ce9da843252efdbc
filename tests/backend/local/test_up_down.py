"""``platform up`` and ``platform down`` with the real backend, the real Envoy and the real supervisord."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from backend.deployments.targets.base import ReplicaSetSpec, TargetUnavailable, VersionKey
from backend.local.cli_api import LauncherError, leftovers
from backend.local.folders import Folders
from backend.local.platform import BACKEND, LocalPlatform
from backend.local.processes import recorded, start_time
from tests.backend.local.conftest import Install
from tests.backend.targets.machine import BODY, SPEC, route, wait_for

pytestmark = pytest.mark.slow


def version(install: Install) -> ReplicaSetSpec:
    folder = install.home / "artefacts" / ("a" * 64)
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "environment").mkdir(exist_ok=True)
    (folder / "model" / "behaviour.json").write_text("{}")
    return ReplicaSetSpec(VersionKey("production", "wine", 1), "a" * 64, folder, SPEC, 1)


def without_backend(install: Install) -> None:
    """Stop the backend: it would stop servers that no deployment of its own has asked for."""
    platform = LocalPlatform(install.folders)
    platform.supervisor.stop(BACKEND)
    wait_for(lambda: platform.states()[BACKEND].state == "STOPPED")


def serve(install: Install) -> ReplicaSetSpec:
    """Have one version served, as the backend would."""
    without_backend(install)
    spec = version(install)
    target = install.target()
    target.start(spec)
    wait_for(lambda: [one for one in target.replicas(spec.key) if one.state == "ready"])

    def applied() -> bool:
        try:
            target.apply([route((1, 100))])
        except TargetUnavailable:  # Envoy may take a while yet; the rollout engine tries again as well
            return False
        return True

    wait_for(applied)
    target.close()
    return spec


def infer(install: Install) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", install.settings.ingress.port, timeout=5)
    try:
        connection.request("POST", "/production/wine/v2/models/wine/infer", BODY)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_up_starts_everything_once_and_down_stops_all_of_it(install: Install) -> None:
    first = install.up()
    assert set(first.pids) == {"supervisord", "backend", "envoy"}
    assert any("backend is ready" in line for line in install.said)
    assert (install.home.stat().st_mode & 0o777) == 0o700

    second = install.up()
    assert (second.started, second.urls) == ([], first.urls)
    assert {name: second.pids[name] for name in first.pids} == first.pids
    assert install.said == []

    serve(install)
    assert infer(install) == 200
    pids = LocalPlatform(install.folders).states()
    install.down()
    assert all(start_time(pid) is None for pid in [*second.pids.values(), *(one.pid for one in pids.values())] if pid)
    assert leftovers(install.home) == []
    assert not install.folders.socket.exists()
    install.down()  # nothing runs: nothing to do

    # What was served is served again, by the same port, before the backend has to do anything.
    third = install.up(wait=False)
    assert third.started == ["supervisord", "envoy", "backend"]
    without_backend(install)
    wait_for(lambda: infer(install) == 200, 10)
    install.down(forget=True)
    assert not install.home.exists()


@pytest.mark.fault
@pytest.mark.parametrize("name", ["backend", "envoy"])
def test_a_killed_program_is_back_in_about_a_second(install: Install, name: str) -> None:
    before = install.up()
    time.sleep(1.1)  # supervisord takes an exit within the first second for a failed start
    os.kill(before.pids[name], signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: install.up(wait=False).pids.get(name, before.pids[name]) != before.pids[name], 5)
    assert time.monotonic() - killed < 3
    assert install.up().pids[name] != before.pids[name]


@pytest.mark.fault
def test_orphans_of_a_killed_supervisord_are_found_and_stopped(install: Install) -> None:
    result = install.up()
    serve(install)
    everything = {process.name: process.pid for process in recorded(install.folders.pids)}
    assert set(everything) == {"supervisord", "envoy", "production--wine--v1--r0"}
    os.kill(result.pids["supervisord"], signal.SIGKILL)
    wait_for(lambda: start_time(result.pids["supervisord"]) is None)
    assert infer(install) == 200

    install.down()
    assert "stopping 2 processes that are left over" in install.said
    assert all(start_time(pid) is None for pid in everything.values())


@pytest.mark.fault
def test_up_after_a_killed_supervisord_starts_anew(install: Install) -> None:
    before = install.up()
    serve(install)
    os.kill(before.pids["supervisord"], signal.SIGKILL)
    wait_for(lambda: start_time(before.pids["supervisord"]) is None)
    after = install.up(wait=False)
    without_backend(install)
    assert not set(before.pids.values()) & set(after.pids.values())
    wait_for(lambda: infer(install) == 200, 10)


def test_a_port_in_use_names_its_owner_and_the_setting(install: Install) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", install.settings.ingress.port))
        other.listen()
        with pytest.raises(LauncherError) as caught:
            install.up()
    owner = Path("/proc/self/comm").read_text().strip()
    assert caught.value.message == (
        f"port {install.settings.ingress.port} is taken by pid {os.getpid()} ({owner}): "
        "set mlPlatform.ingress.port in app-config.yaml"
    )
    assert leftovers(install.home) == []


def test_a_wrong_configuration_is_told_before_anything_is_made(install: Install) -> None:
    install.configure(ingress={"prot": 1})
    with pytest.raises(LauncherError, match=r"mlPlatform\.ingress\.prot"):
        install.up()
    assert not install.home.exists()


def test_a_backend_that_does_not_stay_up_is_told_with_its_last_words(install: Install) -> None:
    install.configure(database={"url": "sqlite:////dev/null/platform.db"})
    with pytest.raises(LauncherError) as caught:
        install.up()
    assert "backend does not stay up" in caught.value.message
    assert "/dev/null" in caught.value.message
    assert leftovers(install.home) == []


def test_home_may_be_copied_while_stopped(install: Install) -> None:
    install.up()
    serve(install)
    install.down()
    moved = install.home.with_name("another place")
    shutil.move(install.home, moved)
    install.home = moved
    install.up(wait=False)
    without_backend(install)
    wait_for(lambda: infer(install) == 200, 10)
    install.down()


def test_stale_files_of_an_earlier_run_are_no_obstacle(install: Install) -> None:
    folders = Folders(install.home)
    folders.make()
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        # A pid that is in use again by someone else, with another start time.
        folders.supervisor_pid.write_text(str(sleeper.pid))
        (folders.pids / "backend.json").write_text(f'{{"pid": {sleeper.pid}, "started": "long ago"}}')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(folders.socket))
        install.up(wait=False)
        install.down()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("name", ["with space", "größe '&$(x)\"", "deep/" + "x" * 120])
def test_unusual_homes_work(install: Install, name: str) -> None:
    install.home = install.home.with_name("homes") / name
    install.up(wait=False)
    serve(install)
    assert infer(install) == 200
    install.down(forget=True)
    assert not install.home.exists()


@pytest.mark.parametrize("name", ["a ;b", "100%"])
def test_a_home_that_can_not_be_written_down_is_refused(install: Install, name: str) -> None:
    install.home = install.home.with_name(name)
    with pytest.raises(LauncherError, match="HOME can't be used") as caught:
        install.up()
    assert "ML_PLATFORM_HOME" in str(caught.value.fix)
    assert not install.home.exists()


def test_forget_deletes_only_what_is_the_platforms(install: Install) -> None:
    install.home.mkdir()
    (install.home / "thesis.tex").touch()
    with pytest.raises(LauncherError, match="not the platform's"):
        install.down(forget=True)
    assert (install.home / "thesis.tex").exists()
    install.up(wait=False)  # may live beside other files, but never claims them
    install.down()
    with pytest.raises(LauncherError, match="not the platform's"):
        install.down(forget=True)
    assert (install.home / "thesis.tex").exists()
    (install.home / "thesis.tex").unlink()
    install.down(forget=True)  # what is left is all the platform's
    assert not install.home.exists()


def test_a_changed_configuration_is_pointed_out(install: Install) -> None:
    install.up(wait=False)
    (port,) = {install.settings.ingress.port}
    install.configure(ingress={"port": port, "adminPort": install.settings.ingress.admin_port, "host": "127.0.0.2"})
    install.up(wait=False)
    assert any("the configuration has changed" in line for line in install.said)
