"""Manifests by the published schemas of those who read them, and what the platform promises about them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlplatform.generate.render import render
from tests.mlplatform.generate.judges import judge
from tests.mlplatform.generate.specs import CASES, Json, as_spec, minimal
from tests.tools import tool

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
MANIFESTS = [
    case for case in CASES if any(path.endswith("kustomization.yaml") for path in render(as_spec(CASES[case])))
]
RULES = (
    "{extends: default, rules: {line-length: disable, document-start: disable, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}}}"
)


def write(document: Json, folder: Path) -> Path:
    for path, text in render(as_spec(document)).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def objects(document: Json) -> dict[str, Json]:
    """Return the objects of a model's manifests by kind."""
    files = render(as_spec(document))
    loaded = [
        yaml.safe_load(text) for path, text in files.items() if path.startswith("deploy/") and path.endswith(".yaml")
    ]
    return {found["kind"]: found for found in loaded if "kind" in found}


def pod_of(found: dict[str, Json]) -> Json:
    if "CronJob" in found:
        return found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    if "InferenceService" in found:
        return found["InferenceService"]["spec"]["predictor"]
    return found["Deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("case", MANIFESTS)
def test_objects_fit_their_published_schemas(case: str) -> None:
    found = objects(CASES[case])
    assert found
    for manifest in found.values():
        judge(manifest)


@pytest.mark.parametrize(
    ("case", "path"),
    [
        ("kubernetes", "Deployment.spec.template.spec.containers.0.livenessProb"),
        ("kubernetes", "NetworkPolicy.spec.podSelektor"),
        ("batch", "CronJob.spec.concurrencyPolizy"),
        ("kubernetes-requests", "ScaledObject.spec.triggers.0.metadatum"),
        ("kubernetes", "PodMonitor.spec.podMetricsEndpoints.0.prot"),
        ("kubernetes", "PrometheusRule.spec.groups.0.rules.0.exprs"),
        ("kserve", "InferenceService.spec.predictor.containers.0.resources.limit"),
        ("kserve-gpu", "InferenceService.spec.predictor.model.storageUrl"),
        ("seldon", "Model.spec.requirement"),
    ],
)
def test_the_judges_see_a_misspelt_field(case: str, path: str) -> None:
    kind, *steps, last = path.split(".")
    manifest = objects(CASES[case])[kind]
    place: Any = manifest
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = 1
    with pytest.raises((AssertionError, jsonschema.ValidationError), match=last):
        judge(manifest)


@pytest.mark.parametrize("case", CASES)
def test_yaml_is_clean(case: str, tmp_path: Path) -> None:
    write(CASES[case], tmp_path)
    subprocess.run([BIN / "yamllint", "--strict", "-d", RULES, tmp_path], check=True)


@pytest.mark.parametrize("case", MANIFESTS)
def test_kustomize_builds_them_with_what_ci_sets(case: str, tmp_path: Path) -> None:
    kubectl = tool("kubectl", "the kubectl binary")
    document = CASES[case]
    write(document, tmp_path)
    target = as_spec(document).serving.target
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    image = {"name": document["name"], "newName": "registry.example.com/models/x", "digest": f"sha256:{'0' * 64}"}
    text = {"resources": [f"../deploy/{target}"], "components": ["../deploy/monitoring"], "images": [image]}
    (overlay / "kustomization.yaml").write_text(json.dumps(text))
    done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {found["kind"]: found for found in yaml.safe_load_all(done.stdout)}
    for manifest in built.values():
        if manifest["kind"] != "ConfigMap":
            judge(manifest)
    settings = built["ConfigMap"]["metadata"]["name"]
    if "Model" in built or "model" in pod_of(built):
        holder = built["Model"]["spec"] if "Model" in built else pod_of(built)["model"]
        assert holder["storageUri"] == built["ConfigMap"]["data"]["MODEL_URI"]
    else:
        (container,) = pod_of(built)["containers"]
        assert container["image"] == f"registry.example.com/models/x@sha256:{'0' * 64}"
        assert container["envFrom"] == [{"configMapRef": {"name": settings}}]
        assert built["ConfigMap"]["data"]["MODEL_ENVIRONMENT"] == "production"


@pytest.mark.parametrize("case", [case for case in MANIFESTS if not case.startswith(("seldon", "kserve-gpu"))])
def test_pods_have_no_more_rights_than_they_need(case: str) -> None:
    pod = pod_of(objects(CASES[case]))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"] == container["resources"]["requests"]


def test_a_pod_is_stopped_as_model_yaml_says() -> None:
    pod = pod_of(objects(minimal(serving={"drainTimeout": "90.5s", "startupTimeout": "61s"})))
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] == 91 + container["lifecycle"]["preStop"]["sleep"]["seconds"] + 5
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 65
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


@pytest.mark.parametrize(("shared", "resource"), [(True, "nvidia.com/gpu.shared"), (False, "nvidia.com/gpu")])
def test_resources_are_those_of_model_yaml(shared: bool, resource: str) -> None:
    serving = {"resources": {"cpu": "1500m", "memory": "3Gi"}, "gpu": {"shared": shared}}
    (container,) = pod_of(objects(minimal(serving=serving)))["containers"]
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "3Gi", resource: "1"}


