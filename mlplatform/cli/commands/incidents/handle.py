"""``platform incidents list``, ``show``, ``ack``, ``resolve`` and ``postmortem``."""

from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

_CAUSES = ("change", "data", "dependency", "capacity", "configuration", "false-alarm", "other")


@options.command(
    "List incidents, newest first.",
    examples=["platform incidents list --state open", "platform incidents list --model wine --json"],
)
@click.option("--model", metavar="NAME", help="Only those of this model.")
@click.option("--state", type=click.Choice(("open", "acknowledged", "resolved")), help="Only those in this state.")
@click.option("--severity", type=click.Choice(("page", "ticket")), help="Only those of this severity.")
@click.option("--last", "most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
def list_incidents(model: str | None, state: str | None, severity: str | None, most: int, as_json: bool) -> None:
    """Print incidents."""
    query = {"model": model, "state": state, "severity": severity}
    with session.connected() as client:
        items = list(client.pages("/observability/incidents", query, most=most))
    rows = [
        (
            one["id"],
            one["state"],
            one["severity"],
            one["model"] or "-",
            one["environment"] or "-",
            _time(one["beganAt"]),
            one["title"],
        )
        for one in items
    ]

    def human() -> None:
        if rows:
            output.table(("id", "state", "severity", "model", "environment", "began (UTC)", "what"), rows)
        else:
            output.write("there is no incident")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show an incident: what it is about, what is suspected, who has it, and its timeline.",
    examples=["platform incidents show ID", "platform incidents show ID --json"],
)
@click.argument("incident")
def show(incident: str, as_json: bool) -> None:
    """Print an incident."""
    with session.connected() as client:
        found = client.incident(incident)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Take an incident in hand. Whoever does is its commander until another is named.",
    examples=['platform incidents ack ID --comment "looking at it"'],
)
@click.argument("incident")
@click.option("--comment", default="", help="What you are about to do; it goes into the timeline.")
def ack(incident: str, comment: str, as_json: bool) -> None:
    """Send the acknowledgement."""
    with session.connected() as client:
        found = client.acknowledge_incident(incident, comment)
    output.result(found, as_json=as_json, human=lambda: output.write(f"{found['title']}: you have it"))


@options.command(
    "Say what an incident was, and that it is over.",
    examples=['platform incidents resolve ID --cause change --resolution "v8 was taken back"'],
)
@click.argument("incident")
@click.option("--cause", type=click.Choice(_CAUSES), required=True, help="What kind of cause it had.")
@click.option("--resolution", required=True, help="What it was and what ended it; for auditors too.")
def resolve(incident: str, cause: str, resolution: str, as_json: bool) -> None:
    """Send the resolution."""
    with session.connected() as client:
        found = client.resolve_incident(incident, cause, resolution)
    said = f"{found['title']}: resolved; `platform incidents postmortem {found['id']}` begins the postmortem"
    output.result(found, as_json=as_json, human=lambda: output.write(said))


@options.command(
    "Write the postmortem of an incident as Markdown, with everything in it that is on record.",
    examples=["platform incidents postmortem ID --output docs/postmortems/2026-03-01.md"],
)
@click.argument("incident")
@click.option(
    "--output", "file", metavar="FILE", type=click.Path(path_type=Path), help="Where to; printed if not given."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def postmortem(incident: str, file: Path | None, force: bool, as_json: bool) -> None:
    """Print or write the postmortem."""
    if file is not None and file.exists() and not force:
        raise CliError(f"{file} is there already, and somebody may have written in it", "name another, or use --force")
    with session.connected() as client:
        text = client.postmortem(incident)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CliError(f"{file} can't be written: {error.strerror or error}", "name another file") from None
    said = text.rstrip("\n") if file is None else f"written to {file}"
    document = {"incident": incident, "markdown": text, "file": None if file is None else str(file)}
    output.result(document, as_json=as_json, human=lambda: output.write(said))


def _show(one: Json) -> None:
    place = f"{one['model']} in {one['environment']}" if one["model"] else "the platform"
    output.write(one["title"])
    output.write(f"{one['severity']}, {one['state']}, {place}, since {_time(one['beganAt'])} UTC")
    who = f", on call {one['onCall']['who']}" if one["onCall"]["who"] else ""
    output.write(
        f"owner {one['owner']}{who}" + "".join(f", {role} {who}" for role, who in sorted(one["roles"].items()))
    )
    if one["runbook"]:
        output.write(f"runbook {one['runbook']}")
    if one["suspects"]:
        output.write("changed before:")
        for suspect in one["suspects"]:
            output.write(f"  {suspect['score']:.2f}  {_time(suspect['at'])}  {suspect['what']}, by {suspect['by']}")
    output.write("timeline (UTC):")
    for entry in one["timeline"]:
        output.write(f"  {_time(entry['at'])}  {entry['text']}  ({entry['actor']})")
    for told in one["notifications"]:
        reason = f": {told['reason']}" if told["reason"] else ""
        output.write(f"told {told['target']} of {told['event']}: {told['state']}, attempt {told['attempt']}{reason}")
    if one["resolution"]:
        output.write(f"resolved by {one['resolvedBy']}: {one['cause']}, {one['resolution']}")


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
