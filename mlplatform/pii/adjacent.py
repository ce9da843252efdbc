"""Personal data that is split over neighbouring columns: four digits of a card in each, the two halves of an address."""

import re
from collections.abc import Sequence

from mlplatform.pii.evidence import Evidence, Seen
from mlplatform.pii.hints import hint_of
from mlplatform.redaction.checksums import IBAN_LENGTHS, card_valid, iban_valid
from mlplatform.redaction.normal import normal

MAX_ROWS = 400
MAX_CELL = 64
_MAX_WINDOW = 9
_MAX_COLUMNS = 500
_SCORE = 0.55
_UNSURE = 0.2
_EMAIL = re.compile(r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}")
_IBAN_START = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{0,8}")
_SSN_WIDTHS = (3, 2, 4)


def read_together(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[tuple[int, ...], Evidence]:
    """Return what neighbouring columns hold together and none of them alone, by the numbers of the columns."""
    columns = [_texts(column) for column in list(zip(*rows, strict=True))[:_MAX_COLUMNS]]
    kept = [column if column is not None else [] for column in columns]
    found: dict[tuple[int, ...], Evidence] = {}
    for first in range(len(kept)):
        for last in range(first + 1, min(first + _MAX_WINDOW, len(kept))):
            window = kept[first : last + 1]
            if not window[-1] or not window[0]:
                break
            evidence = _read(window, names[first : last + 1])
            if evidence is not None:
                found[tuple(range(first, last + 1))] = evidence
    return found


def _texts(column: Sequence[object]) -> list[str] | None:
    """Return short cells as text, numbers with the zeros that they lost at their front; nothing for other columns."""
    if any(isinstance(cell, bool | float) for cell in column):
        return None
    numbers = all(isinstance(cell, int) for cell in column if cell is not None)
    cells = [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell or "") for cell in column]
    cells = [normal(cell).strip() for cell in cells]
    if not any(cells) or any(len(cell) > MAX_CELL for cell in cells):
        return None
    if numbers:
        width = max(map(len, cells))
        cells = [str(cell).zfill(width) if cell is not None else "" for cell in column]
    return cells


def _read(window: Sequence[Sequence[str]], names: Sequence[str]) -> Evidence | None:
    evidence = Evidence()
    hints = {hint_of(name).entity for name in names}
    for cells in zip(*window, strict=True):
        if not all(cells):
            continue
        evidence.texts += 1
        kind = _kind(cells, hints)
        if kind:
            # Three numbers of these widths are anything, unless a name says otherwise.
            sure = kind != "US_SSN" or not hints.isdisjoint({"US_SSN", "NATIONAL_ID"})
            evidence.formed.setdefault(kind, Seen()).add(1, _SCORE if sure else _UNSURE)
    evidence.rows = evidence.texts
    return evidence if evidence.formed else None


def _kind(cells: Sequence[str], hints: set[str | None]) -> str | None:
    joined = "".join(cells)
    if joined.isascii() and joined.isdigit():
        # A cell that is a number by itself is another matter: its own column tells.
        if 13 <= len(joined) <= 19 and max(map(len, cells)) < 13 and card_valid(joined):
            return "CREDIT_CARD"
        if tuple(map(len, cells)) == _SSN_WIDTHS and joined[:3] not in {"000", "666"} and joined[0] != "9":
            return "US_SSN"
        return None
    if _IBAN_START.fullmatch(cells[0]) and len(joined) == IBAN_LENGTHS.get(joined[:2]) and iban_valid(joined):
        return "IBAN_CODE"
    at = "@" if "EMAIL_ADDRESS" in hints and "@" not in joined and len(cells) == 2 else ""
    if ("@" in joined or at) and _EMAIL.fullmatch(at.join(cells)) and not any(_EMAIL.fullmatch(cell) for cell in cells):
        return "EMAIL_ADDRESS"
    return None
