"""What a step was judged by, as JSON: of the same form whether requests were counted or days compared."""

from dataclasses import dataclass, field
from typing import Any

from backend.deployments.analysis import Judgement
from backend.deployments.models import DeploymentStep


@dataclass(frozen=True)
class Figures:
    """Figures of a step that compares days: rows take the place of requests, rejected rows that of errors."""

    canary: dict[str, Any]
    primary: dict[str, Any]
    checks: list[dict[str, Any]]
    more: dict[str, Any] = field(default_factory=dict)
    """What goes on record besides."""


def note(step: DeploymentStep, judgement: Judgement | Figures | None) -> None:
    """Keep a step's figures with it."""
    if judgement is None:
        return
    figures = figures_of(judgement)
    step.canary, step.primary, step.checks = figures["canary"], figures["primary"], figures["checks"]


def figures_of(judgement: Judgement | Figures | None) -> dict[str, Any]:
    """Return figures as they are stored, sent and put on record."""
    if judgement is None:
        return {}
    if isinstance(judgement, Figures):
        return {"canary": judgement.canary, "primary": judgement.primary, "checks": judgement.checks, **judgement.more}
    sides = {
        name: {
            "requests": side.requests,
            "errors": side.errors,
            "successRate": side.success_rate,
            "latencyMs": side.latency_ms,
            "latencyPercentile": side.percentile,
        }
        for name, side in (("canary", judgement.canary), ("primary", judgement.primary))
    }
    checks = [
        {
            "name": check.name,
            "observed": check.observed,
            "limit": check.limit,
            "evidence": check.evidence,
            "threshold": check.threshold,
            "verdict": check.verdict,
        }
        for check in judgement.checks
    ]
    return {**sides, "checks": checks}
