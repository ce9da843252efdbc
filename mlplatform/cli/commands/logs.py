"""``platform logs``."""

import json
import sys
import time
from pathlib import Path

import click

from mlplatform.cli import options, output, session


@options.command(
    "Show the logs of a model's replicas, each line with version and replica in front; -f follows them.",
    examples=["platform logs --env production", "platform logs -f --env production --version 8"],
)
@options.directory_option
@options.model_option
@options.environment_option
@click.option("--version", "version", type=click.IntRange(1), metavar="N", help="Only this version.")
@click.option(
    "--tail", type=click.IntRange(0, 10_000), default=200, show_default=True, help="How many lines to begin with."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until interrupted.")
def logs(
    directory: Path, model: str | None, environment: str, version: int | None, tail: int, follow: bool, as_json: bool
) -> None:
    """Print log lines; with --json --follow one JSON string a line, since there is no end to wait for."""
    from mlplatform.client import PlatformUnreachable

    name = session.model_name(directory, model)
    lines: list[str] = []
    connected = False
    with session.connected() as client:
        while True:
            try:
                for line in client.logs(name, environment, version=version, tail=tail, follow=follow):
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
