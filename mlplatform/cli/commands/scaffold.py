"""``platform scaffold``."""

from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.app import group

scaffold = group(
    "scaffold",
    "Show or cancel repositories that are being made.",
    examples=["platform scaffold list", "platform scaffold cancel ID"],
)


@options.command(
    "List repositories that were made or are being made, newest first.", examples=["platform scaffold list"]
)
@click.option("--state", metavar="STATE", help="Only those that are done, failed, running, ...")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
def list_scaffolds(state: str | None, limit: int, as_json: bool) -> None:
    """Read as many pages as it takes."""
    with session.connected() as client:
        items = list(client.pages("/scaffolds", {"state": state}, most=limit))

    def human() -> None:
        output.table(("id", "name", "state", "step", "template", "by"), [_row(one) for one in items])

    output.result({"items": items}, as_json=as_json, human=human)


@options.command("Show how a repository came about.", examples=["platform scaffold show ID"])
@click.argument("identifier", metavar="ID")
def show(identifier: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        found = client.scaffold_state(identifier)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Stop making a repository; what was made of it is taken back.", examples=["platform scaffold cancel ID"]
)
@click.argument("identifier", metavar="ID")
def cancel(identifier: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        found = client.cancel_scaffold(identifier)
    output.result(found, as_json=as_json, human=lambda: output.write(f"{found['name']} is being cancelled"))


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    template = f"{one['template']} {one['templateVersion']}"
    return one["id"], one["name"], one["state"], one["step"], template, one["requestedBy"]


def _show(found: dict[str, Any]) -> None:
    output.write(f"{found['name']}: {output.mark(found['state'])}")
    for event in found["events"]:
        if event["state"] != "running":
            output.write(
                f"  {event['at'][:19]}  {output.mark(event['state'], 8)} {event['step']:<10} {event['message']}"
            )
    for line in (found["reason"], found["fix"], found["webUrl"] or found["cloneUrl"]):
        if line:
            output.write(f"  {line}")
