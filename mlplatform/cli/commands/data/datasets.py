"""``platform data list``, ``show`` and ``confirm``: data sets as the platform knows them."""

from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

_CLASSES = ("public", "internal", "confidential", "pii", "sensitive-pii")


@options.command(
    "List the data sets that the platform knows, with their classification.",
    examples=["platform data list", "platform data list --owner group:default/risk --classification pii"],
)
@click.option("--owner", metavar="REF", help="Only data sets of this group.")
@click.option("--classification", type=click.Choice(_CLASSES), help="Only data sets of this class.")
def list_datasets(owner: str | None, classification: str | None, as_json: bool) -> None:
    """Print the data sets."""
    with session.connected() as client:
        items = list(client.pages("/datasets", {"owner": owner, "classification": classification}))
    rows = [
        (one["id"], one["name"], one["classification"] or "-", one["declared"] or "-", one["owner"]) for one in items
    ]

    def human() -> None:
        if rows:
            output.table(("id", "name", "classification", "declared", "owner"), rows)
        else:
            output.write("there is no such data set")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command("Show a data set and its columns.", examples=["platform data show ID"])
@click.argument("dataset")
def show(dataset: str, as_json: bool) -> None:
    """Print the columns."""
    with session.connected() as client:
        found = client.dataset(dataset)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Confirm the classification of a data set's columns, as you have looked at them: without COLUMN=CLASS what waits is "
    "confirmed as proposed. Below what a scan found it needs a reason.",
    examples=[
        "platform data confirm ID",
        'platform data confirm ID grower=public --reason "growers are companies in a public register"',
    ],
)
@click.argument("dataset")
@click.argument("columns", nargs=-1, metavar="[COLUMN=CLASS]...")
@click.option("--reason", help="Why; it goes into the audit log.")
def confirm(dataset: str, columns: tuple[str, ...], reason: str | None, as_json: bool) -> None:
    """Send the decision."""
    classes = dict(_pair(one) for one in columns)
    with session.connected() as client:
        if not classes:
            classes = {one["name"]: one["proposed"] for one in client.dataset(dataset)["columns"] if one["proposed"]}
        if not classes:
            output.result({}, as_json=as_json, human=lambda: output.write("nothing waits for confirmation"))
            return
        found = client.confirm_classification(dataset, classes, reason)
    output.result(found, as_json=as_json, human=lambda: _show(found))


def _pair(text: str) -> tuple[str, str]:
    # A column's name may hold an equals sign; a class does not.
    name, equals, value = text.rpartition("=")
    if not equals or value not in _CLASSES:
        raise click.UsageError(f"{text!r} is not COLUMN=CLASS; classes are {', '.join(_CLASSES)}.")
    return name, value


def _show(dataset: Json) -> None:
    output.write(f"{dataset['name']}: {dataset['classification'] or 'not classified'}, owned by {dataset['owner']}")
    rows = [
        (
            one["name"],
            one["type"],
            one["classification"],
            f"{one['basis']} by {one['decidedBy']}",
            one["proposed"] or "-",
            one["reason"] or "-",
        )
        for one in dataset["columns"]
    ]
    if rows:
        output.table(("column", "type", "classification", "decided", "waits", "because"), rows)
