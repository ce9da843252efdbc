"""Alerts by promtool, which is Prometheus itself, and by what our servers really export."""

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlplatform.generate.environment import environment
from mlplatform.generate.render import document, render
from mlplatform.serving import metrics
from tests.mlplatform.generate.specs import CASES, SLOS, Json, alerts_of, as_spec, minimal
from tests.tools import tool

RULES, TESTS = "observability/rules.yaml", "observability/rules.test.yaml"


def written(spec: Json, folder: Path) -> Path:
    files = render(as_spec(spec))
    for path in (RULES, TESTS):
        (folder / Path(path).name).write_text(files[path], encoding="utf-8")
    return folder


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = tool("promtool", "Debian package prometheus")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def alerts(spec: Json) -> list[Json]:
    return alerts_of(render(as_spec(spec))[RULES])


def expressions(spec: Json) -> str:
    groups = yaml.safe_load(render(as_spec(spec))[RULES])["groups"]
    return "\n".join(rule["expr"] for group in groups for rule in group["rules"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "kubernetes",
        "kserve-gpu",
        "seldon",
        "bentoml",
        "batch",
        "kafka",
        "judged-by-the-platform",
        "easy-objectives",
    ],
)
def test_promtool_accepts_the_rules_and_their_tests_pass(case: str, tmp_path: Path) -> None:
    folder = written(CASES[case], tmp_path)
    for arguments in (("check", "rules", "rules.yaml"), ("test", "rules", "rules.test.yaml")):
        done = promtool(folder, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "duplicate" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["realtime", "batch", "streaming"])
def test_the_tests_fail_when_an_alert_is_silenced_or_always_fires(kind: str, tmp_path: Path) -> None:
    folder = written(minimal(kind, slos=SLOS[kind], tier=1), tmp_path)
    text = (folder / "rules.yaml").read_text()
    for broken in (
        re.sub(r"\) or \(slo:error", ") and (slo:error", text.replace(">= 0", ">= 7")),
        text.replace(">= 0", ">= -1"),
    ):
        assert broken != text
        (folder / "rules.yaml").write_text(broken)
        assert promtool(folder, "test", "rules", "rules.test.yaml").returncode == 1


