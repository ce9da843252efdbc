"""``platform drift``: what its help page shows."""

from mlplatform.cli.app import group

drift = group(
    "drift",
    "Hold what is live against its training data, and send the truth as it becomes known.",
    examples=["platform drift run --env production", "platform drift labels labels.csv --env production"],
)
