"""Figures over time as one line of text, where a terminal has no room for a graph."""

from collections.abc import Callable, Sequence

_BARS, _ASCII = "▁▂▃▄▅▆▇█", "_.-=+*#@"


def bars(encoding: str | None) -> str:
    """Return eight characters of growing height that a stream can write."""
    try:
        _BARS.encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return _ASCII
    return _BARS


def gathered(
    values: Sequence[float | None], width: int, together: Callable[[Sequence[float]], float]
) -> list[float | None]:
    """Return at most ``width`` values, each of neighbours ``together``; where all of them are unknown it is, too."""
    if len(values) <= width:
        return list(values)
    found: list[float | None] = []
    for index in range(width):
        some = values[index * len(values) // width : (index + 1) * len(values) // width]
        told = [one for one in some if one is not None]
        found.append(together(told) if told else None)
    return found


def sparkline(values: Sequence[float | None], characters: str) -> str:
    """Return a character for each value, between nothing and the largest; a space where a value is unknown."""
    most = max((one for one in values if one is not None), default=0.0)
    last = len(characters) - 1
    return "".join(
        " " if one is None else characters[0] if most <= 0 else characters[min(round(one / most * last), last)]
        for one in values
    )
