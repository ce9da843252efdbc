"""``platform fleet campaign``."""

import time
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, session

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]

_POLL_SECONDS = 1.0
_OVER = {"completed", "aborted", "superseded", "failed"}


class Waves(click.ParamType[list[int]]):
    """Sizes of waves: ``3`` or ``3,10``."""

    name = "waves"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Read numbers between commas."""
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and 1 <= int(part) <= 10_000 for part in parts):
            self.fail("give numbers of repositories, such as 3 or 3,10", param, ctx)
        return [int(part) for part in parts]


@options.command(
    "Bring all repositories of a template to a version of it. Each gets one pull request with the changelog and, where it "
    "conflicts, both sides and a suggested resolution, as a draft. The first wave has few repositories; the rest follow when "
    "those are merged or green. A campaign for another version that is under way is superseded: its open requests are brought "
    "along.",
    examples=[
        "platform fleet campaign start v0.2.0 --dry-run",
        "platform fleet campaign start v0.2.0",
        "platform fleet campaign start v0.2.0 --waves 3,10 --owner group:default/risk",
    ],
)
@click.argument("version")
@click.option("--template", metavar="NAME", default="golden-path", show_default=True, help="Which template.")
@click.option("--owner", metavar="REF", help="Only repositories of this owner, such as group:default/risk.")
@click.option(
    "--waves", type=Waves(), default="3", show_default=True, help="How many repositories the first waves have."
)
@click.option(
    "--parallelism", type=click.IntRange(1, 16), default=4, show_default=True, help="Repositories at the same time."
)
@click.option("--dry-run", is_flag=True, help="Show which repositories it would be about; change nothing.")
@click.option("--follow", "-f", is_flag=True, help="Follow it until it is over; it goes on without this command.")
def start(
    version: str,
    template: str,
    owner: str | None,
    waves: list[int],
    parallelism: int,
    dry_run: bool,
    follow: bool,
    as_json: bool,
) -> int:
    """Ask the platform."""
    wish = {"template": template, "version": version, "owner": owner, "waves": waves, "parallelism": parallelism}
    with session.connected() as client:
        if dry_run:
            planned = client.plan_campaign(wish)
            output.result({"items": planned}, as_json=as_json, human=lambda: _show_plan(planned, waves))
            return 0
        found = client.start_campaign(wish)
        if follow:
            return _followed(client, found, as_json=as_json)
    output.result(found, as_json=as_json, human=lambda: _show_line(found))
    return 0


@options.command("List campaigns, newest first.", examples=["platform fleet campaign list"])
@click.option("--template", metavar="NAME", help="Only campaigns of this template.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
def list_campaigns(template: str | None, limit: int, as_json: bool) -> None:
    """Read as many pages as it takes."""
    with session.connected() as client:
        items = list(client.pages("/fleet/campaigns", {"template": template}, most=limit))

    def human() -> None:
        rows = [
            (
                one["id"],
                f"{one['template']} {one['version']}",
                output.mark(one["state"]),
                _counts(one),
                one["requestedBy"],
            )
            for one in items
        ]
        output.table(("id", "to", "state", "repositories", "by"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show a campaign and its repositories.",
    examples=["platform fleet campaign show ID", "platform fleet campaign show ID --follow"],
)
@click.argument("identifier", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Follow it until it is over.")
def show(identifier: str, follow: bool, as_json: bool) -> int:
    """Ask the platform."""
    with session.connected() as client:
        found = client.campaign(identifier)
        if follow:
            return _followed(client, found, as_json=as_json)
        items = _members(client, identifier)
    output.result({**found, "repositories": items}, as_json=as_json, human=lambda: _show(found, items))
    return 0


def _decision(verb: str, help: str, *, reason: str, said: str) -> click.Command:
    extra = ' --reason "..."' if reason == "needed" else ""

    @options.command(help, examples=[f"platform fleet campaign {verb} ID{extra}"])
    @click.argument("identifier", metavar="ID")
    def decide(identifier: str, as_json: bool, **given: Any) -> None:
        with session.connected() as client:
            found = client.decide_campaign(identifier, verb, **given)
        output.result(found, as_json=as_json, human=lambda: output.write(f"campaign {found['id']} {said}"))

    if reason == "needed":
        decide.params.append(click.Option(["--reason"], required=True, help="Why; everybody can read it."))
    if verb == "abort":
        decide.params.append(
            click.Option(
                ["--keep-requests"], is_flag=True, help="Leave the open requests open instead of closing them."
            )
        )
    return decide


pause = _decision("pause", "Open no more requests until the campaign is resumed.", reason="none", said="is paused")
resume = _decision("resume", "Go on with a paused campaign.", reason="none", said="goes on")
retry = _decision("retry", "Try the repositories again whose update failed.", reason="none", said="tries again")
advance = _decision(
    "advance",
    "Let the next wave begin, whatever became of this one.",
    reason="needed",
    said="opens its next wave",
)
abort = _decision("abort", "End a campaign and close its open requests.", reason="needed", said="is being aborted")


def _followed(client: "PlatformClient", found: Json, *, as_json: bool) -> int:
    """Say what changes until the campaign is over; return 0 if it was completed without a failure."""
    output.say(f"campaign {found['id']}")
    told: dict[str, tuple[str, str | None]] = {}
    message = None
    while True:
        for one in _members(client, found["id"]):
            name, now = f"{one['org']}/{one['name']}", (one["state"], one["message"])
            if told.get(name) != now and one["state"] != "pending":
                output.say(_line(one))
            told[name] = now
        found = client.campaign(found["id"])
        if found["message"] != message:
            message = found["message"]
            if message:
                output.say(message)
        if found["state"] in _OVER:
            break
        time.sleep(_POLL_SECONDS)
    items = _members(client, found["id"])
    output.result({**found, "repositories": items}, as_json=as_json, human=lambda: _show_line(found))
    return 0 if found["state"] == "completed" and not found["counts"].get("failed") else 1


def _members(client: "PlatformClient", identifier: str) -> list[Json]:
    return list(client.pages(f"/fleet/campaigns/{identifier}/repositories", {}))


def _show(found: Json, items: list[Json]) -> None:
    _show_line(found)
    rows = [
        (
            one["wave"] + 1,
            f"{one['org']}/{one['name']}",
            one["fromVersion"] or "-",
            output.mark(one["state"]),
            one["webUrl"] or (f"#{one['number']}" if one["number"] else "-"),
            one["checks"] or "-",
            ", ".join(conflict["path"] for conflict in one["conflicts"]) or one["message"] or "",
        )
        for one in items
    ]
    output.table(("wave", "repository", "from", "state", "request", "checks", ""), rows)


def _show_line(found: Json) -> None:
    said = f": {found['message']}" if found["message"] else ""
    counts = _counts(found)
    output.write(
        f"{output.mark(found['state'])} {found['template']} {found['version']} ({found['id']})"
        + (f", {counts}" if counts else "")
        + said
    )


def _show_plan(planned: list[Json], waves: list[int]) -> None:
    if not planned:
        output.write("no repository is behind that version; nothing would be done")
        return
    rows = [
        (_wave(position, waves) + 1, f"{one['org']}/{one['name']}", one["owner"] or "-", one["version"])
        for position, one in enumerate(planned)
    ]
    output.table(("wave", "repository", "owner", "from"), rows)


def _wave(position: int, waves: list[int]) -> int:
    wave, end = 0, 0
    for size in waves:
        end += size
        if position < end:
            break
        wave += 1
    return wave


def _line(one: Json) -> str:
    request = one["webUrl"] or (f"#{one['number']}" if one["number"] else "")
    parts = [output.mark(one["state"]), f"{one['org']}/{one['name']}", request, one["message"] or ""]
    return " ".join(part for part in parts if part)


def _counts(one: Json) -> str:
    return ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in sorted(one["counts"].items()))
