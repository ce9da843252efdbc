"""``platform data``: what its help page shows."""

from mlplatform.cli.app import group

data = group(
    "data",
    "Find personal data in files, object stores and databases, remove it, and say how sensitive data sets are.",
    examples=[
        "platform data scan ./data",
        "platform data scan 's3://lake/orders/*.parquet' --full --resume scan.state",
        "platform data deidentify customers.parquet --config deidentify.yaml -o customers-safe.parquet",
        "platform data classify --submit",
    ],
)
