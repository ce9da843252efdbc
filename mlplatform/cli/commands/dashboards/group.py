"""What the help page of ``platform dashboards`` shows."""

from mlplatform.cli.app import group

dashboards = group(
    "dashboards",
    "Have dashboards of models, teams and the platform as code.",
    examples=[
        "platform dashboards generate --dest grafana",
        "platform dashboards generate --output datadog --dest datadog",
    ],
)
