"""``platform cost report``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError


@options.command(
    "Write a team's monthly report: a page, the same as PDF, or its lines as CSV.",
    examples=[
        "platform cost report --team group:default/risk --month 2028-02 --format pdf -o risk.pdf",
        "platform cost report --team group:default/risk --month 2028-02 --format csv -o risk.csv",
    ],
)
@click.option("--team", metavar="REF", required=True, help="The group whose models it is about.")
@click.option("--month", type=options.MonthType(), metavar="YYYY-MM", required=True, help="The month, in UTC.")
@click.option(
    "--format", type=click.Choice(("html", "pdf", "csv")), default="html", show_default=True, help="Its form."
)
@click.option(
    "-o", "--output", "file", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Where to."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def report(team: str, month: str, format: str, file: Path, force: bool, as_json: bool) -> None:
    """Ask for the report and write it."""
    if file.exists() and not force:
        raise CliError(f"{file} is there already", "name another, or use --force")
    with session.connected() as client:
        content = client.cost_report(team, month, format)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CliError(f"{file} can't be written: {error.strerror or error}", "name another file") from None
    document = {"team": team, "month": month, "format": format, "file": str(file), "bytes": len(content)}
    output.result(document, as_json=as_json, human=lambda: output.write(f"written to {file}"))
