"""What is in a generated repository, read without outside help."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from git import Git
from markdown import Markdown

from mlplatform.generate.render import render
from scaffolder import lock_merge, release
from tests.mlplatform.generate.specs import alerts_of
from tests.templates.conftest import Generated, make

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OTHERS_TEMPLATES = {
    # Whose own braces there may be, by the folder.
    ".github/": r"\$\{\{",
    "argo/": r"\{\{(workflow|tasks|inputs)\.",
    "observability/": r"\{\{ ?[$a-z.]",
    "deploy/monitoring/": r"\{\{ ?[$a-z.]",
}


def texts(generated: Generated) -> Iterator[tuple[str, str]]:
    listed = Git(generated.path).execute(["git", "-c", "core.quotePath=false", "ls-files"])
    for name in str(listed).splitlines():
        if not name.endswith(".whl"):
            yield name, (generated.path / name).read_text(encoding="utf-8")


def entities(generated: Generated) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((generated.path / "catalog-info.yaml").read_text(encoding="utf-8")))


def test_no_template_is_left_over(generated: Generated) -> None:
    for name, text in texts(generated):
        for folder, braces in OTHERS_TEMPLATES.items():
            text = re.sub(braces, "", text) if name.startswith(folder) else text
        assert not re.search(r"\{\{|\{%|\{#", text), name
        assert not re.search(r"\{\{|\{%|\.jinja", name)


def test_no_path_of_this_machine(generated: Generated, home: Path) -> None:
    for name, text in texts(generated):
        for path in (str(home), str(generated.path), f"{Path.home()}/", str(ROOT)):
            assert path not in text, name


def test_files_end_with_one_line_break(generated: Generated) -> None:
    for name, text in texts(generated):
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")), name
        assert "\r" not in text
        assert not any(line != line.rstrip() for line in text.splitlines()), name


def test_only_what_was_chosen_is_there(generated: Generated) -> None:
    answers, names = generated.combination.answers, {name for name, _text in texts(generated)}
    ci = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml", "argo": "argo/workflow-template.yaml"}
    assert {kind for kind, name in ci.items() if name in names} == {answers.get("ci", "github")}
    assert ("infra/storage.tf" in names) == (answers.get("terraform") == "aws")
    assert ("openapi.json" in names, "asyncapi.json" in names) == (
        generated.combination.type == "realtime",
        generated.combination.type == "streaming",
    )
    targets = {Path(name).parts[1] for name in names if name.startswith("deploy/")} - {"monitoring"}
    assert targets == {answers.get("serving_target", "kubernetes")}


def test_model_yaml_is_valid_and_says_what_was_answered(generated: Generated) -> None:
    spec, answers = generated.spec, generated.combination.answers
    assert (spec.name, spec.type) == (generated.combination.name, generated.combination.type)
    for key, value in (
        ("description", spec.description),
        ("owner", spec.owner),
        ("system", spec.system),
        ("cost_centre", spec.cost_centre),
        ("tier", str(spec.tier)),
        ("serving_target", spec.serving.target),
        ("replicas", str(spec.serving.replicas)),
        ("cpu", spec.serving.resources.cpu),
        ("memory", spec.serving.resources.memory),
        ("spot", str(spec.serving.spot).lower()),
        ("autoscaling", spec.serving.autoscaling.by if spec.serving.autoscaling else "none"),
        ("gpu", ("shared" if spec.serving.gpu.shared else "whole") if spec.serving.gpu else "none"),
        ("broker", spec.streaming.broker if spec.streaming else None),
        ("engine", spec.batch.engine if spec.batch else None),
    ):
        assert key not in answers or answers[key] == value, key


def test_derived_files_are_what_the_toolkit_derives(generated: Generated) -> None:
    for name, text in render(generated.spec).items():
        assert (generated.path / name).read_text(encoding="utf-8") == text, name


def test_catalog_entities_refer_to_one_another(generated: Generated) -> None:
    spec, listed = generated.spec, entities(generated)
    component, api = {
        "realtime": ("model-server", ["openapi"]),
        "batch": ("batch-model", []),
        "streaming": ("stream-model", ["asyncapi"]),
    }[generated.combination.type]
    kinds = sorted(entity["spec"]["type"] for entity in listed)
    assert kinds == sorted([component, "ai-model", "dataset", "dataset", *api])
    known = {f"{entity['kind'].lower()}:default/{entity['metadata']['name']}" for entity in listed}
    referred = {one for entity in listed for key in ("dependsOn", "providesApis") for one in entity["spec"].get(key, [])}
    assert referred <= known
    assert {entity["spec"]["owner"] for entity in listed} == {spec.owner}
    assert {entity["spec"].get("system") for entity in listed} == {spec.system}
    assert {data.name for data in spec.data} == {
        entity["metadata"]["name"] for entity in listed if entity["spec"]["type"] == "dataset"
    }


def sections(runbook: Path) -> set[str]:
    """Return the anchors that MkDocs gives to a page's sections: it slugs them by this very extension."""
    markdown = Markdown(extensions=["toc"])
    markdown.convert(runbook.read_text(encoding="utf-8"))
    waiting, found = list(markdown.toc_tokens), set()
    while waiting:
        one = waiting.pop()
        found.add(one["id"])
        waiting += one["children"]
    return found


