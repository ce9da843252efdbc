"""The CloudFormation template by cfn-lint, and what it takes over from model.yaml."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlplatform.generate.render import render
from tests.mlplatform.generate.specs import CASES, LONGEST, Json, as_spec, minimal

TEMPLATE = "deploy/sagemaker/template.yaml"


class Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation as what they stand for."""


Loader.add_multi_constructor("!", lambda loader, tag, node: {tag: loader.construct_scalar(node)})  # type: ignore[no-untyped-call, type-var]


def resources(spec: Json) -> dict[str, Any]:
    return yaml.load(render(as_spec(spec))[TEMPLATE], Loader=Loader)["Resources"]  # noqa: S506 (a safe loader)


def endpoint(**members: Any) -> Json:
    serving = {"target": "sagemaker", **members.pop("serving", {})}
    return minimal(serving=serving, **members)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("sagemaker")])
def test_cfn_lint_finds_nothing(case: str, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(render(as_spec(CASES[case]))[TEMPLATE], encoding="utf-8")
    command = [
        Path(sys.executable).parent / "cfn-lint",
        "--template",
        file,
        "--regions",
        "eu-central-1",
        "us-east-1",
        "--include-checks",
        "I",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "machine"),
    [
        ({"cpu": "500m", "memory": "1Gi"}, "ml.c5.large"),
        ({"cpu": "2", "memory": "4Gi"}, "ml.m5.large"),
        ({"cpu": "3", "memory": "12Gi"}, "ml.m5.xlarge"),
        ({"cpu": "900", "memory": "4Ti"}, "ml.r5.24xlarge"),
    ],
)
def test_the_machine_is_the_smallest_that_holds_a_replica(given: Json, machine: str) -> None:
    (variant,) = resources(endpoint(serving={"resources": given}))["EndpointConfig"]["Properties"]["ProductionVariants"]
    assert variant["InstanceType"] == machine


def test_a_new_version_gets_a_canary_and_is_rolled_back_by_alarms() -> None:
    rollout = {"steps": [7, 100], "interval": "2m", "analysis": {"successRate": {"minimum": 0.98}}}
    found = resources(
        endpoint(rollout=rollout, slos=[{"name": "l", "indicator": "latency", "objective": 99, "threshold": "0.25s"}])
    )
    deployment = found["Endpoint"]["Properties"]["DeploymentConfig"]
    routing = deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 7},
        "WaitIntervalInSeconds": 120,
    }
    named = {alarm["AlarmName"]["Ref"] for alarm in deployment["AutoRollbackConfiguration"]["Alarms"]}
    assert named == {"ErrorsAlarm", "LatencyAlarm"}
    assert found["ErrorsAlarm"]["Properties"]["Threshold"] == 2
    assert found["LatencyAlarm"]["Properties"]["Threshold"] == 250_000


def test_without_steps_all_traffic_moves_at_once() -> None:
    policy = resources(endpoint(rollout={"steps": [100]}))["Endpoint"]["Properties"]["DeploymentConfig"][
        "BlueGreenUpdatePolicy"
    ]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"


def test_names_fit() -> None:
    properties = resources(endpoint(name=LONGEST))["Endpoint"]["Properties"]
    assert len(properties["EndpointName"]) <= 63
