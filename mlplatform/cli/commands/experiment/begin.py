"""``platform experiment start shadow`` and ``platform experiment start ab``."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _common(percent: str, most: int) -> Callable[[Decorated], Decorated]:
    def add(function: Decorated) -> Decorated:
        for option in (
            click.option("--reason", default="to see how it does", show_default=True, help="Why; it goes on record."),
            click.option(
                "--for",
                "duration",
                type=options.DurationType(),
                default="1d",
                show_default=True,
                help="When it ends at the latest.",
            ),
            click.option("--percent", type=click.IntRange(1, most), default=10, show_default=True, help=percent),
            options.version_option,
            options.environment_option,
            options.model_option,
            options.directory_option,
        ):
            function = option(function)
        return function

    return add


@options.command(
    "Have a version answer copies of requests, and compare its answers with those that users get. Whatever it does, users "
    "notice nothing.",
    examples=[
        "platform experiment start shadow --env production --version 8",
        "platform experiment start shadow --env production --version 8 --percent 100 --for 2h --tolerance 0.01",
    ],
)
@_common("Share of the requests that it gets copies of.", 100)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    help="How far numbers may differ and still agree, relative or absolute.",
)
def shadow(tolerance: float, as_json: bool, **common: Any) -> None:
    """Begin a shadow run."""
    _start({"kind": "shadow", "tolerance": tolerance}, as_json=as_json, **common)


@options.command(
    "Have a version answer the requests of some keys, always the same ones, and test whether it does better. The test may be "
    "looked at at any time, and ends the experiment as soon as it is sure.",
    examples=[
        "platform experiment start ab --env production --version 8 --key x-user-id --metric clicked --effect 0.02",
        "platform experiment start ab --env production --version 8 --key x-user-id --metric latency --source latency "
        "--effect 5 --percent 50 --for 7d",
    ],
)
@_common("Share of the keys that meet it.", 99)
@click.option("--key", "key", metavar="HEADER", required=True, help="Request header by which keys are assigned.")
@click.option("--metric", metavar="NAME", required=True, help="What is tested, such as clicked.")
@click.option(
    "--source",
    type=click.Choice(("outcomes", "errors", "latency")),
    default="outcomes",
    show_default=True,
    help="Where its values come from: reported outcomes, or what the servers see themselves.",
)
@click.option("--better", type=click.Choice(("higher", "lower")), default="higher", show_default=True, help="Which is.")
@click.option(
    "--effect", type=click.FloatRange(min=0, min_open=True), required=True, help="Smallest difference worth knowing of."
)
@click.option(
    "--false-alarm-rate",
    type=click.FloatRange(0.0001, 0.2),
    default=0.05,
    show_default=True,
    help="How often a difference is seen where there is none, at most.",
)
def ab(
    key: str,
    metric: str,
    source: str,
    better: str,
    effect: float,
    false_alarm_rate: float,
    as_json: bool,
    **common: Any,
) -> None:
    """Begin an A/B experiment."""
    tested = {
        "name": metric,
        "source": source,
        "better": better,
        "effect": effect,
        "falseAlarmRate": false_alarm_rate,
    }
    _start({"kind": "ab", "keyHeader": key, "metric": tested}, as_json=as_json, **common)


def _start(
    wish: Json,
    *,
    directory: Path,
    model: str | None,
    environment: str,
    version: int | str | None,
    percent: int,
    duration: timedelta,
    reason: str,
    as_json: bool,
) -> None:
    from mlplatform.spec.quantities import format_duration

    place = {"model": session.model_name(directory, model), "environment": environment, "version": version}
    more = {"percent": percent, "duration": format_duration(duration), "reason": reason}
    with session.connected() as client:
        found = client.start_experiment({**wish, **place, **more})

    def human() -> None:
        versions = f"v{found['challenger']} beside v{found['champion']}"
        output.write(f"experiment {found['id']} tries {versions} of {found['model']} in {found['environment']}")
        if found["phase"] == "awaiting_approval":
            output.write(f"it waits for somebody else's approval:  platform experiment approve {found['id']}")
        output.write(f"see what comes of it:  platform experiment show {found['id']}")

    output.result(found, as_json=as_json, human=human)
