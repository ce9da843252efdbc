"""Whatever model.yaml says, each derived file is well formed, free of templates, and the same the second time."""

import json
import re
import tomllib
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from mlplatform.generate.render import possible_paths, render, unmeasured
from tests.mlplatform.generate.specs import AWKWARD, CASES, Json, as_spec, documents, minimal

RUNNING = "deployment.yaml disruption-budget.yaml kustomization.yaml network-policy.yaml service-account.yaml"
FILLED_IN_BY_OTHERS = re.compile(r"\{\{ ?(\$|with|end|\.|version|problem|outcome|code|slo)[^{}]*\}\}")
"""What Prometheus puts into an alert's text, and Grafana into a legend."""


def check_form(path: str, text: str) -> None:
    assert text.endswith("\n"), path
    assert not text.endswith("\n\n"), path
    assert "\r" not in text, path
    if path.endswith((".yaml", ".yml")):
        # CloudFormation's short forms are tags; what they hold is for cfn-lint to judge.
        list(yaml.load_all(re.sub(r"!(Ref|Sub|GetAtt) ", "", text), Loader=yaml.CSafeLoader))
    elif path.endswith(".json"):
        json.loads(text)
    elif path.endswith(".toml"):
        tomllib.loads(text)
    elif path.endswith(".py"):
        compile(text, path, "exec")


def check_no_template(path: str, text: str, given: str) -> None:
    rest = FILLED_IN_BY_OTHERS.sub("", text)
    for mark in ("{{", "{%", "%}", "{#", "#}"):
        if mark not in given:  # what people wrote stays what they wrote
            assert mark not in rest, (path, mark)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_any_model_yaml_is_rendered_well_formed_and_the_same_twice(document: Json) -> None:
    spec = as_spec(document)
    files = render(spec)
    for path, text in files.items():
        check_form(path, text)
        check_no_template(path, text, json.dumps(document, ensure_ascii=False))
    assert render(spec) == files
    assert set(files) <= set(possible_paths())


@pytest.mark.parametrize("case", CASES)
def test_lines_do_not_end_in_blanks(case: str) -> None:
    for path, text in render(as_spec(CASES[case])).items():
        lines = [number for number, line in enumerate(text.splitlines(), 1) if line != line.rstrip()]
        assert not lines, (path, lines)
        assert "\n\n\n" not in text or path.endswith(".py"), path


def test_every_source_is_derived_by_some_model_yaml() -> None:
    derived = {path for document in CASES.values() for path in render(as_spec(document))}
    assert derived == set(possible_paths())


@pytest.mark.parametrize(
    ("kind", "serving", "expected"),
    [
        ("realtime", {}, f"{RUNNING} service.yaml"),
        ("batch", {}, "cronjob.yaml kustomization.yaml network-policy.yaml service-account.yaml"),
        ("streaming", {}, RUNNING),
        ("realtime", {"target": "kserve"}, "inference-service.yaml kustomization.yaml"),
        ("realtime", {"target": "seldon"}, "kustomization.yaml model.yaml"),
        ("realtime", {"target": "bentoml"}, "pyproject.toml service.py"),
        ("realtime", {"target": "sagemaker"}, "template.yaml"),
    ],
)  # fmt: skip
def test_manifests_are_those_of_the_serving_target(kind: str, serving: Json, expected: str) -> None:
    files = render(as_spec(minimal(kind, serving=serving)))
    folder = f"deploy/{serving.get('target', 'kubernetes')}/"
    assert " ".join(path.removeprefix(folder) for path in files if path.startswith(folder)) == expected
    assert ("openapi.json" in files, "asyncapi.json" in files) == (kind == "realtime", kind == "streaming")


def texts_of(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for member in value.values() for text in texts_of(member)]
    if isinstance(value, list):
        return [text for member in value for text in texts_of(member)]
    return [value] if isinstance(value, str) else []


def test_a_description_arrives_whole_and_not_as_yaml() -> None:
    files = render(as_spec(CASES["kubernetes"]))
    service = next(yaml.safe_load_all(files["observability/openslo.yaml"]))
    assert service["spec"]["description"] == re.sub(r"[\x00-\x1f\x7f-\x9f\u2028]+", " ", AWKWARD)
    assert AWKWARD in " ".join(texts_of(json.loads(files["observability/dashboard.json"])))


def test_objectives_without_alerts_are_named() -> None:
    slos = [
        {"name": "fine", "indicator": "availability", "objective": 99},
        {"name": "worse", "indicator": "drift", "objective": 99},
        {"name": "old", "indicator": "freshness", "objective": 99, "threshold": "1h"},
    ]
    drift, freshness = unmeasured(as_spec(minimal(slos=slos)))
    assert drift == "slos `worse`: the platform judges drift itself, so there is no alert for it"
    assert freshness.startswith(
        "slos `old`: freshness is not measured for type realtime, so nothing is derived from it"
    )
