"""``platform schema``."""

import sys
from pathlib import Path

import click

from mlplatform.cli import options, output


@options.command(
    "Print the JSON Schema of model.yaml, for editors and other tools.",
    examples=["platform schema > model.schema.json", "platform schema --output model.schema.json"],
)
@click.option(
    "--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file instead."
)
def schema(file: Path | None, as_json: bool) -> None:
    """Print the schema, which is JSON either way."""
    from mlplatform.spec.schema import rendered

    if file is None:
        sys.stdout.write(rendered())
        return
    file.write_text(rendered(), encoding="utf-8")
    output.result({"file": str(file)}, as_json=as_json, human=lambda: output.write(str(file)))
