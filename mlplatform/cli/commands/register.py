"""``platform register``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session

dirty_option = click.option(
    "--allow-dirty", is_flag=True, help="Register although there were uncommitted changes at training; it is recorded."
)


@options.command(
    "Sign what the gates said and register the model as a new version, with its lineage and environment.",
    examples=["platform register", "platform register --allow-dirty --json"],
)
@options.directory_option
@dirty_option
@click.option("--partial", is_flag=True, help="Register although some gates have not run; admission will miss them.")
def register(directory: Path, allow_dirty: bool, partial: bool, as_json: bool) -> None:
    """Hand the version over."""
    workspace = session.repository_workspace(directory)
    from mlplatform.pipeline.register import candidate
    from mlplatform.pipeline.register import register as run_register

    model = candidate(workspace, allow_dirty=allow_dirty, partial=partial)
    with session.connected() as client:
        done = run_register(model, client, session.credentials(), say=output.say)
    version = done.version

    def human() -> None:
        how = "registered as" if done.created else "is already"
        output.write(f"{version['model']} {how} version {version['version']} (sha256 {version['digest'][:12]})")

    output.result({**version, "created": done.created}, as_json=as_json, human=human)