def test_each_alert_links_to_a_section_that_its_documentation_has(generated: Generated) -> None:
    """Backstage serves a component's TechDocs at /docs/NAMESPACE/KIND/NAME, a page as a folder, a section by its anchor."""
    listed = entities(generated)
    (component,) = [
        f"{one['metadata'].get('namespace', 'default')}/component/{one['metadata']['name']}"
        for one in listed
        if one["kind"] == "Component" and "backstage.io/techdocs-ref" in one["metadata"].get("annotations", {})
    ]
    navigation = yaml.safe_load((generated.path / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {page.removesuffix(".md"): generated.path / "docs" / page for one in navigation for page in one.values()}
    for alert in alerts_of((generated.path / "observability/rules.yaml").read_text(encoding="utf-8")):
        link = alert["annotations"]["runbook_url"]
        place = re.fullmatch(r"\{\{ .* \}\}/docs/(?P<entity>.+)/(?P<page>[^/]+)/#(?P<section>.+)", link)
        assert place, link
        assert place["entity"] == component
        assert place["section"] in sections(pages[place["page"]]), alert["alert"]


def test_uv_is_the_version_that_the_platform_uses(generated: Generated) -> None:
    used = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert used
    names = ["Makefile", "Dockerfile", *generated.files(".github/workflows/*.yml")]
    for name in names:
        assert used[1] in (generated.path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("type_", ["realtime", "batch", "streaming"])
def test_generated_twice_gives_identical_bytes(
    type_: str, repositories: list[Generated], home: Path, tmp_path: Path
) -> None:
    first = next(one for one in reversed(repositories) if one.combination.type == type_)
    again = make(first.combination, tmp_path, home)
    assert Git(first.path).rev_parse("HEAD^{tree}") == Git(again.path).rev_parse("HEAD^{tree}")


def test_no_file_comes_from_two_layers() -> None:
    root = release.TEMPLATES / release.TEMPLATE / "template"
    layers = {path.name for path in root.iterdir() if re.fullmatch(r"\{\{ (realtime|batch|streaming|gitlab) \}\}", path.name)}
    assert len(layers) == 4
    places: dict[str, list[str]] = {}
    for path in root.rglob("*"):
        if path.is_file():
            first, *rest = path.relative_to(root).parts
            layer, place = (first, "/".join(rest)) if first in layers else ("", "/".join((first, *rest)))
            places.setdefault(place.removesuffix(".jinja"), []).append(layer)
    shared = {place for place, of in places.items() if "" in of and len(of) > 1}
    assert not shared


def test_the_answers_are_remembered_and_nothing_else(generated: Generated) -> None:
    kept = yaml.safe_load((generated.path / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert {key: str(kept[key]).lower() for key in generated.combination.answers} == {
        key: value.lower() for key, value in generated.combination.answers.items()
    }
    assert {"package", "variant", "spec", "realtime"}.isdisjoint(kept)


def test_api_documents_are_of_this_model(generated: Generated) -> None:
    for path in generated.files("*api.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        assert document["info"]["description"].startswith(generated.spec.description)
        assert document.get("openapi", document.get("asyncapi")).startswith("3.")


def test_a_lock_is_one_of_the_merged_ones(generated: Generated) -> None:
    merged = (release.TEMPLATES / release.TEMPLATE / "template" / "uv.lock.jinja").read_text(encoding="utf-8")
    facts = yaml.safe_load((generated.path / ".copier-answers.yml").read_text(encoding="utf-8"))
    wheel = next((generated.path / "vendor").glob("*.whl")).name
    text = (generated.path / "uv.lock").read_text(encoding="utf-8")
    digest = re.search(r'filename = "mlplatform-[^"]+", hash = "sha256:([0-9a-f]{64})"', text)
    assert digest
    version = wheel.split("-")[1]
    assert text == lock_merge.render(
        merged,
        variant=generated.combination.variant,
        name=facts["name"],
        toolkit_wheel=wheel,
        toolkit_sha256=digest[1],
        toolkit_version=version,
    )
