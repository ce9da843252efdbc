"""``platform metrics``."""

from typing import Any

import click

from mlplatform.cli import options, output, session


@options.command(
    "Show the figures that the platform is held to, counted from its own records, each with what it is to reach.",
    examples=["platform metrics", "platform metrics --days 90 --json"],
)
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="Of the last days.")
def metrics(days: int, as_json: bool) -> None:
    """Ask the platform for its figures."""
    with session.connected() as client:
        items = client.figures(days)

    def human() -> None:
        output.table(("figure", "value", "target", "counted"), [_row(item) for item in items])

    output.result({"items": items, "days": days}, as_json=as_json, human=human)


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    unit = {"percent": " %", "minutes": " min", "seconds": " s"}.get(item["unit"], "")
    value, target = (None if item[key] is None else f"{round(item[key], 1):g}{unit}" for key in ("value", "target"))
    return item["name"], value or "-", target or "-", item["count"]
