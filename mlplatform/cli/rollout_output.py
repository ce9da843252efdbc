"""How deployments are shown: asked for, followed, ended."""

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlplatform.cli import output

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]


def follow_to_end(client: "PlatformClient", deployment: Json, *, timeout: object, as_json: bool) -> int:
    """Follow a deployment, print how it ended, and return the exit status: 0 only when it was promoted."""
    deployment, status = followed(client, deployment, timeout=timeout)
    output.result(deployment, as_json=as_json, human=lambda: _show_end(deployment))
    return status


def followed(
    client: "PlatformClient",
    deployment: Json,
    *,
    timeout: object,
    through_approval: bool = True,
) -> tuple[Json, int]:
    """Follow a deployment on standard error; return its last state and the exit status."""
    from mlplatform.pipeline import deploy

    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else None
    output.say(f"deployment {deployment['id']}")
    try:
        deployment = deploy.follow(
            client,
            deployment,
            say=_timed,
            timeout=limit,
            through_approval=through_approval,
        )
    except deploy.FollowTimeout as late:
        output.say(f"{late}; it goes on by itself. Look again with `platform status --env {deployment['environment']}`")
        return late.deployment, 1
    except KeyboardInterrupt:
        output.say(f'\nthe deployment goes on by itself; to stop it: platform abort {deployment["id"]} --reason "..."')
        raise
    return deployment, 0 if deployment.get("outcome") == deploy.PROMOTED else 1


def show_requested(deployment: Json, *, as_json: bool) -> None:
    """Print a deployment that was just asked for."""
    from mlplatform.pipeline import deploy

    def human() -> None:
        output.write(f"deployment {deployment['id']}: {deploy.ending(deployment)}")
        if deployment["phase"] == "awaiting_approval":
            for line in deploy.approval_lines(deployment):
                output.write(line)

    output.result(deployment, as_json=as_json, human=human)


def _show_end(deployment: Json) -> None:
    from mlplatform.pipeline.deploy import ending

    outcome = deployment.get("outcome") or deployment["phase"]
    output.write(f"{output.mark(outcome)}: {ending(deployment)}")


def _timed(line: str) -> None:
    now = datetime.now().astimezone()
    output.say(f"{output.paint(f'{now:%H:%M:%S}', 'dim', sys.stderr)}  {line}")
