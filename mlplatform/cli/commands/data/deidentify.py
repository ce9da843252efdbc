"""``platform data deidentify``."""

import json
from pathlib import Path

import click

from mlplatform.cli import options, output


@options.command(
    "Write a copy of a Parquet, CSV or JSON Lines file without personal data, and a record of what was done to which column. "
    "Exit status 1 when the scan of the result still finds some.",
    examples=[
        "platform data deidentify customers.parquet --config deidentify.yaml -o customers-safe.parquet",
        "platform data deidentify events.jsonl --config deidentify.yaml -o safe.jsonl --evidence record.json --json",
    ],
)
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="What happens to each column (YAML); keys by reference, as env:NAME or file:PATH.",
)
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write."
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the record.  [default: OUTPUT.deidentified.json]",
)
@click.option("--full", is_flag=True, help="Scan all rows of the result, not a sample.")
def deidentify(source: Path, config: Path, target: Path, evidence: Path | None, full: bool, as_json: bool) -> int:
    """De-identify, scan the result, and write the record."""
    from mlplatform.cli.errors import CliError
    from mlplatform.deidentify.config import load_config
    from mlplatform.deidentify.run import Deidentification, file_digest
    from mlplatform.pii.survey import scan_file

    if not target.parent.is_dir():
        raise CliError(f"there is no folder {target.parent}", "make it, or name another file")
    deidentification = Deidentification(
        load_config(config), file_digest(config), lambda path: scan_file(path, full=full)
    )
    with output.working("de-identifying"):
        outcome = deidentification.run(source, target)
    record = evidence or target.with_name(f"{target.name}.deidentified.json")
    record.write_text(json.dumps(outcome.evidence, indent=2) + "\n", encoding="utf-8")
    document = {**outcome.evidence, "evidence": str(record), "remaining": outcome.remaining}

    def human() -> None:
        rows = [(told["column"], told["operator"], told["values"]) for told in outcome.evidence["columns"]]
        output.table(("column", "operator", "values"), rows)
        output.write()
        output.write(f"{target}: {outcome.evidence['scan']['statement']}")
        output.write(f"record: {record}")
        for finding in outcome.remaining:
            place = finding["location"].removeprefix(f"{target.name}.")
            output.error([f"{place} still holds {finding['entity']}", "give the column another operator"])

    output.result(document, as_json=as_json, human=human)
    return 1 if outcome.remaining or not outcome.evidence["scan"]["complete"] else 0
