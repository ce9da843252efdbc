"""What commands print: results on standard output, everything else on standard error; colours only where they are seen."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
_MARKS = {
    "passed": "green",
    "met": "green",
    "promoted": "green",
    "ready": "green",
    "done": "green",
    "passing": "green",
    "succeeded": "green",
    "unchanged": "green",
    "failed": "red",
    "failing": "red",
    "missing": "red",
    "breached": "red",
    "rolled_back": "red",
    "refused": "red",
    "cancelled": "yellow",
    "pending": "yellow",
    "not_evaluated": "yellow",
    "waiting": "yellow",
    "held": "yellow",
}


def coloured(stream: TextIO) -> bool:
    """Say whether colours may be written: a terminal, and no ``NO_COLOR`` (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str | None, stream: TextIO) -> str:
    """Return the text in a colour, where the stream shows colours."""
    if style is None or not coloured(stream):
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def mark(state: str, width: int = 0, stream: TextIO | None = None) -> str:
    """Return a state word padded to a width, in its colour."""
    return paint(f"{state.replace('_', ' '):<{width}}", _MARKS.get(state), stream or sys.stdout)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell what is going on, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def warn(text: str) -> None:
    """Warn on standard error."""
    say(f"{paint('warning:', 'yellow', sys.stderr)} {text}")


def error(lines: Sequence[str]) -> None:
    """Print an error: the cause, then the rest indented."""
    first, *rest = lines
    say(f"{paint('error:', 'red', sys.stderr)} {first}")
    for line in rest:
        say("\n".join(f"  {part}" for part in line.splitlines()))


def write(text: str = "") -> None:
    """Print a line of the result on standard output."""
    sys.stdout.write(text + "\n")


def result(document: Any, *, as_json: bool, human: Callable[[], None]) -> None:
    """Print a command's result: the document with ``--json``, else in words."""
    if as_json:
        print_json(document)
    else:
        human()
        sys.stdout.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print an aligned table; nothing is cut off, so that it can be searched."""
    cells = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(header), *cells]) for index in range(len(header))]
    write(
        paint(
            "  ".join(f"{name:<{width}}" for name, width in zip(header, widths, strict=True)).rstrip(),
            "dim",
            sys.stdout,
        )
    )
    for line in cells:
        write("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def seconds(value: float) -> str:
    """Return a duration for people: ``0.4 s``, ``3 min 12 s``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal that something is going on, and for how long."""
    if not coloured(sys.stderr):
        yield
        return
    from rich.console import Console

    started = time.monotonic()
    console = Console(file=sys.stderr)
    with console.status(text) as status:
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(1.0):
                status.update(f"{text} {seconds(time.monotonic() - started)}")

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
