"""``platform deploy``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.rollout_output import follow_to_end, show_requested


@options.command(
    "Deploy a version to an environment. The platform decides from the version's attestations and the environment's "
    "policy; then traffic moves step by step, and back if the version does worse.",
    examples=[
        "platform deploy --env staging",
        "platform deploy --env production --version 7 --wait",
        'platform deploy --env production --version 7 --break-glass "incident 4711: champion answers NaN"',
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@options.version_option
@click.option("--wait/--no-wait", default=False, help="Follow the rollout to its end; exit 0 only when promoted.")
@options.timeout_option
@click.option(
    "--break-glass", metavar="REASON", help="Deploy although admission refuses; needs the right, and is recorded."
)
def deploy(
    directory: Path,
    model: str | None,
    environment: str,
    version: int | str | None,
    wait: bool,
    timeout: object,
    break_glass: str | None,
    as_json: bool,
) -> int:
    """Ask for the deployment and, if wished, follow it."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        deployment = client.deploy(name, environment, version=version, break_glass=break_glass)
        if wait:
            return follow_to_end(client, deployment, timeout=timeout, as_json=as_json)
    show_requested(deployment, as_json=as_json)
    output.say(f"follow it with `platform status --env {environment}`")
    return 0
