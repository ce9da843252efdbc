"""``platform compliance``: what its help page shows."""

from mlplatform.cli.app import group

compliance = group(
    "compliance",
    "See how the controls stand, and have findings waived for a time.",
    examples=["platform compliance status", "platform compliance status --model churn"],
)
