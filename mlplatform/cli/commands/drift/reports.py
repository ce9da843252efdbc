"""``platform drift run``, ``list`` and ``show``."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.following import until
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

OUTCOMES = ("healthy", "drifted", "not_enough_rows", "no_reference")


@options.command(
    "Have what came since the last report judged now, and wait for it. Exit status 1 when something has drifted.",
    examples=["platform drift run --env production", "platform drift run --model wine --json"],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option(
    "--timeout", type=options.DurationType(), default="10m", show_default=True, help="How long it is waited for."
)
def run(directory: Path, model: str | None, environment: str, timeout: timedelta, as_json: bool) -> int:
    """Ask for a report and print it."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        id = client.ask_drift_report(name, environment)["id"]
        found = until(lambda: client.drift_report(id), ("done", "failed"), timeout, "judging")
    if found["state"] == "failed":
        raise CliError(
            f"the report could not be made: {found['reason']}", "try again; the next one covers its window too"
        )
    output.result(found, as_json=as_json, human=lambda: _show(found))
    return 1 if found["outcome"] == "drifted" else 0


@options.command(
    "List reports, newest first.",
    examples=["platform drift list --model wine", "platform drift list --outcome drifted --json"],
)
@click.option("--model", metavar="NAME", help="Only those of this model.")
@click.option("--env", "environment", metavar="NAME", help="Only those of this environment.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only those that say this.")
@click.option("--last", "most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
def list_reports(model: str | None, environment: str | None, outcome: str | None, most: int, as_json: bool) -> None:
    """Print reports."""
    query = {"model": model, "environment": environment, "outcome": outcome}
    with session.connected() as client:
        items = list(client.pages("/drift/reports", query, most=most))
    rows = [
        (
            one["id"],
            f"{one['model']} v{one['version']}",
            one["environment"],
            _time(one["until"]),
            str(one["rows"]),
            str(one["labelled"]),
            (one["outcome"] or one["state"]).replace("_", " "),
            ", ".join(sorted({finding["column"] for finding in one["drifted"]}))[:60] or "-",
        )
        for one in items
    ]

    def human() -> None:
        if rows:
            heads = ("id", "model", "environment", "until (UTC)", "rows", "labelled", "outcome", "drifted")
            output.table(heads, rows)
        else:
            output.write("there is no drift report")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show a report: every column that was judged, by which test, and what was not judged and why.",
    examples=["platform drift show ID", "platform drift show ID --html report.html"],
)
@click.argument("report")
@click.option(
    "--html", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page too."
)
def show(report: str, file: Path | None, as_json: bool) -> None:
    """Print a report."""
    with session.connected() as client:
        found = client.drift_report(report)
        page = client.drift_page(report) if file is not None else None
    if file is not None and page is not None:
        try:
            file.write_text(page, encoding="utf-8")
        except OSError as error:
            raise CliError(f"{file} can't be written: {error.strerror or error}", "name another file") from None
    output.result(found, as_json=as_json, human=lambda: _show(found, file))


def _show(one: Json, file: Path | None = None) -> None:
    outcome = (one["outcome"] or one["state"]).replace("_", " ")
    output.write(f"{one['model']} v{one['version']} in {one['environment']}: {outcome}")
    output.write(
        f"{one['rows']} rows from {_time(one['since'])} to {_time(one['until'])} UTC, "
        f"{one['labelled']} rows with their truth"
    )
    if one["reason"]:
        output.write(one["reason"])
    if one["bound"]:
        output.write(f"called drift is a p-value up to {one['bound']:.2g}; the report spent {one['alpha']:.2g}")
    rows = [
        (
            finding["column"][:40],
            finding["part"][:30],
            finding["side"],
            finding["check"],
            finding["test"],
            str(finding["rows"]),
            f"{finding['p']:.2g}",
            "-" if finding["distance"] is None else f"{finding['distance']:.3g}",
            "drifted" if finding["drifted"] else "",
        )
        for finding in sorted(one["findings"], key=lambda finding: (not finding["drifted"], finding["p"]))
    ]
    if rows:
        output.table(("column", "part", "side", "check", "test", "rows", "p", "distance", ""), rows)
    for skipped in one["skipped"]:
        output.write(f"not judged: {skipped['column'] or 'all columns'} ({skipped['part']}): {skipped['reason']}")
    if (again := one["retraining"]) is not None:
        said = f"pull request #{again['number']} of {again['repository']}" if again["number"] else again["reason"]
        output.write(f"retraining: {said}")
    if file is not None:
        output.write(f"written to {file}")


def _time(text: str) -> str:
    return text[:16].replace("T", " ")
