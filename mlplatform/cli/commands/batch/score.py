"""``platform batch score``."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.batch.runs import day_option


@options.command(
    "Score a day here, without a platform: the model in build/model reads from and writes to a data lake of your own, exactly as "
    "the platform would run it.",
    examples=[
        "platform batch score --day 2013-01-05 --lake ./lake",
        "platform batch score --day 2013-01-05 --lake s3://mine/lake",
    ],
)
@options.directory_option
@day_option
@click.option(
    "--lake", required=True, metavar="DIR_OR_URL", help="Where batch.input is read from and batch.output written to."
)
@click.option("--output-root", metavar="DIR_OR_URL", help="Write below this instead of the lake.")
@click.option(
    "--version", type=click.IntRange(0), default=0, show_default=True, help="Version to write beside the answers."
)
@click.option("--force", is_flag=True, help="Score again although neither model nor input has changed.")
def score(
    directory: Path, day: datetime, lake: str, output_root: str | None, version: int, force: bool, as_json: bool
) -> None:
    """Score in the repository's own environment."""
    workspace = session.repository_workspace(directory)
    workspace.trained()
    from mlplatform.batch.lake import open_lake
    from mlplatform.batch.run import DayRequest, score_day
    from mlplatform.cli.errors import CliError
    from mlplatform.serving.command import limit_threads
    from mlplatform.spec.model import ModelType

    spec = workspace.spec
    if spec.type is not ModelType.BATCH:
        raise CliError(f"{spec.name} is of type {spec.type}; only batch models score days")
    limit_threads(spec.serving.resources.cpu)
    place = open_lake(lake)
    request = DayRequest(
        model_dir=workspace.model,
        spec=spec,
        version=version,
        environment="local",
        lake=place,
        output=open_lake(output_root) if output_root else place,
        day=day.date(),
        run_id=f"local-{datetime.now().astimezone():%Y%m%d%H%M%S}",
        force=force,
    )
    with output.working(f"scoring {day:%Y-%m-%d}"):
        done = score_day(request)
    manifest = done.manifest
    document: dict[str, Any] = {"outcome": done.outcome, **manifest.model_dump(mode="json", by_alias=True)}

    def human() -> None:
        if done.outcome == "unchanged":
            output.write(f"unchanged: {day:%Y-%m-%d} was scored from this input by this model")
            return
        took = output.seconds((manifest.finished_at - manifest.started_at).total_seconds())
        output.write(
            f"{manifest.rows_out:,} rows of {day:%Y-%m-%d} scored in {took}, {manifest.rows_rejected:,} rejected"
        )
        for rule in manifest.rejected[:10]:
            output.write(f"  {rule.column} {rule.rule}: {rule.rows:,}")

    output.result(document, as_json=as_json, human=human)
