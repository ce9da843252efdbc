"""What is in a generated repository, judged without running it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from git import Git

from mlplatform.generate.repository import compare
from mlplatform.spec.load import load_spec
from scaffolder import release
from scaffolder.api import new_repository
from tests.mlplatform.generate.test_render import FILLED_IN_BY_OTHERS
from tests.templates.conftest import ALL_ANSWERED, COMBINATIONS

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


def texts(repository: Path) -> Iterator[tuple[str, str]]:
    for name in Git(repository).execute(["git", "-c", "core.quotePath=false", "ls-files"]).splitlines():
        if not name.endswith(".whl"):
            yield name, (repository / name).read_text(encoding="utf-8")


def judge(*command: str | Path, cwd: Path) -> None:
    process = subprocess.run(
        [str(BIN / str(command[0])), *map(str, command[1:])], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_no_template_is_left_over(generated: Path) -> None:
    for name, text in texts(generated):
        rest = text.replace("${{", "") if name.startswith(".github/") else text
        if name.startswith(("observability/", "deploy/monitoring/")):
            rest = FILLED_IN_BY_OTHERS.sub("", rest)
        assert not re.search(r"\{\{|\{%|\{#", rest), name
        assert not re.search(r"\{\{|\{%|\.jinja", name)


def test_no_absolute_path_of_this_machine(generated: Path, home: Path) -> None:
    for name, text in texts(generated):
        for path in (str(home), str(generated), str(Path.home()), "/tmp/", str(ROOT)):
            assert path not in text, name


def test_files_end_with_one_line_break(generated: Path) -> None:
    for name, text in texts(generated):
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")), name
        assert "\r" not in text
        assert not any(line != line.rstrip() for line in text.splitlines()), name


def test_generated_twice_gives_identical_bytes(repositories: dict[str, Path], home: Path, tmp_path: Path) -> None:
    for key, (name, data) in COMBINATIONS.items():
        again = new_repository(
            name, type="realtime", data=data, defaults=True, dest=tmp_path / key, register=False, home=home
        ).path
        trees = [Git(path).rev_parse("HEAD^{tree}") for path in (repositories[key], again)]
        assert trees[0] == trees[1]


def test_no_file_comes_from_two_layers() -> None:
    root = release.TEMPLATES / release.TEMPLATE / "template"
    layers = {path.name for path in root.iterdir() if re.fullmatch(r"\{\{ (realtime|batch|streaming) \}\}", path.name)}
    assert layers
    shared = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in layers
    }
    for layer in layers:
        own = {path.relative_to(root / layer).as_posix() for path in (root / layer).rglob("*") if path.is_file()}
        assert not shared & own


def test_model_yaml_says_what_was_answered(repositories: dict[str, Path]) -> None:
    spec = load_spec(repositories["all-answered"] / "model.yaml")
    assert spec.name == "credit-risk"
    assert spec.description == ALL_ANSWERED["description"]
    assert (spec.owner, spec.system) == (ALL_ANSWERED["owner"], ALL_ANSWERED["system"])
    assert (spec.cost_centre, spec.tier, spec.serving.replicas) == ("CC-42.a", 1, 3)
    assert (spec.serving.resources.cpu, spec.serving.resources.memory) == ("2", "512Mi")


def test_model_yaml_follows_the_published_schema(generated: Path) -> None:
    assert load_spec(generated / "model.yaml").type == "realtime"
    judge("check-jsonschema", "--schemafile", "vendor/model.schema.json", "model.yaml", cwd=generated)


def test_catalog_entities_refer_to_one_another(generated: Path) -> None:
    spec = load_spec(generated / "model.yaml")
    entities = list(yaml.safe_load_all((generated / "catalog-info.yaml").read_text(encoding="utf-8")))
    by_ref = {f"{entity['kind'].lower()}:default/{entity['metadata']['name']}": entity for entity in entities}
    kinds = sorted((entity["kind"], entity["spec"]["type"]) for entity in entities)
    assert kinds == [
        ("API", "openapi"),
        ("Component", "model-server"),
        ("Resource", "ai-model"),
        ("Resource", "dataset"),
        ("Resource", "dataset"),
    ]
    referred = [
        reference
        for entity in entities
        for key in ("dependsOn", "providesApis")
        for reference in entity["spec"].get(key, [])
    ]
    assert set(referred) <= set(by_ref)
    assert {entity["spec"]["owner"] for entity in entities} == {spec.owner}
    assert {entity["spec"].get("system") for entity in entities} == {spec.system}
    assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", e["metadata"]["name"]) for e in entities)
    assert {data.name for data in spec.data} == {
        entity["metadata"]["name"] for entity in entities if entity["spec"]["type"] == "dataset"
    }


def test_api_definition_is_openapi_of_this_model(generated: Path) -> None:
    document = json.loads((generated / "openapi.json").read_text(encoding="utf-8"))
    spec = load_spec(generated / "model.yaml")
    assert document["openapi"].startswith("3.1")
    assert document["info"]["description"] == spec.description
    assert f"/v2/models/{spec.name}/infer" in document["paths"]


def test_derived_files_are_what_platform_generate_would_write(generated: Path) -> None:
    derived = compare(generated, load_spec(generated / "model.yaml"))
    assert [(file.path, file.state.value) for file in derived.stale] == []
    assert len(derived.files) > 5


def test_every_alert_has_its_section_in_the_runbook(generated: Path) -> None:
    runbook = (generated / "docs" / "runbook.md").read_text(encoding="utf-8")
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", runbook, re.MULTILINE)}
    linked = re.findall(r"/runbook/#([\w-]+)", (generated / "observability" / "rules.yaml").read_text(encoding="utf-8"))
    assert set(linked) <= anchors


def test_yaml_is_clean(generated: Path) -> None:
    rules = (
        "{extends: default, rules: {line-length: disable, document-start: disable, "
        "truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}"
    )
    names = [name for name, _text in texts(generated) if name.endswith((".yaml", ".yml"))]
    assert "model.yaml" in names
    judge("yamllint", "--strict", "-d", rules, *names, cwd=generated)


def test_workflow_is_valid_pinned_and_least_privileged(generated: Path) -> None:
    workflow = generated / ".github" / "workflows" / "ci.yml"
    judge("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow, cwd=generated)
    judge("zizmor", "--offline", "--no-progress", "--persona=pedantic", ".github", cwd=generated)


def test_dockerfile_is_clean(generated: Path) -> None:
    judge("hadolint", "Dockerfile", cwd=generated)


def test_docs_build_strictly(generated: Path, tmp_path: Path) -> None:
    pytest.importorskip("techdocs_core", reason="the docs group is not installed")
    judge("mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site"), cwd=generated)


def test_python_is_formatted_whatever_the_name(generated: Path) -> None:
    judge("ruff", "check", ".", cwd=generated)
    judge("ruff", "format", "--check", ".", cwd=generated)


def test_uv_is_the_version_that_the_platform_uses(generated: Path) -> None:
    used = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert used
    for name in ("Makefile", "Dockerfile", ".github/workflows/ci.yml"):
        assert used[1] in (generated / name).read_text(encoding="utf-8")
