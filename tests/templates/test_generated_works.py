"""A generated repository does what it says: its lock holds, its own commands run, its model passes the gates."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from scaffolder import lock

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, timeout: float = 280) -> str:
    """Run as somebody who has just cloned the repository: without this test's environment, with uv on PATH."""
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    environment["PATH"] = os.pathsep.join([str(Path(find_uv_bin()).parent), environment["PATH"]])
    process = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_lock_is_current_and_unchanged_by_uv(generated: Path) -> None:
    before = (generated / "uv.lock").read_bytes()
    run(find_uv_bin(), "lock", "--check", cwd=generated)
    run(find_uv_bin(), "lock", cwd=generated)
    assert (generated / "uv.lock").read_bytes() == before


def test_what_is_made_from_dependencies_is_not_stale() -> None:
    made = lock.make()
    for path, text in ((lock.LOCK, made.lock), (lock.OPENAPI, made.openapi)):
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `python -m scaffolder.lock`"


@pytest.mark.parametrize("key", ["defaults", "all-answered", "digit-first"])
def test_its_first_command_passes(key: str, repositories: dict[str, Path]) -> None:
    repository = repositories[key]
    run("make", "test", f"PYTHON={sys.executable}", cwd=repository)
    assert run("git", "status", "--porcelain", cwd=repository) == ""


def test_its_derived_files_are_those_it_would_write(repositories: dict[str, Path]) -> None:
    repository = repositories["defaults"]
    run("make", "generate", cwd=repository)
    assert run("git", "status", "--porcelain", cwd=repository) == ""


@pytest.mark.journey
def test_it_trains_and_passes_every_gate_without_a_platform(repositories: dict[str, Path]) -> None:
    repository = repositories["defaults"]
    run("uv", "run", "--frozen", "platform", "run", "--until", "scan", cwd=repository)
    results = [json.loads(path.read_text()) for path in sorted((repository / "build" / "gates").glob("*.json"))]
    outcomes = {result["gate"]: result["outcome"] for result in results}
    assert set(outcomes) == {"schema", "thresholds", "pii", "sbom", "vulnerabilities", "provenance"}
    assert "failed" not in outcomes.values()
    assert run("git", "status", "--porcelain", cwd=repository) == ""
