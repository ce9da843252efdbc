"""``platform support ask``, ``list``, ``show``, ``answer``, ``note`` and ``resolve``."""

import sys
from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

_PRIORITIES = ("P0", "P1", "P2", "P3")
_text_option = click.option("--text", required=True, help="What you have to say; `-` reads it from standard input.")


@options.command(
    "Ask the platform team. P0: production is down, or data is at risk. P1: you can't ship. P2: something is in the way. P3: a "
    "question or a wish. Everybody reads what is asked; personal data and secrets in it are redacted.",
    examples=[
        'platform support ask --priority P1 "staging refuses my model" --text "since this morning: ..."',
        'platform support ask "which lake is ours?" --text "for model churn" --about component:default/churn',
    ],
)
@click.argument("title")
@click.option("--priority", type=click.Choice(_PRIORITIES), default="P3", show_default=True, help="How urgent it is.")
@_text_option
@click.option("--about", metavar="REF", help="What in the catalog it is about, such as component:default/churn.")
def ask(title: str, priority: str, text: str, about: str | None, as_json: bool) -> None:
    """Send the request."""
    with session.connected() as client:
        found = client.ask_support(priority, title, _whole(text), about)
    said = f"{found['id']}: asked; the first answer is due {_time(found['dueAt'])} UTC"
    output.result(found, as_json=as_json, human=lambda: output.write(said))


@options.command(
    "List what was asked, newest first.",
    examples=["platform support list --mine", "platform support list --overdue --json"],
)
@click.option("--state", type=click.Choice(("open", "answered", "resolved")), help="Only those in this state.")
@click.option("--priority", type=click.Choice(_PRIORITIES), help="Only those of this priority.")
@click.option("--mine", is_flag=True, help="Only what you asked.")
@click.option("--overdue", is_flag=True, help="Only what should have been answered by now.")
@click.option("--last", "most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
def list_requests(state: str | None, priority: str | None, mine: bool, overdue: bool, most: int, as_json: bool) -> None:
    """Print requests."""
    query = {"state": state, "priority": priority, "mine": mine, "overdue": overdue}
    with session.connected() as client:
        items = list(client.pages("/support/requests", query, most=most))
    rows = [
        (
            one["id"],
            one["priority"],
            "overdue" if one["overdue"] else one["state"],
            _time(one["dueAt"]),
            one["askedBy"],
            one["title"],
        )
        for one in items
    ]

    def human() -> None:
        if rows:
            output.table(("id", "priority", "state", "answer due (UTC)", "asked by", "what"), rows)
        else:
            output.write("nothing was asked")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show a request with what was said about it.",
    examples=["platform support show ID", "platform support show ID --json"],
)
@click.argument("request")
def show(request: str, as_json: bool) -> None:
    """Print a request."""
    with session.connected() as client:
        found = client.support_request(request)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Answer a request, as somebody of the platform team. The first answer is what its time is measured by.",
    examples=['platform support answer ID --text "the quota was full; try again"'],
)
@click.argument("request")
@_text_option
def answer(request: str, text: str, as_json: bool) -> None:
    """Send the answer."""
    _say(request, "answers", text, "answered", as_json)


@options.command(
    "Add something to a request, also after it is resolved.", examples=['platform support note ID --text "it works"']
)
@click.argument("request")
@_text_option
def note(request: str, text: str, as_json: bool) -> None:
    """Send the note."""
    _say(request, "notes", text, "noted", as_json)


@options.command(
    "Say that a request is settled, and how. What you asked yourself you can take back so.",
    examples=['platform support resolve ID --text "the quota is doubled"'],
)
@click.argument("request")
@_text_option
def resolve(request: str, text: str, as_json: bool) -> None:
    """Send the resolution."""
    _say(request, "resolution", text, "resolved", as_json)


def _say(request: str, kind: str, text: str, verb: str, as_json: bool) -> None:
    with session.connected() as client:
        found = client.say_to_support(request, kind, _whole(text))
    output.result(found, as_json=as_json, human=lambda: output.write(f"{found['title']}: {verb}"))


def _whole(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


def _show(one: Json) -> None:
    about = f", about {one['entityRef']}" if one["entityRef"] else ""
    output.write(one["title"])
    output.write(f"{one['priority']}, {one['state']}, asked by {one['askedBy']} {_time(one['askedAt'])} UTC{about}")
    due = "overdue since" if one["overdue"] else "first answer due"
    output.write(
        f"first answered by {one['answeredBy']} {_time(one['answeredAt'])} UTC"
        if one["answeredAt"]
        else f"{due} {_time(one['dueAt'])} UTC"
    )
    output.write(one["text"])
    for entry in one["entries"]:
        output.write(f"{_time(entry['at'])}  {entry['kind']} by {entry['by']}: {entry['text']}")


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
