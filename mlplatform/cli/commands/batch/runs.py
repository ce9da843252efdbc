"""``platform batch run``, ``platform batch runs`` and ``platform batch cancel``."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import batch_output, options, output, session

day_option = click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="YYYY-MM-DD", help="The partition to score."
)


@options.command(
    "Have the platform score a day. The whole partition is replaced; a day that this version has scored, from this input, "
    "stays as it is.",
    examples=[
        "platform batch run --env production --day 2013-01-05 --wait",
        "platform batch run --env production --day 2013-01-05 --version 7 --force",
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@day_option
@click.option(
    "--version", type=click.IntRange(1), metavar="N", help="A version that was live there; the live one if left out."
)
@click.option("--force", is_flag=True, help="Score again although neither version nor input has changed.")
@click.option("--reason", help="Why; it goes into the audit log.")
@click.option("--wait/--no-wait", default=False, help="Follow the run to its end; exit 0 only when it went well.")
@options.timeout_option
def run(
    directory: Path,
    model: str | None,
    environment: str,
    day: datetime,
    version: int | None,
    force: bool,
    reason: str | None,
    wait: bool,
    timeout: object,
    as_json: bool,
) -> int:
    """Ask for the run and, if wished, follow it."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        asked = client.batch_run(name, environment, f"{day:%Y-%m-%d}", version=version, force=force, reason=reason)
        if wait:
            return batch_output.follow_run(client, asked, timeout=timeout, as_json=as_json)
    output.result(asked, as_json=as_json, human=lambda: output.write(batch_output.run_line(asked)))
    output.say(f"follow it with `platform batch runs {asked['id']}`")
    return 0


@options.command(
    "Show runs, newest first; with an id that run alone, with the reasons that rows were rejected for.",
    examples=[
        "platform batch runs --env production",
        "platform batch runs --env production --state failed --json",
        "platform batch runs 0197f2c4-7b1e-7c3a-9f00-000000000000",
    ],
)
@click.argument("run_id", required=False, metavar="[RUN]")
@options.directory_option
@options.model_option
@options.environment_option
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Only of this day.")
@click.option(
    "--state",
    type=click.Choice(["pending", "running", "succeeded", "unchanged", "failed", "cancelled"]),
    help="Only in this state.",
)
@click.option("--cause", type=click.Choice(["schedule", "backfill", "manual", "trial"]), help="Only for this cause.")
@click.option("--backfill", metavar="ID", help="Only of this backfill.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most this many.")
def runs(
    run_id: str | None,
    directory: Path,
    model: str | None,
    environment: str,
    day: datetime | None,
    state: str | None,
    cause: str | None,
    backfill: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Ask for the runs."""
    if run_id is not None:
        with session.connected() as client:
            found = client.batch_run_of(run_id)
        output.result(found, as_json=as_json, human=lambda: batch_output.show_run(found))
        return
    query: dict[str, Any] = {"state": state, "cause": cause, "backfill": backfill}
    query |= {"day": f"{day:%Y-%m-%d}"} if day else {}
    query |= {"model": session.model_name(directory, model), "environment": environment}
    with session.connected() as client:
        items = list(client.pages("/batch/runs", query, most=limit))
    output.result({"items": items}, as_json=as_json, human=lambda: batch_output.show_runs(items))


@options.command(
    "End a run or a backfill that is not over. Days that are being scored are ended at once and stay as they were.",
    examples=['platform batch cancel 0197f2c4-7b1e-7c3a-9f00-000000000000 --reason "wrong range"'],
)
@click.argument("identifier", metavar="RUN_OR_BACKFILL")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def cancel(identifier: str, reason: str, as_json: bool) -> None:
    """Find out which of the two it is, and end it."""
    from mlplatform.client import PlatformProblem

    with session.connected() as client:
        try:
            ended = client.cancel_batch_run(identifier, reason)
        except PlatformProblem as problem:
            if problem.slug != "not-found":
                raise
            ended = client.cancel_backfill(identifier, reason)
    line = batch_output.backfill_line(ended) if "from" in ended else batch_output.run_line(ended)
    output.result(ended, as_json=as_json, human=lambda: output.write(line))
