"""``platform incidents``: what its help page shows."""

from mlplatform.cli.app import group

incidents = group(
    "incidents",
    "See incidents, take them in hand, and say what they were.",
    examples=["platform incidents list --state open", "platform incidents show ID"],
)
