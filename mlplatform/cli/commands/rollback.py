"""``platform rollback``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, session

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]


@options.command(
    "Put the former version back. While it is still warm this takes effect in under a second; a rollout under way is "
    "aborted by it. For a batch model it also tells the days that the version has scored.",
    examples=[
        'platform rollback --env production --reason "support reports odd scores"',
        'platform rollback --env production --rescore --reason "wrong time zone"',
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option(
    "--reason", default="requested from the command line", show_default=True, help="Why; it goes into the audit log."
)
@click.option(
    "--rescore", is_flag=True, help="Batch: have the days that the version has scored scored by the former one."
)
def rollback(directory: Path, model: str | None, environment: str, reason: str, rescore: bool, as_json: bool) -> None:
    """Ask the platform to roll back and, if wished, to score again what is left in the lake."""
    from mlplatform.pipeline.deploy import ending

    name = session.model_name(directory, model)
    with session.connected() as client:
        deployment = client.rollback(name, environment, reason)
        left = deployment.get("rescore") or {"days": []}
        backfill = _rescored(client, deployment, left, reason) if rescore and left["days"] else None
    document = {**deployment, "backfill": backfill} if rescore else deployment

    def human() -> None:
        output.write(ending(deployment))
        if left["days"]:
            _tell_days(deployment, left, backfill)
        elif rescore:
            output.write("no day is left to be scored again")

    output.result(document, as_json=as_json, human=human)


def _rescored(client: "PlatformClient", deployment: Json, left: Json, reason: str) -> Json:
    return client.backfill(
        deployment["model"],
        deployment["environment"],
        left["days"][0],
        left["days"][-1],
        version=deployment["version"],
        scored_by=left["version"],
        reason=f"scored by v{left['version']}, which was rolled back: {reason}"[:1000],
    )


def _tell_days(deployment: Json, left: Json, backfill: Json | None) -> None:
    from mlplatform.cli.batch_output import backfill_line

    days = left["days"]
    which = days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
    output.write(f"v{left['version']} has scored {which}")
    if backfill is not None:
        output.write(backfill_line(backfill))
        return
    output.write(
        f"  have them scored again:  platform batch backfill --env {deployment['environment']} --model {deployment['model']} "
        f"--from {days[0]} --to {days[-1]} --version {deployment['version']} --scored-by {left['version']}"
    )
