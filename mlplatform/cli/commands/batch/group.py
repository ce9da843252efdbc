"""``platform batch``."""

from mlplatform.cli.app import group

batch = group(
    "batch",
    "Score days of data with a batch model: on the platform, which publishes to the environment's data lake, or here.",
    examples=[
        "platform batch run --env production --day 2013-01-05 --wait",
        "platform batch backfill --env production --from 2013-01-01 --to 2013-01-31 --dry-run",
        "platform batch score --day 2013-01-05 --lake ./lake",
    ],
)
