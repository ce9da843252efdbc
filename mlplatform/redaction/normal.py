"""Text as a reader sees it: what look-alikes, full-width digits and invisible characters stand for.

Personal data that was copied from a document, or written so as to slip through, looks the same to a person and different to
a pattern. The normal form is for looking only; it is not fit to be shown, since it spells Cyrillic words in Latin letters.
"""

import binascii
import re
import unicodedata
from base64 import b64decode
from collections.abc import Iterator

_LOOK_ALIKES = str.maketrans(
    # Cyrillic and Greek letters that are drawn like Latin ones (Unicode Technical Standard 39, confusables).
    "АВЕЅІЈКМНОРСТУХаеіјорсухѕԁԛԝһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν",
    "ABESIJKMHOPCTYXaeijopcyxsdqwhlABEZHIKMNOPTYXoav",
)
_SIGNS = str.maketrans("‐‑‒–—―−﹘﹣－·•∙⋅⁄∕", "----------....//")
_ENCODED = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,}+={0,2}")
_MAX_ENCODED = 65_536


def normal(text: str) -> str:
    """Return a text with compatibility forms folded (NFKC), format characters gone, and digits and look-alikes in ASCII."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text).translate(_SIGNS).translate(_LOOK_ALIKES)
    return "".join(_plain(character) for character in folded if unicodedata.category(character) != "Cf")


def unmarked(text: str) -> str:
    """Return a text without invisible characters: those that join, separate or turn the direction of writing."""
    if text.isascii():
        return text
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def _plain(character: str) -> str:
    if character.isascii() or not character.isdecimal():
        return character
    return str(unicodedata.decimal(character))


def encoded_in(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Return the runs of base64 (RFC 4648, either alphabet) in a text that hold readable text, each with that."""
    for match in _ENCODED.finditer(text):
        decoded = _decoded(match.group())
        if decoded is not None:
            yield match, decoded


def _decoded(token: str) -> str | None:
    """Return the text that a token encodes; hashes, paths and identifiers give no UTF-8 as good as always."""
    token = token.rstrip("=")[:_MAX_ENCODED]
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        content = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_" if "-" in token or "_" in token else None)
        decoded = content.decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return decoded if all(character.isprintable() or character in "\r\n\t" for character in decoded) else None
