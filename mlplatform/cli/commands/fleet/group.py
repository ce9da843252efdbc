"""``platform fleet`` and ``platform fleet campaign``: what their help pages show."""

from mlplatform.cli.app import group

fleet = group(
    "fleet",
    "See which template version every repository has, and bring them to a later one.",
    examples=["platform fleet status", "platform fleet campaign start v0.2.0"],
)

campaign = group(
    "fleet campaign",
    "Bring all repositories of a template to a version of it, by a pull request for each, wave by wave.",
    examples=["platform fleet campaign start v0.2.0 --dry-run", "platform fleet campaign show ID --follow"],
)
