"""Texts whose places are filled in, with braces or with percent signs."""

import re

from scaffolder.cookiecutter.hooks.values import UNKNOWN, Text, Value, as_text


def braces_filled(owner: Text, arguments: list[Value], words: dict[str | None, Value]) -> Value:
    """Return what ``owner.format(...)`` is."""
    known = owner.known
    if known is None:
        return UNKNOWN
    text, position, number = Text(()), 0, 0
    for match in re.finditer(r"\{(\w*)\}", known):
        name = match[1]
        chosen: Value | None = words.get(name)
        if not name or name.isdigit():
            index = int(name) if name else number
            number += 1
            chosen = arguments[index] if index < len(arguments) else None
        piece = as_text(chosen) if chosen is not None else None
        if piece is None:
            return UNKNOWN
        text = text + Text.of(known[position : match.start()]) + piece
        position = match.end()
    return text + Text.of(known[position:])


def percents_filled(owner: Text, arguments: list[Value]) -> Value:
    """Return what ``owner % (...)`` is, where every place is ``%s``."""
    known = owner.known
    if known is None:
        return UNKNOWN
    texts = [as_text(argument) for argument in arguments]
    pieces = re.split(r"(%.)", known)
    places = [piece for piece in pieces[1::2] if piece != "%%"]
    if set(places) - {"%s"} or len(places) != len(texts) or None in texts:
        return UNKNOWN
    left = iter(texts)
    text = Text(())
    for number, piece in enumerate(pieces):
        found = next(left) if number % 2 and piece == "%s" else Text.of("%" if number % 2 else piece)
        assert found is not None
        text += found
    return text
