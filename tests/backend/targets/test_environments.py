"""Python environments per lock file, made by the real uv."""

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from backend.deployments.targets.local.environments import (
    EnvironmentFailed,
    ensure,
    is_ready,
    lock_digest,
    uv_environment,
)
from backend.deployments.targets.local.keeper import ServerSettings
from backend.deployments.targets.local.target import LAUNCHER, LocalTarget
from tests.backend.targets.machine import Machine, wait_for

PROJECT = """
[project]
name = "wine"
version = "1"
requires-python = ">=3.11"
dependencies = []

[project.optional-dependencies]
never = []
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle" / "environment"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    subprocess.run([find_uv_bin(), "lock", "--quiet", "--offline", "--project", folder], check=True)
    return folder


@pytest.fixture
def broken(bundle: Path) -> Path:
    """A lock that names a wheel which is not in the bundle."""
    lock = bundle / "uv.lock"
    lock.write_text(
        lock.read_text().replace(
            'source = { virtual = "." }', 'source = { virtual = "." }\ndependencies = [{ name = "gone" }]'
        )
        + '\n[[package]]\nname = "gone"\nversion = "1.0"\nsource = { path = "vendor/gone-1.0-py3-none-any.whl" }\n'
        'wheels = [{ filename = "gone-1.0-py3-none-any.whl", hash = "sha256:' + "0" * 64 + '" }]\n'
    )
    return bundle


def test_an_environment_is_made_once_and_then_only_used(bundle: Path, tmp_path: Path) -> None:
    environments = tmp_path / "environments"
    python = ensure(bundle, environments)
    assert python == environments / lock_digest(bundle) / "bin" / "python"
    assert subprocess.run([python, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout == "42\n"
    made = {path: path.stat().st_ctime_ns for path in environments.rglob("*") if path.suffix != ".lock"}
    assert ensure(bundle, environments) == python
    assert {path: path.stat().st_ctime_ns for path in environments.rglob("*") if path.suffix != ".lock"} == made
    assert {path.name for path in bundle.iterdir()} == {"pyproject.toml", "uv.lock"}


ENSURE = """
import sys
from pathlib import Path
from backend.deployments.targets.local.environments import ensure
print((ensure(Path(sys.argv[1]), Path(sys.argv[2])).parent.parent / ".ready").stat().st_mtime_ns)
"""


def test_several_at_once_make_it_once(bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENSURE, bundle, tmp_path / "environments"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({lines[-1] for lines in said}) == 1
    assert sorted(len(lines) > 1 for lines in said) == [False, False, True], "one has heard from uv"


def test_a_half_made_environment_is_made_anew(bundle: Path, tmp_path: Path) -> None:
    environments = tmp_path / "environments"
    folder = environments / lock_digest(bundle)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("#!/bin/false")
    (folder / "rubbish").touch()
    assert not is_ready(folder)
    ensure(bundle, environments)
    assert is_ready(folder)
    assert not (folder / "rubbish").exists()


def test_a_failure_says_why_and_leaves_nothing(broken: Path, tmp_path: Path) -> None:
    environments = tmp_path / "environments"
    with pytest.raises(EnvironmentFailed, match=r"gone-1\.0-py3-none-any\.whl"):
        ensure(broken, environments)
    assert not (environments / lock_digest(broken)).exists()


def test_a_bundle_without_a_lock_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"uv\.lock can't be read: No such file"):
        ensure(tmp_path, tmp_path / "environments")


def test_uv_gets_what_it_needs_for_the_index_and_no_secret_beside(tmp_path: Path) -> None:
    given = {
        "UV_INDEX_URL": "a", "https_proxy": "b", "HOME": "c", "AWS_SECRET_ACCESS_KEY": "d", "ML_PLATFORM_TOKEN": "e",
        "VIRTUAL_ENV": "f", "PYTHONPATH": "g",
    }  # fmt: skip
    passed = uv_environment(given, tmp_path)
    assert {name for name in given if name in passed} == {"UV_INDEX_URL", "https_proxy", "HOME"}


def test_servers_whose_environment_can_not_be_made_fail_with_the_reason(machine: Machine, broken: Path) -> None:
    folders, admin = machine.folders, machine.settings.ingress.admin_port
    machine.target.close()
    real = LocalTarget(
        folders, ServerSettings(launcher=LAUNCHER, port_range=machine.settings.serving.port_range), admin_port=admin
    )
    spec = machine.spec(1)
    for name in ("pyproject.toml", "uv.lock"):
        (spec.artefact_dir / "environment" / name).write_text((broken / name).read_text())
    try:
        real.start(spec)
        wait_for(lambda: [one for one in real.replicas(spec.key) if one.state == "failed"], 20)
        (replica,) = real.replicas(spec.key)
        assert replica.message is not None
        assert "the Python environment could not be made" in replica.message
        assert "gone-1.0-py3-none-any.whl" in replica.message
        real.stop(spec.key)
        wait_for(lambda: not real.replicas(spec.key), 20)
    finally:
        real.close()
