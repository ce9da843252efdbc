"""``platform access review``."""

from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

comment_option = click.option("--comment", default="", help="Why; it is part of the signed result.")


@options.command(
    "Open an access review: every membership, role, ownership and grant is to be confirmed by its owner.",
    examples=['platform access review open "second quarter 2026"'],
)
@click.argument("name")
def open_review(name: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        found = client.open_access_review(name)
    output.result(found, as_json=as_json, human=lambda: _show_line(found))


@options.command(
    "List access reviews, newest first; with --mine the permissions that wait for you.",
    examples=["platform access review list", "platform access review list --mine"],
)
@click.option("--mine", is_flag=True, help="Permissions that you can confirm or revoke now.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="At most this many.")
def list_reviews(mine: bool, limit: int, as_json: bool) -> None:
    """Read as many pages as it takes."""
    with session.connected() as client:
        items = list(client.pages("/access/review-items" if mine else "/access/reviews", {}, most=limit))

    def human() -> None:
        if mine:
            _show_items(items)
            return
        rows = [(one["id"], output.mark(one["state"]), one["name"], one["dueAt"][:10], _counts(one)) for one in items]
        output.table(("id", "state", "name", "due", "permissions"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show an access review and its permissions; with --result its signed result (DSSE).",
    examples=["platform access review show ID", "platform access review show ID --result --json > review.json"],
)
@click.argument("identifier", metavar="ID")
@click.option("--result", "with_result", is_flag=True, help="Print the signed result, as JSON.")
@click.option(
    "--state", type=click.Choice(["pending", "confirmed", "revoked", "expired"]), help="Only permissions in this state."
)
def show(identifier: str, with_result: bool, state: str | None, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        if with_result:
            output.print_json(client.access_review_result(identifier))
            return
        found = client.access_review(identifier)
        items = list(client.pages(f"/access/reviews/{identifier}/items", {"state": state}))

    def human() -> None:
        _show_line(found)
        _show_items(items)

    output.result({**found, "items": items}, as_json=as_json, human=human)


@options.command("Say that a permission is still needed.", examples=["platform access review confirm ITEM"])
@click.argument("item")
@comment_option
def confirm(item: str, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_review_item(item, "confirm", comment)
    output.result(found, as_json=as_json, human=lambda: _told(found))


@options.command(
    "Take a permission away. A grant ends at once; of everything else the platform says who has to end it, and where.",
    examples=['platform access review revoke ITEM --comment "left the team"'],
)
@click.argument("item")
@comment_option
def revoke(item: str, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_review_item(item, "revoke", comment)
    output.result(found, as_json=as_json, human=lambda: _told(found))


@options.command(
    "Close an access review before it is due; its result is signed.",
    examples=['platform access review close ID --reason "all done"'],
)
@click.argument("identifier", metavar="ID")
@click.option("--reason", required=True, help="Why; it is part of the signed result.")
@click.option("--expire-pending", is_flag=True, help="Let what is not decided about expire.")
def close(identifier: str, reason: str, expire_pending: bool, as_json: bool) -> None:
    """Send the wish."""
    with session.connected() as client:
        found = client.close_access_review(identifier, reason, expire_pending=expire_pending)
    output.result(found, as_json=as_json, human=lambda: _show_line(found))


def _show_line(review: Json) -> None:
    output.write(
        f"{output.mark(review['state'])} {review['name']} ({review['id']}), due {review['dueAt'][:10]}"
        + (f": {counts}" if (counts := _counts(review)) else "")
    )


def _show_items(items: list[Json]) -> None:
    rows = [
        (
            one["id"],
            output.mark(one["state"]),
            one["kind"],
            one["principal"],
            one["target"],
            one["owner"],
            one["exception"] or one["comment"] or "",
        )
        for one in items
    ]
    output.table(("item", "state", "kind", "who", "what", "reviewed by", ""), rows)


def _told(item: Json) -> None:
    left = f"; {item['exception']}" if item["exception"] else ""
    output.write(f"{item['kind']} of {item['principal']} in {item['target']}: {item['state']}{left}")


def _counts(review: Json) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(review["counts"].items()))