def test_replicas_belong_to_whoever_scales() -> None:
    fixed = objects(minimal(serving={"replicas": 3}))
    assert fixed["Deployment"]["spec"]["replicas"] == 3
    assert fixed["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    scaled = objects(CASES["kubernetes-cpu"])
    assert "replicas" not in scaled["Deployment"]["spec"]
    scaler = scaled["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 5)
    assert scaler["scaleTargetRef"]["name"] == scaled["Deployment"]["metadata"]["name"]
    # A server that is not there counts no requests, so nothing would bring it back.
    assert objects(CASES["kubernetes-requests"])["ScaledObject"]["spec"]["minReplicaCount"] == 1
    assert objects(CASES["nats"])["ScaledObject"]["spec"]["minReplicaCount"] == 0


@pytest.mark.parametrize(
    ("case", "trigger", "names"),
    [
        (
            "nats",
            "nats-jetstream",
            {
                "consumer": f"production--{CASES['nats']['name']}",
                "stream": "shop_orders-7458f44c",
                "lagThreshold": "70",
            },
        ),
        (
            "kafka",
            "apache-kafka",
            {"consumerGroup": f"production--{CASES['kafka']['name']}", "topic": "shop.orders", "lagThreshold": "70"},
        ),
        ("redis", "redis-streams", {"consumerGroup": "production--3d-scan", "stream": "shop.orders", "lagCount": "70"}),
    ],
)
def test_consumers_scale_by_lag_on_each_broker(case: str, trigger: str, names: dict[str, str]) -> None:
    (found,) = objects(CASES[case])["ScaledObject"]["spec"]["triggers"]
    assert found["type"] == trigger
    assert names.items() <= found["metadata"].items()


def test_what_a_container_needs_to_know_is_in_its_settings() -> None:
    for case in MANIFESTS:
        spec = as_spec(CASES[case])
        if spec.serving.target == "kubernetes":
            text = render(spec)["deploy/kubernetes/kustomization.yaml"]
            (made,) = yaml.safe_load(text)["configMapGenerator"]
            known = {literal.partition("=")[0] for literal in made["literals"]}
            more = {"streaming": {"BROKER"}, "batch": {"LAKE"}}.get(spec.type, set())
            assert known == {"MODEL_ENVIRONMENT", *more}, case


def test_batch_runs_never_overlap() -> None:
    spec = objects(CASES["batch-scheduled"])["CronJob"]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 3 * * 1-5", "Etc/UTC", False)
    assert (spec["concurrencyPolicy"], spec["jobTemplate"]["spec"]["backoffLimit"]) == ("Forbid", 0)
    assert objects(CASES["batch"])["CronJob"]["spec"]["suspend"] is True


def test_names_stay_within_their_kinds_limits() -> None:
    limits = {"CronJob": 52, "InferenceService": 53}
    for case in MANIFESTS:
        for kind, manifest in objects(CASES[case]).items():
            if "metadata" in manifest:
                name = manifest["metadata"]["name"]
                assert len(name) <= limits.get(kind, 63), (case, kind, name)
                assert name[0].isalpha(), (case, kind, name)


def test_shortened_names_stay_different() -> None:
    names = {"a" * 60 + end for end in ("aaa", "aab")} | {"9" + "a" * 62}
    made = {objects(minimal("batch", name=name))["CronJob"]["metadata"]["name"] for name in names}
    assert len(made) == 3


def test_kserve_leaves_traffic_to_the_platform_and_counts_requests_with_knative() -> None:
    assert (
        "canaryTrafficPercent"
        not in render(as_spec(CASES["kserve"]))["deploy/kserve/inference-service.yaml"].split("apiVersion")[1]
    )
    scaled = objects(CASES["kserve-requests"])["InferenceService"]
    assert scaled["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    predictor = scaled["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["scaleMetric"], predictor["scaleTarget"]) == (0, "concurrency", 70)
    by_cpu = objects(CASES["kserve-cpu"])["InferenceService"]
    assert by_cpu["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert by_cpu["spec"]["predictor"]["scaleMetric"] == "cpu"


def test_kserve_with_a_gpu_is_triton() -> None:
    files = render(as_spec(CASES["kserve-gpu"]))
    model = yaml.safe_load(files["deploy/kserve/inference-service.yaml"])["spec"]["predictor"]["model"]
    assert (model["runtime"], model["protocolVersion"]) == ("kserve-tritonserver", "v2")
    assert model["resources"]["limits"]["nvidia.com/gpu.shared"] == "1"
    config = files["deploy/kserve/triton/config.pbtxt"]
    assert '{ name: "x" data_type: TYPE_FP64 dims: [ 1 ] }' in config
    assert "max_batch_size: 64" in config


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    """checkov has an environment of its own: its pins are years behind ours."""
    from uv import find_uv_bin

    kubectl = tool("kubectl", "the kubectl binary")
    for case in MANIFESTS:
        write(CASES[case], tmp_path / case)
        done = subprocess.run(
            [kubectl, "kustomize", tmp_path / case / "deploy" / as_spec(CASES[case]).serving.target],
            capture_output=True,
            check=True,
        )
        shutil.rmtree(tmp_path / case)
        (tmp_path / f"{case}.yaml").write_bytes(done.stdout)
    for case in ("sagemaker", "sagemaker-cpu", "sagemaker-requests"):
        (tmp_path / f"{case}.template.yaml").write_text(render(as_spec(CASES[case]))["deploy/sagemaker/template.yaml"])
    done = subprocess.run(
        [find_uv_bin(), "tool", "run", "--from", "checkov==3.3.30", "checkov", "--directory", tmp_path, "--framework",
         "kubernetes", "cloudformation", "--compact", "--quiet", "--skip-download", "--output", "json"],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    reports = json.loads(done.stdout)
    reports = reports if isinstance(reports, list) else [reports]
    failed = {
        f"{check['check_id']} {check['resource']} {check['file_path']}: {check['check_name']}"
        for report in reports
        for check in report.get("results", {}).get("failed_checks", [])
    }
    assert not failed, "\n".join(sorted(failed))
    assert sum(report["summary"]["passed"] for report in reports) > 500
