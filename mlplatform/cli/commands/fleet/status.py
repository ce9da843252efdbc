"""``platform fleet status``."""

import time
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, session

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]

_POLL_SECONDS = 0.5
_LONGEST_SECONDS = 600


@options.command(
    "Show every repository that came from a template: its version, how far behind it is, what of the template's own files was "
    "changed, when it was last updated, and its open update request.",
    examples=["platform fleet status", "platform fleet status --by-owner", "platform fleet status --behind --json"],
)
@click.option("--owner", metavar="REF", help="Only repositories of this owner, such as group:default/risk.")
@click.option("--template", metavar="NAME", help="Only repositories of this template.")
@click.option("--behind", is_flag=True, help="Only repositories that are behind.")
@click.option("--by-owner", is_flag=True, help="Count them by owner instead.")
@click.option("--cached", is_flag=True, help="Show what the platform saw last, without looking again.")
def status(owner: str | None, template: str | None, behind: bool, by_owner: bool, cached: bool, as_json: bool) -> None:
    """Have the platform look again, and show what it saw."""
    with session.connected() as client:
        message = None if cached else _looked_at(client)
        if by_owner:
            rows = client.fleet_summary()
            output.result({"items": rows}, as_json=as_json, human=lambda: _show_owners(rows))
            return
        query = {"owner": owner, "template": template, "behind": True if behind else None}
        items = list(client.pages("/fleet/repositories", query))

    def human() -> None:
        if message:
            output.warn(f"not everything could be looked at: {message}")
        _show(items)

    output.result({"items": items, "message": message}, as_json=as_json, human=human)


def _looked_at(client: "PlatformClient") -> str | None:
    with output.working("looking at all repositories"):
        row = client.refresh_fleet()
        until = time.monotonic() + _LONGEST_SECONDS
        while row["finishedAt"] is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            row = client.fleet_inventory(row["id"])
    return row["message"] if row["finishedAt"] else "the platform is still looking; this is what it saw before"


def _show(items: list[Json]) -> None:
    if not items:
        output.write("there is no such repository")
        return
    rows = [
        (
            f"{one['org']}/{one['name']}",
            one["owner"] or "-",
            f"{one['template'] or '?'} {one['version'] or '?'}",
            _behind(one["behind"]),
            "?" if one["drift"] is None else len(one["drift"]) or "-",
            (one["templateChangedAt"] or "-")[:10],
            one["requestUrl"] or (f"#{one['number']}" if one["number"] else "-"),
        )
        for one in items
    ]
    output.table(("repository", "owner", "template", "behind", "drift", "updated", "request"), rows)
    for one in items:
        if one["fault"]:
            output.warn(f"{one['org']}/{one['name']}: {one['fault']}")


def _show_owners(rows: list[Json]) -> None:
    shown = [
        (
            one["owner"] or "-",
            one["template"] or "?",
            one["repositories"],
            one["behind"],
            one["openRequests"],
            one["faults"],
        )
        for one in rows
    ]
    output.table(("owner", "template", "repositories", "behind", "open requests", "faults"), shown)


def _behind(number: int | None) -> str:
    if number is None:
        return "?"
    return "-" if number == 0 else f"{number} version{'' if number == 1 else 's'}"
