"""Following a deployment: each transition once, with its numbers, through outages, to the right exit status."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response

from tests.mlplatform.platform_double import TOKEN, PlatformDouble
from tests.mlplatform.repositories import Run, platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

Json = dict[str, Any]
REASON = "success rate 91.30 % < 99 % (21 of 242 requests failed); primary 99.98 %"


def figures(requests: int, rate: float, latency: float, percentile: float = 99.0) -> Json:
    errors = round(requests * (1 - rate))
    shown = {"requests": requests, "errors": errors, "successRate": rate, "latencyMs": latency}
    return {**shown, "latencyPercentile": percentile}


def step(index: int, kind: str, state: str, weight: int | None = None, **members: Any) -> Json:
    empty = {"startedAt": None, "finishedAt": None, "canary": None, "primary": None, "checks": [], "reason": None}
    return {"index": index, "kind": kind, "weight": weight, "state": state, **empty, **members}


def state(phase: str, *steps: Json, outcome: str | None = None, **members: Any) -> Json:
    base = {
        "id": "0197",
        "model": "wine",
        "version": 3,
        "environment": "production",
        "previousVersion": 2,
        "reason": None,
    }
    return {**base, "phase": phase, "outcome": outcome, "steps": list(steps), "requirements": [], **members}


def deploy(double: PlatformDouble, folder: Path, *arguments: str) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    environment |= {"ML_PLATFORM_URL": double.url, "ML_PLATFORM_TOKEN": TOKEN, "ML_PLATFORM_HOME": str(folder)}
    return platform(
        "deploy", "--model", "wine", "--env", "production", *arguments, folder=folder, environment=environment
    )


def said(run: Run) -> list[str]:
    """Return what was told, without the time of day."""
    return [" ".join(line.split()[1:]) for line in run.err.splitlines() if line[:1].isdigit()]


@pytest.fixture
def promoted(double: PlatformDouble) -> PlatformDouble:
    started, warmed = step(0, "start", "passed"), step(1, "warm", "passed")
    numbers: Json = {"canary": figures(312, 1.0, 12.4), "primary": figures(5120, 0.9998, 11.6)}
    canary = step(2, "canary", "passed", 5, **numbers)
    double.deployment_states = [
        state("pending"),
        state("starting", step(0, "start", "running")),
        state("warming", started, step(1, "warm", "running")),
        state("progressing", started, warmed, step(2, "canary", "running", 5)),
        state("progressing", started, warmed, step(2, "canary", "running", 5)),
        state("promoting", started, warmed, canary, step(3, "promote", "running", 100)),
        state("completed", started, warmed, canary, step(3, "promote", "passed", 100), outcome="promoted"),
    ]
    return double


def test_a_promotion_is_followed_step_by_step(promoted: PlatformDouble, tmp_path: Path) -> None:
    run = deploy(promoted, tmp_path, "--wait")
    assert (run.status, run.out) == (0, "promoted: wine version 3 is live in production\n")
    assert said(run) == [
        "start running",
        "start passed",
        "warm up running",
        "warm up passed",
        "canary 5 % running",
        "canary 5 % passed 312 requests, success 100.00 %, p99 12 ms (primary: 5,120 requests, success 99.98 %, p99 12 ms)",
        "promote running",
        "promote passed",
    ]


def test_a_rollback_ends_with_1_and_the_reason(double: PlatformDouble, tmp_path: Path) -> None:
    breached = step(
        0, "canary", "breached", 25, canary=figures(242, 0.913, 40), primary=figures(700, 0.9998, 11), reason=REASON
    )
    double.deployment_states = [
        state("progressing", step(0, "canary", "running", 25)),
        state("rolling_back", breached, reason=REASON),
        state("completed", breached, outcome="rolled_back", reason=REASON),
    ]
    run = deploy(double, tmp_path, "--wait")
    assert run.status == 1
    assert run.out == (
        f"rolled back: wine version 3 was rolled back in production: {REASON}; version 2 has all traffic again\n"
    )
    assert REASON in said(run)
    document = json.loads(deploy(double, tmp_path, "--wait", "--json").out)
    assert (document["outcome"], document["reason"]) == ("rolled_back", REASON)


@pytest.mark.parametrize("outcome", ["held", "aborted", "failed", "rejected", "refused"])
def test_everything_but_promoted_is_a_failure(double: PlatformDouble, tmp_path: Path, outcome: str) -> None:
    double.deployment_states = [state("completed", outcome=outcome, reason="because")]
    run = deploy(double, tmp_path, "--wait")
    assert run.status == 1
    assert "because" in run.out


def waiting() -> Json:
    need = {
        "requirement": "approval",
        "state": "waiting",
        "message": "by group:default/risk, not the author",
        "evidence": None,
    }
    return state("awaiting_approval", requirements=[need])


def test_who_may_approve_and_how_is_told_and_the_wait_goes_on(double: PlatformDouble, tmp_path: Path) -> None:
    double.deployment_states = [waiting(), copy.deepcopy(waiting()), state("completed", outcome="promoted")]
    run = deploy(double, tmp_path, "--wait")
    assert run.status == 0
    assert said(run) == [
        "wine version 3 in production waits for approval",
        "approval: by group:default/risk, not the author",
        'approve it as somebody who may: platform approve 0197 --comment "..."',
        'or turn it down: platform approve 0197 --reject --comment "..."',
    ]


def test_without_wait_the_command_ends_at_once(double: PlatformDouble, tmp_path: Path) -> None:
    double.deployment_states = [waiting()]
    run = deploy(double, tmp_path)
    assert run.status == 0
    assert "platform approve 0197" in run.out
    assert not double.calls("GET", "/deployments/0197")


def test_an_outage_of_the_platform_does_not_end_the_wait(promoted: PlatformDouble, tmp_path: Path) -> None:
    promoted.fail("GET", "/deployments/0197", *[lambda: Response(status_code=503)] * 2)
    assert deploy(promoted, tmp_path, "--wait").status == 0


def test_the_wait_ends_after_its_timeout_and_the_rollout_goes_on(double: PlatformDouble, tmp_path: Path) -> None:
    double.deployment_states = [state("progressing", step(0, "canary", "running", 5))]
    run = deploy(double, tmp_path, "--wait", "--timeout", "1s")
    assert run.status == 1
    assert "deployment 0197 is still progressing; it goes on by itself" in run.err


def test_a_percentile_of_the_model_is_named(double: PlatformDouble) -> None:
    from mlplatform.pipeline.deploy import step_numbers

    one = step(0, "canary", "passed", 5, canary=figures(10, 0.9, 40, 99.5))
    assert step_numbers(one) == "10 requests, success 90.00 %, p99.5 40 ms"
    assert step_numbers(step(0, "canary", "pending", 5, canary=figures(0, 0, 0))) == ""
