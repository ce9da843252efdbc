"""``platform evidence``: what its help page shows."""

from mlplatform.cli.app import group

evidence = group(
    "evidence",
    "Export evidence for auditors, and verify it offline.",
    examples=[
        "platform evidence export --from 2026-01-01 --to 2026-04-01 -o q1.zip",
        "platform evidence verify q1.zip --key key.pub",
    ],
)
