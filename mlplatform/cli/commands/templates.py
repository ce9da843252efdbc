"""``platform templates``."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from mlplatform.cli import options, output, rooms, session
from mlplatform.cli.app import group

_GOLDEN_PATH = "golden-path"


templates = group(
    "templates",
    "List, release, compare and bring in the templates that repositories are made from.",
    examples=["platform templates list", "platform templates changelog v0.1.0 v0.2.0"],
)


@options.command("List the templates and their versions.", examples=["platform templates list"])
def list_templates(as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        items = client.templates()

    def human() -> None:
        rows = [(one["name"], (one["versions"] or ["-"])[-1], len(one["versions"]), one["url"]) for one in items]
        output.table(("template", "newest", "versions", "from"), rows)
        for one in items:
            if one["reason"]:
                output.warn(f"{one['name']}: {one['reason']}")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Release the golden path as it is in this checkout, under templates/VERSION. Its changelog must say what the version "
    "changes for a model repository.",
    examples=[
        "platform templates release",
        'platform templates release --notes "### Fixed\n- The coverage threshold is read again."',
        "platform templates release --dev",
    ],
)
@click.option("--notes", metavar="TEXT", help="What it changes, written into the changelog if it has no section yet.")
@click.option("--dev", is_flag=True, help="Release content that changed without a new version as a post-release.")
def release(notes: str | None, dev: bool, as_json: bool) -> None:
    """Put the content under a version tag in the platform's home."""
    released = rooms.scaffolder("release", "platform templates release")
    if notes:
        released.add_notes(released.version(), notes, today=f"{datetime.now(UTC):%Y-%m-%d}")
    made, new = released.release(_home(), dev=dev)
    document = {"version": made.tag, "repository": str(made.repository), "new": new}
    word = "released" if new else "is released already, with this content"
    output.result(document, as_json=as_json, human=lambda: output.write(f"{made.tag} {word}: {made.repository}"))


@options.command(
    "Show what the versions of a template after one change for a model repository.",
    examples=["platform templates changelog v0.1.0", "platform templates changelog v0.1.0 v0.3.0 --json"],
)
@click.argument("older", metavar="FROM")
@click.argument("newer", metavar="[TO]", required=False)
@click.option("--template", metavar="NAME", default=_GOLDEN_PATH, show_default=True, help="Another template.")
def changelog(older: str, newer: str | None, template: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        items = client.template_changes(template, older, newer)

    def human() -> None:
        for one in items:
            output.write(f"## {one['version']}" + (f" - {one['date']}" if one["date"] else ""))
            output.write(f"\n{one['text']}\n")
        if not items:
            output.say("nothing")

    output.result({"items": items}, as_json=as_json, human=human)


def _home() -> Path:
    return Path(os.environ.get("ML_PLATFORM_HOME") or ".mlplatform").resolve()
