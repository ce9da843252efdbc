"""``platform metrics``."""

from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

_SHOWN = 20


@options.command(
    "Show the figures that the platform is held to, counted from its own records, each with what it is to reach. With the name "
    "of one: how it was in each month, and the events behind it.",
    examples=["platform metrics", "platform metrics change-failure-rate", "platform metrics --days 90 --json"],
)
@click.argument("figure", required=False)
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="Of the last days.")
def metrics(figure: str | None, days: int, as_json: bool) -> None:
    """Ask the platform for its figures."""
    with session.connected() as client:
        if figure is not None:
            found = client.figure(figure, days)
            output.result(found, as_json=as_json, human=lambda: _show(found))
            return
        items = client.figures(days)

    def human() -> None:
        output.table(("figure", "value", "target", "reached", "counted"), [_row(item) for item in items])

    output.result({"items": items, "days": days}, as_json=as_json, human=human)


def _show(found: Json) -> None:
    figure = found["figure"]
    output.write(figure["meaning"])
    output.table(("figure", "value", "target", "reached", "counted"), [_row(figure)])
    unit = figure["unit"]
    output.table(
        ("month", "value", "counted"),
        [(one["month"], _value(one["value"], unit), one["count"]) for one in found["trend"]],
    )
    for one in found["evidence"][:_SHOWN]:
        output.write(f"{one['at'][:19].replace('T', ' ')}  {one['value']:g}  {one['subject']}  {one['note']}".rstrip())
    more = found["more"] + max(len(found["evidence"]) - _SHOWN, 0)
    if more:
        output.write(f"and {more} older; --json lists more of them")


def _row(item: Json) -> tuple[object, ...]:
    value, target = (_value(item[key], item["unit"]) for key in ("value", "target"))
    reached = {True: "yes", False: "no", None: "-"}[item["reached"]]
    return item["name"], value, target, reached, item["count"]


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    short = {
        "percent": " %",
        "minutes": " min",
        "seconds": " s",
        "hours": " h",
        "per week": " a week",
        "of 5": " of 5",
    }.get(unit, "")
    return f"{round(value, 1):g}{short}"
