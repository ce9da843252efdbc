"""``platform traffic``."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.sparkline import bars, gathered, sparkline

Json = dict[str, Any]

_WINDOWS = ("1h", "6h", "1d", "7d", "30d")
_WIDTH = 60
_RATE, _ERRORS = "requests/s", "errors"
_MEASURES = (
    (_RATE, "rate"),
    (_ERRORS, "errorRatio"),
    ("p50 ms", "p50Ms"),
    ("p95 ms", "p95Ms"),
    ("p99 ms", "p99Ms"),
)


@options.command(
    "Show what each version of a model did over time: requests, errors and latency, beside what its objectives allow. A line is "
    "drawn from nothing to its largest value; a gap is a time of which nothing is known.",
    examples=[
        "platform traffic --env production",
        "platform traffic --model wine --env production --window 7d --table",
        "platform traffic --env production --from 2027-03-01T12:00 --to 2027-03-01T14:00 --json",
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option(
    "--window", type=click.Choice(_WINDOWS), default="1h", show_default=True, help="How long, without --from."
)
@click.option("--from", "since", type=options.MomentType(), metavar="TIME", help="Not before: 15m, or a time (UTC).")
@click.option("--to", "until", type=options.MomentType(), metavar="TIME", help="Before; now if not given.")
@click.option("--table", "as_table", is_flag=True, help="Print a row for each point instead of lines.")
def traffic(
    directory: Path,
    model: str | None,
    environment: str,
    window: str,
    since: str | None,
    until: str | None,
    as_table: bool,
    as_json: bool,
) -> None:
    """Print the series."""
    name = session.model_name(directory, model)
    query = {"environment": environment, "window": window, "from": since, "to": until}
    with session.connected() as client:
        found = client.traffic(name, **query)
    output.result(found, as_json=as_json, human=lambda: _show(found, as_table=as_table))


def _show(found: Json, *, as_table: bool) -> None:
    place = f"{found['model']} in {found['environment']}"
    if not found["versions"] and not found["moments"]:
        output.write(f"{place} answered nothing from {_time(found['beginsAt'])} to {_time(found['endsAt'])} UTC")
    elif as_table:
        _rows(found)
    else:
        step = output.seconds(found["stepSeconds"])
        output.write(f"{place}, {_time(found['beginsAt'])} to {_time(found['endsAt'])} UTC, a point is {step}")
        for one in found["versions"]:
            _lines(found, one)
        for one in found["moments"]:
            output.write(f"v{one['version']}")
            _line(one["indicator"], _placed(found, one["points"], "badRatio"), _percent, None)
    if found["leftOut"]:
        output.write(f"older versions answered too: {', '.join(f'v{one}' for one in found['leftOut'])}")


def _lines(found: Json, version: Json) -> None:
    output.write(f"v{version['version']}{' (live)' if version['live'] else ''}")
    may = {_ERRORS: [one["errorRatio"] for one in found["limits"] if one["errorRatio"] is not None]}
    for one in found["limits"]:
        if one["latencyMs"] is not None:
            # The percentile that is drawn next below what is promised: where that is over, the promise is broken.
            drawn = next(
                (name for part, name in ((99, "p99 ms"), (95, "p95 ms")) if one["objective"] >= part), "p50 ms"
            )
            may.setdefault(drawn, []).append(one["latencyMs"])
    for name, key in _MEASURES:
        said = _percent if name == _ERRORS else _number
        _line(name, _placed(found, version["points"], key), said, min(may.get(name) or [None]))


def _placed(found: Json, points: Sequence[Json], key: str) -> list[float | None]:
    """Return a value for each step of the window, unknown where there is no point."""
    step = timedelta(seconds=found["stepSeconds"])
    begin, end = (datetime.fromisoformat(found[name]) for name in ("beginsAt", "endsAt"))
    by_time = {datetime.fromisoformat(one["at"]): one[key] for one in points}
    return [by_time.get(begin + index * step) for index in range(max(round((end - begin) / step), 1))]


def _line(name: str, values: Sequence[float | None], said: Callable[[float], str], may: float | None) -> None:
    told = [one for one in values if one is not None]
    if not told:
        output.write(f"  {name:<10}  nothing is known")
        return
    drawn = gathered(values, _WIDTH, _mean if name == _RATE else max)
    characters = sparkline(drawn, bars(sys.stdout.encoding))
    if may is not None and output.coloured(sys.stdout):
        characters = "".join(
            output.paint(one, "red" if value is not None and value > may else None, sys.stdout)
            for one, value in zip(characters, drawn, strict=True)
        )
    text = f"  {name:<10}  {characters}  last {said(told[-1])}, most {said(max(told))}"
    if may is not None:
        over = sum(one > may for one in told)
        text += f", may be {said(may)}" + (f": over it in {over} of {len(told)} points" if over else "")
    output.write(text)


def _rows(found: Json) -> None:
    rows = [
        (
            _time(one["at"]),
            f"v{version['version']}",
            one["requests"],
            *("-" if one[key] is None else _percent(one[key]) if name == _ERRORS else _number(one[key])
              for name, key in _MEASURES),
        )
        for version in found["versions"]
        for one in version["points"]
    ]  # fmt: skip
    output.table(("time (UTC)", "version", "requests", *(name for name, _ in _MEASURES)), rows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _time(text: str) -> str:
    return text[:16].replace("T", " ")
