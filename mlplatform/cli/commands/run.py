"""``platform run``."""

from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.register import dirty_option
from mlplatform.cli.commands.stages import seed_option

STAGES = ["check", "train", "validate", "scan", "register", "deploy"]


@options.command(
    "Run all stages in order (check, train, validate, scan, register, deploy), as CI does. Stops at the first one that "
    "fails, with the reason. Without --wait or --no-wait the rollout is followed, unless it waits for an approval.",
    examples=[
        "platform run --until scan                  # on a pull request; needs no platform",
        "platform run --env staging",
        "platform run --env production --wait",
        "platform run --from register --env staging # after the gates have passed",
    ],
)
@options.directory_option
@options.environment_option
@click.option("--from", "first", type=click.Choice(STAGES), default=STAGES[0], show_default=True, help="Begin here.")
@click.option(
    "--until", "last", type=click.Choice(STAGES), default=STAGES[-1], show_default=True, help="End after this."
)
@click.option("--wait/--no-wait", default=None, help="Follow the rollout to its end; exit 0 only when promoted.")
@options.timeout_option
@seed_option
@dirty_option
def run(
    directory: Path,
    environment: str,
    first: str,
    last: str,
    wait: bool | None,
    timeout: object,
    seed: int,
    allow_dirty: bool,
    as_json: bool,
) -> int:
    """Run the stages one after the other."""
    chosen = STAGES[STAGES.index(first) : STAGES.index(last) + 1]
    if not chosen:
        raise click.UsageError(f"--until {last} comes before --from {first}.")
    workspace = session.repository_workspace(directory)
    from mlplatform.cli.pipeline_run import PipelineRun

    pipeline = PipelineRun(
        workspace, environment=environment, wait=wait, timeout=timeout, seed=seed, allow_dirty=allow_dirty
    )
    status = pipeline.run(chosen)
    document: dict[str, Any] = pipeline.document()
    output.result(document, as_json=as_json, human=lambda: output.write(pipeline.summary()))
    return status
