"""Pure statistics: is the new version worse than its limits or than the primary? No input, no output, no clock.

See ``techdocs/docs/adr/0006-rollout-analysis.md`` for which tests these are, and why.
"""

from backend.deployments.analysis.counters import Delta, Histogram, delta_between
from backend.deployments.analysis.judge import CheckResult, Judgement, Limits, RolloutJudge, StepFigures

__all__ = [
    "CheckResult",
    "Delta",
    "Histogram",
    "Judgement",
    "Limits",
    "RolloutJudge",
    "StepFigures",
    "delta_between",
]
