"""A generated repository does what it says: its lock holds, its commands run, its workflow runs, its model passes the gates."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from scaffolder import lock
from tests.ray_alone import needs_ray
from tests.templates.conftest import COMBINATIONS, Generated
from tests.templates.pairs import Combination

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
VARIANTS = list(lock.VARIANTS)
_IN_THE_WORKFLOW = {"realtime": "realtime", "batch": "batch-polars", "streaming": "streaming-nats"}


def run(*command: str | Path, cwd: Path, timeout: float = 600) -> str:
    """Run as somebody who has just cloned the repository: without this test's environment, with uv on PATH."""
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "ML_PLATFORM_URL", "ML_PLATFORM_TOKEN", "ML_PLATFORM_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["PATH"] = os.pathsep.join([str(Path(find_uv_bin()).parent), environment["PATH"]])
    process = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert process.returncode == 0, process.stdout[-8000:] + process.stderr[-4000:]
    return process.stdout


def pick(repositories: list[Generated], fits: Callable[[Combination], bool]) -> Generated:
    return next(one for one in repositories if fits(one.combination))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_runs_the_model_is_installed_without_building_anything(variant: str, repositories: list[Generated]) -> None:
    repository = pick(repositories, lambda one: one.variant == variant).path
    flags = ["--frozen", "--no-dev", "--no-install-project", "--no-build", "--dry-run"]
    run(find_uv_bin(), "sync", *flags, cwd=repository)


@pytest.mark.parametrize("variant", VARIANTS)
def test_lock_is_current_and_unchanged_by_uv(variant: str, repositories: list[Generated]) -> None:
    repository = pick(repositories, lambda one: one.variant == variant).path
    before = (repository / "uv.lock").read_bytes()
    run(find_uv_bin(), "lock", "--check", cwd=repository)
    run(find_uv_bin(), "lock", cwd=repository)
    assert (repository / "uv.lock").read_bytes() == before


def test_what_is_made_from_dependencies_is_not_stale() -> None:
    made = lock.make()
    for path, text in ((lock.LOCK, made.lock), (lock.OPENAPI, made.openapi)):
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `python -m scaffolder.lock`"


@pytest.mark.parametrize("variant", [one for one in reversed(VARIANTS) if one not in _IN_THE_WORKFLOW.values()])
def test_its_first_command_passes(variant: str, repositories: list[Generated]) -> None:
    """The other variants run theirs in the workflow, below."""
    if variant == "batch-ray":
        needs_ray()
    repository = pick(repositories, lambda one: one.variant == variant and one.answers.get("owner") is not None).path
    run("make", "test", f"PYTHON={sys.executable}", cwd=repository)
    assert run("git", "status", "--porcelain", cwd=repository) == ""


@pytest.mark.journey
@pytest.mark.parametrize("type_", list(_IN_THE_WORKFLOW))
def test_its_workflow_runs_and_its_model_passes_every_gate(
    type_: str, repositories: list[Generated], tmp_path: Path
) -> None:
    """act runs the job for pull requests here: the tests and the gates, by the repository's own two commands."""

    def fits(one: Combination) -> bool:
        return one.variant == _IN_THE_WORKFLOW[type_] and one.answers.get("ci") == "github"

    repository = pick(repositories, fits).path
    run(*act(repository, tmp_path), cwd=repository)
    results = [json.loads(path.read_text()) for path in sorted((tmp_path / "build" / "gates").glob("*.json"))]
    outcomes = {result["gate"]: result["outcome"] for result in results}
    assert set(outcomes) == {"schema", "thresholds", "pii", "sbom", "vulnerabilities", "provenance"}
    assert "failed" not in outcomes.values()
    assert (tmp_path / "changes").read_text() == ""
    shutil.copytree(tmp_path / "build", repository / "build")
    if type_ == "batch":
        run("make", "score", cwd=repository)
        assert "unchanged" in run("make", "score", cwd=repository)
    elif type_ == "streaming":
        run("make", "setup", cwd=repository)
        run("uv", "run", "--frozen", "platform", "dev", "--count", "20", "--rate", "100", cwd=repository)


def act(repository: Path, folder: Path) -> list[str | Path]:
    """Return the command that runs the workflow on this machine, with a stand-in for actions that can't be fetched here.

    It keeps in ``folder`` what an artefact is made of: act removes the workspace that it has copied the repository to.
    """
    event, stand_in = folder / "event.json", folder / "action"
    event.write_text(json.dumps({"pull_request": {"head": {"ref": "change"}, "base": {"ref": "main"}}}))
    stand_in.mkdir()
    keep = f'uv --version; if [ -n "$PATHS" ]; then cp -R build "{folder}/"; git status --porcelain > "{folder}/changes"; fi'
    step = {"run": keep, "shell": "bash", "env": {"PATHS": "${{ inputs.path }}"}}
    action = {"name": "stand-in", "inputs": {"path": {"default": ""}}, "runs": {"using": "composite", "steps": [step]}}
    (stand_in / "action.yml").write_text(json.dumps(action))
    workflow = (repository / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    actions = sorted(set(re.findall(r"uses: (\S+@\S+)", workflow)))
    local = [argument for one in actions for argument in ("--local-repository", f"{one}={stand_in}")]
    return [
        BIN / "act", "pull_request", "--job", "check", "--eventpath", event, "--platform", "ubuntu-24.04=-self-hosted", *local,
        "--env", f"PYTHON={sys.executable}", "--no-cache-server", "--action-cache-path", folder / "runs-ü",
    ]  # fmt: skip


def test_there_is_a_repository_for_each_type_and_ci() -> None:
    made = {(one.type, one.answers.get("ci")) for one in COMBINATIONS}
    assert {(type_, ci) for type_ in _IN_THE_WORKFLOW for ci in ("github", "gitlab", "argo")} <= made