@pytest.mark.slow
def test_a_server_that_is_gone_is_seen_by_envoy(tmp_path: Path) -> None:
    """The model server counted no error, since it is not there; Envoy answered for it."""
    folder = written(minimal(slos=SLOS["realtime"], tier=1), tmp_path)
    cluster = (
        'envoy_cluster_upstream_rq_xx{envoy_cluster_name="production/churn/v3/failover", envoy_response_code_class='
    )
    series = [
        (cluster + '"5"}', "0+60x90"),
        (cluster + '"2"}', "0x90"),
        ('model_server_requests_total{model="churn", environment="production", version="3", code="200"}', "0+60x90"),
        (cluster.replace("churn", "another") + '"2"}', "0+60x90"),
    ]
    lines = ["rule_files: [rules.yaml]", "evaluation_interval: 1m", "tests:", "  - interval: 1m", "    input_series:"]
    lines += [f"      - {{series: '{name}', values: '{values}'}}" for name, values in series]
    lines += [
        "    promql_expr_test:",
        "      - eval_time: 70m",
        '        expr: slo:error_ratio:rate1h{slo="availability"}',
    ]
    lines += [
        "        exp_samples:",
        '          - labels: \'slo:error_ratio:rate1h{environment="production", model="churn", slo="availability"}\'',
    ]
    lines += ["            value: 1"]
    (folder / "envoy.test.yaml").write_text("\n".join(lines) + "\n")
    done = promtool(folder, "test", "rules", "envoy.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_burn_rates_and_windows_are_those_of_the_workbook() -> None:
    page, ticket = (alert for alert in alerts(minimal(slos=SLOS["realtime"][:1], tier=1)) if "slo" in alert["labels"])
    found = re.findall(r"rate(\w+)\{[^}]*\} >= ([\d.]+)", page["expr"])
    assert [(window, float(limit)) for window, limit in found] == [
        ("1h", 0.0144),
        ("5m", 0.0144),
        ("6h", 0.006),
        ("30m", 0.006),
    ]
    found = re.findall(r"rate(\w+)\{[^}]*\} >= ([\d.]+)", ticket["expr"])
    assert [(window, float(limit)) for window, limit in found] == [
        ("1d", 0.003),
        ("2h", 0.003),
        ("3d", 0.001),
        ("6h", 0.001),
    ]


@pytest.mark.parametrize(("tier", "severities"), [(1, {"page", "ticket"}), (2, {"page", "ticket"}), (3, {"ticket"})])
def test_nobody_is_woken_for_tier_three(tier: int, severities: set[str]) -> None:
    for kind in ("realtime", "streaming"):
        assert {
            alert["labels"]["severity"] for alert in alerts(minimal(kind, slos=SLOS[kind], tier=tier))
        } == severities


def test_an_alert_says_whose_it_is_and_what_to_do() -> None:
    for case, spec in CASES.items():
        for alert in alerts(spec):
            labels, notes = alert["labels"], alert["annotations"]
            assert labels["owner"] == spec["owner"], case
            assert labels["tier"] == str(spec["tier"]) if "tier" in spec else "3"
            anchor = alert["alert"].lower()
            assert notes["runbook_url"].endswith(f"/docs/default/component/{spec['name']}/runbook/#{anchor}")
            assert spec["name"] in notes["summary"]
            assert "{{ $labels.environment }}" in notes["summary"]
            assert notes["description"].endswith(".")


def test_an_objective_that_can_not_burn_that_fast_fires_when_all_fails() -> None:
    limits = [float(limit) for limit in re.findall(r">= ([\d.]+)", expressions(CASES["easy-objectives"]))]
    assert max(limits) == 1
    assert min(limits) == 0.000001


@pytest.mark.parametrize(
    ("threshold", "bound"), [("0.5s", "0.5"), ("0.6s", "0.5"), ("1s", "1.0"), ("0s", "0.001"), ("3m", "10.0")]
)
def test_an_answer_counts_as_good_only_if_it_is(threshold: str, bound: str) -> None:
    slo = {"name": "latency", "indicator": "latency", "objective": 99, "threshold": threshold}
    assert re.findall(r'le="([^"]+)"', expressions(minimal(slos=[slo]))) == [bound]


def exported() -> tuple[set[str], dict[str, set[str]]]:
    """Return the series names of our model server, and the labels of each."""
    server = metrics.Metrics("churn", "3", "production")
    server.watch(lambda: 0, lambda: 0, lambda: 1)
    server.answered("v2", 0.1)
    from http import HTTPStatus

    server.refused("v1", HTTPStatus.INTERNAL_SERVER_ERROR, "model-output-invalid", 0.1)
    server.called(3, 0.1)
    labels: dict[str, set[str]] = {}
    for line in server.text().decode().splitlines():
        if match := re.match(r"(\w+)\{(.*)\} ", line):
            labels.setdefault(match[1], set()).update(re.findall(r"(\w+)=", match[2]))
    return set(labels), labels


def selectors(text: str) -> list[tuple[str, set[str]]]:
    return [
        (match[1], set(re.findall(r"(\w+)\s*=", match[2])))
        for match in re.finditer(r"\b(model_server_\w+)\{([^}]*)\}", text)
    ]


def test_rules_and_dashboard_ask_for_what_the_model_server_exports() -> None:
    names, labels = exported()
    files = render(as_spec(minimal(slos=SLOS["realtime"])))
    asked = selectors(files[RULES]) + selectors(files["observability/dashboard.json"].replace('\\"', '"'))
    assert len(asked) > 10
    for name, by in asked:
        assert name in names, name
        assert by <= labels[name], (name, by)


def test_bounds_are_those_of_the_server_s_histogram() -> None:
    buckets: Any = environment().get_template("generate/_slo.jinja").make_module().BUCKETS  # type: ignore[attr-defined]
    assert [bound for bound, _label in buckets] == list(metrics._SECONDS)
    server = metrics.Metrics("churn", "3", "production")
    server.answered("v2", 0.1)
    served = re.findall(r'duration_seconds_bucket\{.*le="([^"]+)".*\} ', server.text().decode())
    assert [label for _bound, label in buckets] == [label for label in served if label != "+Inf"][: len(buckets)]


def test_thresholds_are_the_specs_in_seconds() -> None:
    slo = {"name": "fresh", "indicator": "freshness", "objective": 99, "threshold": "1d1h1m1.5s"}
    spec = minimal("batch", slos=[slo])
    (limit,) = re.findall(r"> bool ([\d.]+)", expressions(spec))
    assert math.isclose(float(limit), as_spec(spec).slos[0].threshold.total_seconds())  # type: ignore[union-attr]
    assert document(as_spec(spec))["slos"][0]["threshold"] == "1d1h1m1.5s"
