"""Print ``platform --help`` as click would, without importing click (which costs more than all the rest).

A test holds both outputs equal at several widths. Nothing here imports ``re``, ``shutil`` or ``textwrap`` for the same
reason.
"""

import os
import sys

from mlplatform.cli import table


def help_text(columns: int) -> str:
    """Return the help page for a terminal of that many columns."""
    width = max(min(columns, 80) - 2, 50)
    parts = [
        f"Usage: {table.PROGRAM} [OPTIONS] COMMAND [ARGS]...\n",
        _paragraph(table.SUMMARY, width),
        _definitions("Options", table.OPTIONS, width),
    ]
    parts += [
        _definitions(section, tuple((name, entry.help) for name, entry in entries.items()), width)
        for section, entries in table.SECTIONS.items()
    ]
    parts.append(_paragraph(table.EPILOG, width))
    return "\n".join(parts)


def terminal_columns() -> int:
    """Return the terminal's width as :func:`shutil.get_terminal_size` finds it."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns > 0:
        return columns
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


def _paragraph(text: str, width: int) -> str:
    return "".join(f"  {line}\n" for line in _wrapped(text, width - 2))


def _definitions(heading: str, rows: tuple[tuple[str, str], ...], width: int) -> str:
    first = max(len(term) for term, _ in rows) + 2
    text = f"{heading}:\n"
    for term, meaning in rows:
        lines = _wrapped(meaning, max(width - first - 2, 10))
        text += f"  {term:<{first}}{lines[0]}\n"
        text += "".join(f"  {'':<{first}}{line}\n" for line in lines[1:])
    return text


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
