"""``platform rollback``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session


@options.command(
    "Put the former version back. While it is still warm this takes effect in under a second; a rollout under way is "
    "aborted by it.",
    examples=['platform rollback --env production --reason "support reports odd scores"'],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option(
    "--reason", default="requested from the command line", show_default=True, help="Why; it goes into the audit log."
)
def rollback(directory: Path, model: str | None, environment: str, reason: str, as_json: bool) -> None:
    """Ask the platform to roll back."""
    from mlplatform.pipeline.deploy import ending

    name = session.model_name(directory, model)
    with session.connected() as client:
        deployment = client.rollback(name, environment, reason)
    output.result(deployment, as_json=as_json, human=lambda: output.write(ending(deployment)))
