"""``platform batch backfill``."""

from datetime import datetime
from pathlib import Path

import click

from mlplatform.cli import batch_output, options, output, session


@options.command(
    "Have the platform score every day of a range that was not scored yet, or by another version, or from another input. "
    "The other days stay as they are.",
    examples=[
        "platform batch backfill --env production --from 2013-01-01 --to 2013-01-31 --dry-run",
        "platform batch backfill --env production --from 2013-01-01 --to 2013-01-31 --version 7 --wait",
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option(
    "--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="YYYY-MM-DD", help="First day."
)
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="YYYY-MM-DD", help="Last day.")
@click.option(
    "--version", type=click.IntRange(1), metavar="N", help="A version that was live there; the live one if left out."
)
@click.option("--scored-by", type=click.IntRange(1), metavar="N", help="Only days that this version has scored.")
@click.option(
    "--parallelism", type=click.IntRange(1, 64), default=2, show_default=True, help="Most days at the same time."
)
@click.option(
    "--reason", default="requested from the command line", show_default=True, help="Why; it goes into the audit log."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done, day by day.")
@click.option("--wait/--no-wait", default=False, help="Follow it to its end; exit 0 only when every day went well.")
@options.timeout_option
def backfill(
    directory: Path,
    model: str | None,
    environment: str,
    first: datetime,
    last: datetime,
    version: int | None,
    scored_by: int | None,
    parallelism: int,
    reason: str,
    dry_run: bool,
    wait: bool,
    timeout: object,
    as_json: bool,
) -> int:
    """Ask for the backfill, or for what it would do."""
    name = session.model_name(directory, model)
    days = (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}")
    with session.connected() as client:
        if dry_run:
            plan = client.plan_backfill(name, environment, *days, version=version, scored_by=scored_by)
            output.result(plan, as_json=as_json, human=lambda: batch_output.show_plan(plan))
            return 0
        made = client.backfill(
            name, environment, *days, version=version, scored_by=scored_by, parallelism=parallelism, reason=reason
        )
        if wait:
            return batch_output.follow_backfill(client, made, timeout=timeout, as_json=as_json)
    output.result(made, as_json=as_json, human=lambda: output.write(batch_output.backfill_line(made)))
    if made["state"] == "running":
        output.say(f"follow it with `platform batch runs --env {environment} --backfill {made['id']}`")
    return 0
