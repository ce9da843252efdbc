"""``platform logs``."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session

_TRACE = re.compile(r"(?:[0-9a-f]{2}-)?(?P<id>[0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_LEVELS = ("debug", "info", "warning", "error", "critical")


class TraceType(click.ParamType[str]):
    """The id of a trace, or a traceparent that has it."""

    name = "trace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take 32 hexadecimal digits, in any case."""
        found = _TRACE.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no trace id: 32 hexadecimal digits", param, ctx)
        return found["id"]


@options.command(
    "Show the logs of all versions that are up, each line with version and replica in front; -f follows them.",
    examples=[
        "platform logs --env production --level warning --since 2h",
        "platform logs --env production --trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "platform logs -f --env production --version 8 --replica 0",
    ],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option("--version", "version", type=click.IntRange(1), metavar="N", help="Only this version, up or not.")
@click.option("--replica", type=click.IntRange(0), metavar="N", help="Only this replica.")
@click.option("--level", type=click.Choice(_LEVELS, case_sensitive=False), help="Only this level and graver ones.")
@click.option("--trace", type=TraceType(), metavar="ID", help="Only the requests of this trace.")
@click.option(
    "--since", type=options.MomentType(), metavar="TIME", help="Only from then on: 15m, or 2027-03-01T12:00 (UTC)."
)
@click.option("--grep", metavar="TEXT", help="Only lines with this text, in any case.")
@click.option(
    "--tail", type=click.IntRange(0, 10_000), default=200, show_default=True, help="How many lines to begin with."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until interrupted.")
def logs(
    directory: Path,
    model: str | None,
    environment: str,
    version: int | None,
    replica: int | None,
    level: str | None,
    trace: str | None,
    since: str | None,
    grep: str | None,
    tail: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Print log lines; with --json --follow one JSON string a line, since there is no end to wait for."""
    from mlplatform.client import PlatformUnreachable

    wanted: dict[str, str | int | None] = {
        "replica": replica,
        "level": level.upper() if level else None,
        "trace": trace,
        "since": since,
        "grep": grep or None,
    }
    name = session.model_name(directory, model)
    lines: list[str] = []
    connected = False
    with session.connected() as client:
        while True:
            try:
                found = client.logs(name, environment, version=version, tail=tail, follow=follow, **wanted)
                for line in found:
                    connected = True
                    if as_json and not follow:
                        lines.append(line)
                    else:
                        _print(line, as_json)
                break
            except PlatformUnreachable:
                if not (follow and connected):
                    raise
                output.say("the platform stopped answering; following again ...")
                tail = 0
                time.sleep(1.0)
    if as_json and not follow:
        output.print_json({"model": name, "environment": environment, "lines": lines})


def _print(line: str, as_json: bool) -> None:
    sys.stdout.write((json.dumps(line, ensure_ascii=False) if as_json else line) + "\n")
    sys.stdout.flush()
