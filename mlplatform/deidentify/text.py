"""Personal data within text, replaced by its kind."""

from mlplatform.pii.detectors import Text
from mlplatform.pii.language import PresidioDetector
from mlplatform.pii.patterns import STREET
from mlplatform.pii.prose import read
from mlplatform.redaction import redact

_PIECE = 900


def redacted(text: str, *, names: bool) -> str:
    """Return a text without what has a form and, with ``names``, without what the language model takes for people."""
    text = STREET.sub("[REDACTED:STREET_ADDRESS]", redact(text, addresses=True))
    if not names:
        return text
    pieces = _pieces(text)
    found = read(PresidioDetector(), [Text(piece) for piece in pieces], frozenset({"PERSON"}))
    done = []
    for piece, entities in zip(pieces, found, strict=True):
        for entity in sorted(entities, key=lambda entity: entity.start, reverse=True):
            if "[REDACTED" not in piece[entity.start : entity.end]:
                piece = f"{piece[: entity.start]}[REDACTED:{entity.kind}]{piece[entity.end :]}"
        done.append(piece)
    return "".join(done)


def _pieces(text: str) -> list[str]:
    """Return text in pieces that the model reads whole, cut at blanks where there are any."""
    pieces = []
    while len(text) > _PIECE:
        cut = text.rfind(" ", _PIECE // 2, _PIECE) + 1 or _PIECE
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]
