"""Scanning a data set column by column."""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlplatform.pii.findings import SHARE_THAT_CONFIRMS, Finding, Scan
from mlplatform.pii.hints import Hint, hint_of
from mlplatform.pii.patterns import entities_in
from mlplatform.redaction.checksums import card_valid

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 5_000
"""Rows of a column that are looked at, spread evenly over it."""
MAX_LANGUAGE_VALUES = 200
"""Distinct values of a column that the language model gets to read."""
_MAX_TEXT = 2_000
_HINT_BONUS = 0.4
_SHARE_BONUS = 0.3
_CATEGORY_VALUES = 12
_TEXT_WORDS = 4

_NAME_SHAPE = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:[ '’.,-]{1,2}[^\W\d_]+\.?){0,4}")
_CAPITALISED = re.compile(r"[A-ZÀ-ÖØ-Þ]")
_DATE = re.compile(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}|\d{1,2}\.? [A-Za-z]{3,9}\.? \d{4}|[A-Za-z]{3,9} \d{1,2},? \d{4}")
_IDENTIFIER = re.compile(r"(?=.*\d)[A-Z0-9][A-Z0-9 /-]{5,19}", re.IGNORECASE)
_NINE_DIGITS = re.compile(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}")
_PHONE_DIGITS = re.compile(r"\+?[\d ()./-]{9,20}")
_NUMBER_FORMS: dict[str, Callable[[str], bool]] = {
    "CREDIT_CARD": lambda text: len(text) >= 13 and card_valid(text),
    "US_SSN": lambda text: _NINE_DIGITS.fullmatch(text.zfill(9)) is not None,
    "PHONE_NUMBER": lambda text: 9 <= len(text) <= 15,
    "NATIONAL_ID": lambda text: 6 <= len(text) <= 15,
}
_ADDRESS_SHAPE = re.compile(r"(?=.*\d)(?=.*[^\W\d_]{3})\S+(?: \S+)+")


def scan_frame(frame: "pd.DataFrame", name: str) -> Scan:
    """Scan all columns of a data set; locations are ``<name>.<column>``."""
    scan = Scan(sampled=min(len(frame), MAX_ROWS), columns=frame.shape[1])
    for position, column in enumerate(frame.columns):
        scan.findings += scan_column(frame.iloc[:, position], str(column), f"{name}.{column}")
    if len(frame) > MAX_ROWS:
        scan.notes.append(f"{name}: {MAX_ROWS} of {len(frame)} rows were sampled, evenly spread")
    return scan


def scan_column(values: "pd.Series[Any]", column: str, location: str) -> list[Finding]:
    """Scan one column, with its name as context."""
    import pandas as pd

    hint = hint_of(column)
    sample = _sample(values)
    if pd.api.types.is_bool_dtype(sample.dtype):
        return []
    if pd.api.types.is_datetime64_any_dtype(sample.dtype):
        born = hint.entity == "DATE_OF_BIRTH" and len(sample) > 0
        return [Finding("DATE_OF_BIRTH", location, len(sample), len(sample), 0.9)] if born else []
    if pd.api.types.is_numeric_dtype(sample.dtype):
        return _scan_numbers(sample, hint, location)
    counts = _counted(sample)
    return _scan_texts(counts, hint, location)


def _sample(values: "pd.Series[Any]") -> "pd.Series[Any]":
    import numpy as np

    present = values.dropna()
    if len(present) <= MAX_ROWS:
        return present
    return present.iloc[np.linspace(0, len(present) - 1, MAX_ROWS).astype(int)]


def _counted(sample: "pd.Series[Any]") -> dict[str, int]:
    """Return each distinct value as text, with the number of rows that have it."""
    counts: dict[str, int] = defaultdict(int)
    for value in sample.tolist():
        if isinstance(value, bool | int | float):
            continue  # numbers in a mixed column are numbers
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if text.strip():
            counts[text[:_MAX_TEXT]] += 1
    return dict(counts)


def _scan_numbers(sample: "pd.Series[Any]", hint: Hint, location: str) -> list[Finding]:
    """Numbers say nothing by themselves, except card numbers; with a telling column name some are identifiers."""
    import pandas as pd

    if sample.empty or not (hint.entity or pd.api.types.is_integer_dtype(sample.dtype)):
        return []
    if not hint.entity and int(sample.max()) < 10**12:
        return []
    digits = [str(int(value)) for value in sample if float(value).is_integer()]
    for entity, fits in _NUMBER_FORMS.items():
        if entity not in {hint.entity, "CREDIT_CARD"}:
            continue
        count = sum(1 for text in digits if fits(text))
        # One number in ten has a right check digit by chance.
        if count >= 0.5 * len(sample):
            confidence = 0.9 if entity == hint.entity else 0.7
            return [Finding(entity, location, count, len(sample), confidence)]
    return []


def _scan_texts(counts: dict[str, int], hint: Hint, location: str) -> list[Finding]:
    rows = sum(counts.values())
    if not rows:
        return []
    hits: dict[str, int] = defaultdict(int)
    confidence: dict[str, float] = defaultdict(float)
    for text, count in counts.items():
        found = entities_in(text) if _may_hold_a_pattern(text) else {}
        if hint.entity and hint.entity not in found and _fits_hint(hint.entity, text):
            found[hint.entity] = 0.45
        for entity, score in found.items():
            hits[entity] += count
            confidence[entity] = max(confidence[entity], score)
    findings = []
    for entity, count in hits.items():
        score = confidence[entity]
        common = count / rows >= SHARE_THAT_CONFIRMS
        if entity == hint.entity and common:
            score += _HINT_BONUS
        elif common:
            score += _SHARE_BONUS
        findings.append(Finding(entity, location, count, rows, round(min(score, 0.99), 2)))
    # A telling column name with few fitting values is a question for the language model.
    findings = [finding for finding in findings if finding.entity != "PERSON" or finding.certain]
    asked = any(finding.entity == "PERSON" for finding in findings)
    return _surest([*findings, *([] if asked else _scan_language(counts, rows, hint, location))])


def _surest(findings: list[Finding]) -> list[Finding]:
    """Keep, of each kind, the finding with the most confidence."""
    best: dict[str, Finding] = {}
    for finding in findings:
        if finding.entity not in best or finding.confidence > best[finding.entity].confidence:
            best[finding.entity] = finding
    return list(best.values())


def _may_hold_a_pattern(text: str) -> bool:
    """Say whether the pattern pass could find anything: short words hold neither digits nor signs."""
    return len(text) > 5 and (any(character in "@:=_-" or character.isdigit() for character in text))


def _fits_hint(entity: str, text: str) -> bool:
    """Say whether a value can be what its column's name says, where a form alone would not tell."""
    text = text.strip()
    if entity == "PERSON":
        return bool(_NAME_SHAPE.fullmatch(text)) and len(text) > 1 and bool(_CAPITALISED.match(text))
    if entity == "DATE_OF_BIRTH":
        return bool(_DATE.search(text))
    if entity == "NATIONAL_ID":
        return bool(_IDENTIFIER.fullmatch(text))
    if entity == "US_SSN":
        return bool(_NINE_DIGITS.fullmatch(text))
    if entity == "PHONE_NUMBER":
        return bool(_PHONE_DIGITS.fullmatch(text)) and 9 <= sum(character.isdigit() for character in text) <= 15
    if entity == "STREET_ADDRESS":
        return bool(_ADDRESS_SHAPE.fullmatch(text))
    if entity == "IP_ADDRESS":
        return _is_address(text)
    return False


def _is_address(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _scan_language(counts: dict[str, int], rows: int, hint: Hint, location: str) -> list[Finding]:
    """Let the language model read what may be names or text, and nothing else."""
    texts = [text for text in counts if text.count(" ") + 1 >= _TEXT_WORDS and any(c.islower() for c in text)]
    if len(texts) >= 0.3 * len(counts):
        return _scan_prose(texts, counts, hint, location)
    names = [text for text in counts if _NAME_SHAPE.fullmatch(text) and _CAPITALISED.match(text)]
    # Few values over many rows are categories; people come in greater number.
    many = len(counts) > _CATEGORY_VALUES or len(counts) >= 0.5 * rows
    if not names or not (hint.people or (many and len(names) >= 0.5 * len(counts))):
        return []
    from mlplatform.pii.language import is_person

    read = _spread(names)
    people = [text for text in read if is_person(text)]
    share = len(people) / len(read)
    if share < 0.1 and len(people) < 2:
        return []
    score = 0.85 if share >= (SHARE_THAT_CONFIRMS if hint.people else 0.5) else 0.45
    count = sum(counts[text] for text in people)
    return [Finding("PERSON", location, count, sum(counts[text] for text in read), score)]


def _scan_prose(texts: list[str], counts: dict[str, int], hint: Hint, location: str) -> list[Finding]:
    from mlplatform.pii.language import entities_in_text

    read = _spread(texts)
    hits: dict[str, int] = defaultdict(int)
    score: dict[str, float] = defaultdict(float)
    for text in read:
        for entity, found in entities_in_text(text, hint.words).items():
            hits[entity] += counts[text]
            score[entity] = max(score[entity], found)
    sampled = sum(counts[text] for text in read)
    # The model takes a product for a person now and then; one in fifty texts is not yet a sign.
    return [
        Finding(entity, location, count, sampled, round(score[entity], 2))
        if entity != "PERSON" or count >= 0.05 * sampled
        else Finding(entity, location, count, sampled, 0.45)
        for entity, count in hits.items()
    ]


def _spread(values: list[str]) -> list[str]:
    if len(values) <= MAX_LANGUAGE_VALUES:
        return values
    step = len(values) / MAX_LANGUAGE_VALUES
    return [values[int(index * step)] for index in range(MAX_LANGUAGE_VALUES)]
