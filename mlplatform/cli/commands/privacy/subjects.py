"""``platform privacy``."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.following import until
from mlplatform.cli.errors import CliError

_SETTLED = ("found", "nothing_found", "erased", "partly_erased", "failed")
_LARGEST = 65_536


@options.command(
    "Find a person in payload samples, logs, lakes, streams and data keys. The identifiers are read from a file, one a line: "
    "what stands on a command line is seen by all processes of a machine. The platform keeps keyed hashes of them alone.",
    examples=[
        "platform privacy find --subject-file person.txt --reason 'asked on 3 May'",
        "pass show person | platform privacy find --subject-file - --reason 'asked on 3 May'",
    ],
)
@click.option(
    "--subject-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="File with what the person goes by, one identifier a line; `-` for standard input.",
)
@click.option("--reason", required=True, help="Why; it goes into the audit log, so it must not name the person.")
@options.timeout_option
def find(subject_file: Path, reason: str, timeout: timedelta, as_json: bool) -> None:
    """Ask for the search and wait for it."""
    identifiers = identifiers_in(subject_file)
    with session.connected() as client:
        asked = client.find_subject(identifiers, reason)
        done = until(lambda: client.subject_request(asked["id"]), _SETTLED, timeout, "searching")
    output.result(done, as_json=as_json, human=lambda: _show(done))


@options.command(
    "Show data-subject requests, newest first.",
    examples=["platform privacy requests", "platform privacy requests --overdue"],
)
@click.option("--overdue", is_flag=True, help="Only those whose time is over.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most this many.")
def requests(overdue: bool, limit: int, as_json: bool) -> None:
    """List them."""
    with session.connected() as client:
        items = list(client.pages("/privacy/subject-requests", {"overdue": str(overdue).lower()}, most=limit))

    def human() -> None:
        rows = [(one["id"], _state(one), one["found"], _due(one), one["requestedBy"], one["reason"]) for one in items]
        output.table(("id", "state", "found", "due", "by", "reason"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show a request: where the person was found, which versions were trained on it, and what became of it.",
    examples=["platform privacy show 0197f2c4-7b1e-7c3a-9f00-000000000000"],
)
@click.argument("request_id", metavar="REQUEST")
def show(request_id: str, as_json: bool) -> None:
    """Ask for it."""
    with session.connected() as client:
        found = client.subject_request(request_id)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Ask for the person of a request to be erased wherever it was found. Somebody else has to confirm it.",
    examples=["platform privacy erase 0197f2c4-7b1e-7c3a-9f00-000000000000 --reason 'asked on 3 May'"],
)
@click.argument("request_id", metavar="REQUEST")
@click.option("--reason", required=True, help="Why; it goes into the audit log, so it must not name the person.")
def erase(request_id: str, reason: str, as_json: bool) -> None:
    """Ask for it."""
    with session.connected() as client:
        asked = client.erase_subject(request_id, reason)

    def human() -> None:
        output.write(f"{request_id} is {_state(asked)}; due {_due(asked)}")
        output.say(f"somebody else confirms it with `platform privacy confirm {request_id}`")

    output.result(asked, as_json=as_json, human=human)


@options.command(
    "Confirm an erasure that somebody else asked for, and wait for its proof. It can't be taken back.",
    examples=["platform privacy confirm 0197f2c4-7b1e-7c3a-9f00-000000000000 --reason 'checked the identity'"],
)
@click.argument("request_id", metavar="REQUEST")
@click.option("--reason", required=True, help="Why; it goes into the audit log, so it must not name the person.")
@options.timeout_option
def confirm(request_id: str, reason: str, timeout: timedelta, as_json: bool) -> int:
    """Confirm it; exit 0 when the person is proved gone."""
    with session.connected() as client:
        client.confirm_erasure(request_id, reason)
        done = until(lambda: client.subject_request(request_id), _SETTLED, timeout, "erasing")
    output.result(done, as_json=as_json, human=lambda: _show(done))
    return 0 if done["state"] == "erased" else 1


def identifiers_in(file: Path) -> list[str]:
    """Return what a person goes by, from a file or (``-``) standard input.

    Raises:
        CliError: it can't be read, or there is nothing in it.
    """
    try:
        text = sys.stdin.read(_LARGEST) if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise CliError(f"{file} can't be read: {reason}", "write one identifier a line") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise CliError("there is no identifier to look for", "write one a line into the file")
    return found


def _show(one: dict[str, Any]) -> None:
    output.write(f"request {one['id']}: {_state(one)}, {one['found']} found, due {_due(one)}")
    if one["message"]:
        output.warn(one["message"])
    findings = [item for item in one["findings"] if item["found"] or item["remaining"]]
    if findings:
        rows = [
            (item["kind"], item["location"], item["found"], _left(item["remaining"]), item["reason"])
            for item in findings
        ]
        output.table(("kind", "location", "found", "left", ""), rows)
    for item in one["findings"]:
        if item["state"] == "failed" and not item["found"]:
            output.warn(f"{item['location']}: {item['reason']}")
    for model in one["models"]:
        word = "in use" if model["inUse"] else "not in use"
        verb = "was trained on" if model["use"] == "trained" else "scores"
        output.write(f"v{model['version']} of {model['model']} ({word}) {verb} {', '.join(model['datasets'])}")
    if one["certificate"]:
        output.write(f"certificate {one['certificate']}")


def _state(one: dict[str, Any]) -> str:
    return str(one["state"]).replace("_", " ")


def _due(one: dict[str, Any]) -> str:
    return f"{one['dueAt'][:10]}{' OVERDUE' if one['overdue'] else ''}"


def _left(count: int | None) -> object:
    return "-" if count is None else count
