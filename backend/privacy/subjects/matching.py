"""Recognising a person in text without knowing the person: words are hashed with a key and compared with what was asked for.

An identifier is one or more words. A text holds it when its words hold them in a row, whatever their case, Unicode form, and
whatever punctuation is between; so ``Ada Lovelace`` is found in ``"name": "ada  LOVELACE"``, and ``C-1001`` not in ``C-10012``.
"""

import json
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

_WORD = re.compile(r"[\w@.+'-]+")
_EDGES = ".+'-_@"
_LEAST_CHARACTERS = 5
_MOST_WORDS = 8
_MOST_KNOWN = 200_000


class Unsearchable(ValueError):
    """An identifier that can't be looked for; the message does not hold it."""


def words(text: str) -> list[str]:
    """Return a text's words in the form they are compared in."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [word for found in _WORD.findall(folded) if (word := found.strip(_EDGES))]


def identifier(text: str) -> tuple[str, int]:
    """Return an identifier in the form that is hashed, and how many words it has.

    Raises:
        Unsearchable: it is too short to mean one person, or too long to be one.
    """
    found = words(text)
    whole = " ".join(found)
    if len(whole) - len(found) + 1 < _LEAST_CHARACTERS:
        raise Unsearchable(
            f"has fewer than {_LEAST_CHARACTERS} letters and digits, and would be found in others' data too"
        )
    if len(found) > _MOST_WORDS:
        raise Unsearchable(f"has more than {_MOST_WORDS} words")
    return whole, len(found)


class Matcher:
    """Says whether a value holds one of the identifiers. Hashes are remembered, as most values come often."""

    def __init__(self, hashed: Callable[[bytes], str], hashes: Iterable[str], lengths: Iterable[int]) -> None:
        self._hashed, self._hashes = hashed, frozenset(hashes)
        self._lengths = sorted(set(lengths))
        self._known: OrderedDict[str, bool] = OrderedDict()

    def in_text(self, text: str) -> bool:
        """Say whether a text holds one, also where it is escaped as in JSON or URLs."""
        if self._in_words(words(text)):
            return True
        if "%" in text and self._in_words(words(unquote(text))):
            return True
        if "\\" in text:
            try:
                return self.in_value(json.loads(text))
            except (ValueError, RecursionError):
                return False
        return False

    def in_value(self, value: Any) -> bool:
        """Say whether a cell or JSON value holds one, anywhere in it. Booleans and fractions hold nobody."""
        match value:
            case str():
                return self.in_text(value)
            case bytes():
                return self.in_text(value.decode("utf-8", "replace"))
            case bool() | float() | None:
                return False
            case dict():
                return any(self.in_value(key) or self.in_value(one) for key, one in value.items())
            case list() | tuple() | set():
                return any(self.in_value(one) for one in value)
        return self.in_text(str(value))

    def _in_words(self, found: list[str]) -> bool:
        return any(
            self._is_one(" ".join(found[start : start + length]))
            for length in self._lengths
            for start in range(len(found) - length + 1)
        )

    def _is_one(self, text: str) -> bool:
        known = self._known.get(text)
        if known is None:
            known = self._hashed(text.encode()) in self._hashes
            self._known[text] = known
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return known
