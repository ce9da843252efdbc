"""``platform data scan``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output

if TYPE_CHECKING:
    from mlplatform.pii.survey import TableScan

_PERSONAL = ("pii", "sensitive-pii")


@options.command(
    "Look for personal data in files, folders, patterns, URLs of object stores and databases. Values are never shown. "
    "Exit status 1 when something is found that was not declared, or when a table can't be read.",
    examples=[
        "platform data scan ./data 'exports/*.csv.gz'",
        "platform data scan s3://lake/orders --full --resume orders.state",
        "platform data scan 'postgresql://reader@db/shop#public.orders' --password env:SHOP_PASSWORD",
        "platform data scan customers.parquet --classification pii --json",
    ],
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--sample", type=click.IntRange(1), metavar="ROWS", help="Rows of each table to look at.  [default: 5000]"
)
@click.option("--full", is_flag=True, help="Look at all rows, and let the language model read all text.")
@click.option("--seed", type=click.IntRange(0), help="Draw the sample that this number draws; else one at random.")
@click.option(
    "--classification",
    type=click.Choice(["public", "internal", "confidential", *_PERSONAL]),
    default="internal",
    show_default=True,
    help="What the data is declared as; in pii and sensitive-pii findings are no failure.",
)
@click.option(
    "--recognizers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Your own recognisers, a YAML file in Presidio's form.",
)
@click.option(
    "--detector",
    type=click.Choice(["presidio", "dlp", "macie"]),
    default="presidio",
    show_default=True,
    help="What reads text and names; dlp sends them to Google, macie to Amazon.",
)
@click.option(
    "--resume",
    "state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="STATEFILE",
    help="Keep how far the scan has come in this file, and go on from there.",
)
@click.option("--password", metavar="REFERENCE", help="Password of the database: env:NAME or file:PATH.")
@click.option("--workers", type=click.IntRange(1), help="Processes that read text.  [default: one a core]")
def scan(
    sources: tuple[str, ...],
    sample: int | None,
    full: bool,
    seed: int | None,
    classification: str,
    recognizers: Path | None,
    detector: str,
    state: Path | None,
    password: str | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Scan, and say what was found and how far was looked."""
    if full and sample is not None:
        raise click.UsageError("--full looks at all rows; leave --sample out.")
    from mlplatform.cli.commands.data import scanning

    request = scanning.Request(
        sources=sources,
        sample=None if full else sample,
        full=full,
        seed=seed,
        recognizers=recognizers,
        detector=detector,
        state=state,
        password=password,
        workers=workers,
    )
    tables = scanning.scan(request)
    declared = classification in _PERSONAL
    found = sum(len(table.certain) for table in tables)
    failed = [table for table in tables if table.failed]
    document = {
        "tables": [table.as_dict() for table in tables],
        "findings": found,
        "complete": not failed,
        "classification": classification,
        "detector": detector,
    }
    output.result(document, as_json=as_json, human=lambda: _told(tables, found, declared=declared))
    return 1 if failed or (found and not declared) else 0


def _told(tables: "list[TableScan]", found: int, *, declared: bool) -> None:
    rows: list[tuple[Any, ...]] = [
        (finding.location, finding.entity, f"{finding.count} of {finding.sampled}", f"{finding.confidence:.2f}")
        for table in tables
        for finding in table.certain
    ]
    if rows:
        output.table(("where", "kind", "rows", "confidence"), rows)
        output.write()
    for table in tables:
        output.write(f"{table.name}: {table.statement}")
        for label, unread in table.unread.items():
            output.write(f"  {label}: {unread} more texts were not read by the language model; --full reads them")
        for note in table.notes:
            output.write(f"  {note}")
        doubts = [finding for finding in table.findings if not finding.certain]
        for finding in doubts[:5]:
            output.write(f"  below the threshold: {finding.location} {finding.entity} at {finding.confidence:.2f}")
        if len(doubts) > 5:
            output.write(f"  below the threshold: {len(doubts) - 5} more, see --json")
        if table.failed:
            output.error([table.failed, *([table.fix] if table.fix else [])])
    if found and not declared:
        output.say("declare the data with --classification pii, or remove it: platform data deidentify --help")
