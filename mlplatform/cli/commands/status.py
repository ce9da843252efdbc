"""``platform status``."""

from pathlib import Path
from typing import Any

from mlplatform.cli import options, output, session


@options.command(
    "Show what is live in an environment: versions and their weights, replicas, and the rollout under way.",
    examples=["platform status --env production", "platform status --model wine --json"],
)
@options.directory_option
@options.model_option
@options.environment_option
def status(directory: Path, model: str | None, environment: str, as_json: bool) -> None:
    """Ask the platform what is live."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        live = client.live(name, environment)
        if live.get("type") == "batch":
            live["batch"] = client.batch_standing(name, environment)
        latest = client.deployments(model=name, environment=environment, limit=1).get("items", [])
    document = {**live, "lastDeployment": latest[0] if latest else None}
    output.result(document, as_json=as_json, human=lambda: _show(document))


def _show(live: dict[str, Any]) -> None:
    from mlplatform.pipeline.deploy import approval_lines, ending, phase_words, step_name, step_numbers

    output.write(f"{live['model']} in {live['environment']}" + (f"  {live['url']}" if live.get("url") else ""))
    if "batch" in live:
        _show_batch(live)
    elif live.get("traffic"):
        rows = [
            (f"v{share['version']}", f"{share['weight']} %", share.get("state", ""), _replicas(live, share["version"]))
            for share in live["traffic"]
        ]
        output.table(("version", "traffic", "state", "replicas"), rows)
    else:
        output.write("nothing is live")
    rollout = live.get("rollout")
    if rollout:
        output.write(f"rollout of version {rollout['version']} ({rollout['id']}): {phase_words(rollout)}")
        for step in rollout.get("steps") or []:
            line = f"  {step_name(step):<13} {output.mark(step['state'], 9)} {step_numbers(step)}"
            output.write(line.rstrip())
            if step.get("reason"):
                output.write(f"  {'':<13} {step['reason']}")
        if rollout["phase"] == "awaiting_approval":
            for line in approval_lines(rollout):
                output.write(line)
    elif live.get("lastDeployment"):
        output.write(f"last deployment: {ending(live['lastDeployment'])}")


def _show_batch(live: dict[str, Any]) -> None:
    from mlplatform.cli.batch_output import run_line

    standing = live["batch"]
    if standing["version"] is None:
        output.write("nothing is live")
    else:
        schedule = f"runs at `{standing['schedule']}` (UTC)" if standing["schedule"] else "runs on demand"
        following = f", next {standing['nextRun'][:16].replace('T', ' ')}" if standing["nextRun"] else ""
        output.write(f"v{standing['version']} is live, {schedule}{following}")
    for run in standing["active"]:
        output.write(f"  {run_line(run)}")
    last, good = standing["lastRun"], standing["lastSuccess"]
    if last is not None and last["state"] not in {"pending", "running"}:
        output.write(f"last run: {run_line(last)}")
    if good is not None and (last is None or good["id"] != last["id"]):
        output.write(f"last good run: {run_line(good)}")


def _replicas(live: dict[str, Any], version: int) -> str:
    states: dict[str, int] = {}
    for replica in live.get("replicas") or []:
        if replica["version"] == version:
            states[replica["state"]] = states.get(replica["state"], 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "-"
