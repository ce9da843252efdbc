"""``platform dashboards generate``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session


@options.command(
    "Write dashboards as code into a folder: of every model, every group that owns one, and the platform. "
    "For Grafana with what its provisioning reads, for Datadog with monitors and the agent's configuration. "
    "Run again, it writes what has changed, and removes what it wrote for models that are gone.",
    examples=[
        "platform dashboards generate --dest grafana --prometheus http://prometheus:9090",
        "platform dashboards generate --dest grafana --kind model --name wine",
        "platform dashboards generate --output datadog --dest datadog --json",
    ],
)
@click.option("--dest", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write into.")
@click.option(
    "--output",
    "target",
    type=click.Choice(["grafana", "datadog"]),
    default="grafana",
    show_default=True,
    help="Whose format.",
)
@click.option("--kind", type=click.Choice(["model", "team", "platform"]), help="Only dashboards of this kind.")
@click.option("--name", metavar="NAME", help="Only the dashboard of this model, or of this group (group:default/risk).")
@click.option(
    "--prometheus",
    metavar="URL",
    default="http://127.0.0.1:9090",
    show_default=True,
    help="Prometheus that Grafana asks.",
)
@click.option("--shown-at", metavar="PATH", help="Where Grafana finds the folder, if elsewhere than it is written.")
def generate(
    dest: Path, target: str, kind: str | None, name: str | None, prometheus: str, shown_at: str | None, as_json: bool
) -> int:
    """Write the files and say which."""
    from mlplatform.generate import provisioning

    with session.connected() as client:
        listed = [one for one in client.dashboards() if kind in (None, one["kind"]) and name in (None, one["name"])]
        found = [client.dashboard(one["kind"], one["name"], target) for one in listed]
        platform = client.url
    if not found:
        what = " ".join(part for part in (kind, name) if part) or "any model"
        output.error(
            [f"there is no dashboard of {what}", "`platform dashboards generate --json` without --name lists them all"]
        )
        return 1
    if target == "grafana":
        place = shown_at or dest.resolve().as_posix()
        files = provisioning.grafana_files(found, shown_at=place, prometheus=prometheus, platform=platform)
    else:
        files = provisioning.datadog_files(found, platform=platform)
    written, removed = provisioning.write(dest, files, whole=kind is None and name is None)
    document = {
        "output": target,
        "folder": str(dest),
        "dashboards": [{"kind": one["kind"], "name": one["name"], "uid": one["uid"]} for one in found],
        "written": written,
        "removed": removed,
    }
    output.result(document, as_json=as_json, human=lambda: _tell(written, removed, len(files)))
    return 0


def _tell(written: list[str], removed: list[str], all_of_them: int) -> None:
    for path in written:
        output.write(f"written    {path}")
    for path in removed:
        output.write(f"removed    {path}")
    if not written and not removed:
        output.write(f"all {all_of_them} files are current")
