"""``platform data``: what its help page shows."""

from mlplatform.cli.app import group

data = group(
    "data",
    "Find out what is in data sets, and say how sensitive it is.",
    examples=["platform data classify --submit", "platform data list --classification pii"],
)
