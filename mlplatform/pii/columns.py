"""Scanning a data set column by column."""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlplatform.pii.detectors import Detector, Text, best_of, people_among
from mlplatform.pii.evidence import Evidence, Seen
from mlplatform.pii.findings import SHARE_THAT_CONFIRMS, THRESHOLD, Finding, Scan
from mlplatform.pii.hints import Hint, hint_of
from mlplatform.pii.identifiers import BY_CHANCE, identifiers_in
from mlplatform.pii.patterns import entities_in
from mlplatform.pii.prose import kinds_in
from mlplatform.pii.recognizers import OwnRecognizers
from mlplatform.pii.values import Values, of_series
from mlplatform.redaction.checksums import card_valid
from mlplatform.redaction.normal import normal, unmarked

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 5_000
"""Rows of a column that are looked at, spread evenly over it."""
MAX_LANGUAGE_VALUES = 200
"""Distinct values of a column that the language model gets to read."""
_HINT_BONUS = 0.4
_SHARE_BONUS = 0.3
_CATEGORY_VALUES = 12
_TEXT_WORDS = 4
_LONE_SHARE = 0.1
"""Share of sentences with a lone name from which on it is told, if less certain than a gate asks for."""

_NAME_SHAPE = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:[ '’.,-]{1,2}[^\W\d_]+\.?){0,6}")
_FULL_NAME = re.compile(
    r"[A-ZÀ-ÖØ-Þ][^\W\d_'’.-]+(?:[ '’-]{1,2}(?:de|del|der|di|da|du|la|las|los|le|van|von|y|e|d|[A-ZÀ-ÖØ-Þ][^\W\d_]*\.?)){1,6}"
)
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


def scan_frame(frame: "pd.DataFrame", name: str, reader: "Reader | None" = None) -> Scan:
    """Scan all columns of a data set; locations are ``<name>.<column>``."""
    reader = reader or Reader()
    scan = Scan(sampled=min(len(frame), MAX_ROWS), columns=frame.shape[1])
    for position, column in enumerate(frame.columns):
        scan.findings += scan_column(frame.iloc[:, position], str(column), f"{name}.{column}", reader)
    if len(frame) > MAX_ROWS:
        scan.notes.append(f"{name}: {MAX_ROWS} of {len(frame)} rows were sampled, evenly spread")
    return scan


def scan_column(values: "pd.Series[Any]", column: str, location: str, reader: "Reader") -> list[Finding]:
    """Scan one column, with its name as context."""
    hint = hint_of(column)
    return judge(reader.read(of_series(_sample(values)), hint), hint, location)


def _sample(values: "pd.Series[Any]") -> "pd.Series[Any]":
    import numpy as np

    present = values.dropna()
    if len(present) <= MAX_ROWS:
        return present
    return present.iloc[np.linspace(0, len(present) - 1, MAX_ROWS).astype(int)]


class Reader:
    """Looks at values: the pattern pass and the organisation's own recognisers at all, the detector at names and text."""

    def __init__(
        self,
        detector: Detector | None = None,
        own: OwnRecognizers | None = None,
        most: int | None = MAX_LANGUAGE_VALUES,
    ) -> None:
        self._detector = detector
        self.own = own
        """The organisation's own recognisers."""
        self._most = most

    @property
    def detector(self) -> Detector:
        """The detector, Presidio unless another was given."""
        if self._detector is None:
            from mlplatform.pii.language import PresidioDetector

            self._detector = PresidioDetector()
        return self._detector

    def read(self, values: Values, hint: Hint) -> Evidence:
        """Return what is seen in some rows of a column."""
        seen = Evidence(rows=values.rows, texts=sum(values.texts.values()), numbers=len(values.numbers))
        seen.moments, seen.cut = values.moments, values.cut
        if values.numbers:
            self._read_numbers(values, hint, seen)
        for text, count in values.texts.items():
            found = entities_in(text) if _may_hold_a_pattern(text) else {}
            if hint.entity and hint.entity not in found and _fits_hint(hint, text):
                found[hint.entity] = 0.45
            for entity, score in found.items():
                seen.formed.setdefault(entity, Seen()).add(count, score)
        if self.own is not None:
            self._read_own(self.own, values.texts, hint, seen)
        named = seen.formed.get("PERSON")
        if values.texts and not (named and named.count >= SHARE_THAT_CONFIRMS * seen.texts):
            self._read_language(values.texts, seen.texts, hint, seen)
        return seen

    def _read_numbers(self, values: Values, hint: Hint, seen: Evidence) -> None:
        """Numbers say nothing by themselves, except card numbers; with a telling column name some are identifiers."""
        if not (hint.entity or values.are_integers) or (not hint.entity and max(values.numbers) < 10**9):
            return
        digits = [str(int(value)) for value in values.numbers if float(value).is_integer()]
        for entity, fits in _NUMBER_FORMS.items():
            if entity in {hint.entity, "CREDIT_CARD"}:
                count = sum(1 for text in digits if fits(text))
                if count:
                    seen.numeric[entity] = Seen(count, 0.9 if entity == hint.entity else 0.7)
        for text, count in Counter(text for text in digits if 9 < len(text) < 16).items():
            for entity in identifiers_in(text):
                seen.numeric.setdefault(entity, Seen()).add(count, 0.7)

    def _read_own(self, own: OwnRecognizers, texts: dict[str, int], hint: Hint, seen: Evidence) -> None:
        found = own.detect([Text(text, hint.words) for text in texts])
        for count, entities in zip(texts.values(), found, strict=True):
            for kind, score in best_of(entity for entity in entities if entity.kind != "PERSON").items():
                seen.formed.setdefault(kind, Seen()).add(count, score)

    def _read_language(self, counts: dict[str, int], rows: int, hint: Hint, seen: Evidence) -> None:
        """Let the detector read what may be names or text, and nothing else."""
        full = sum(1 for text in counts if _FULL_NAME.fullmatch(text)) >= 0.6 * len(counts)
        texts = [text for text in counts if text.count(" ") + 1 >= _TEXT_WORDS and any(c.islower() for c in text)]
        if len(texts) >= 0.3 * len(counts) and not full:
            self._read_prose(texts, counts, hint, seen)
            return
        names = [text for text in counts if _NAME_SHAPE.fullmatch(text) and _CAPITALISED.match(text)]
        if hint.things:
            # One word under such a name is what the name says; two may still be somebody.
            names = [text for text in names if " " in text]
        # Few values over many rows are categories; people come in greater number.
        many = len(counts) > _CATEGORY_VALUES or len(counts) >= 0.5 * rows
        if not names or not (hint.people or (many and len(names) >= 0.5 * len(counts))):
            return
        read = self._chosen(names, seen)
        people = people_among(self.detector, read)
        seen.name_rows = sum(counts[text] for text in read)
        seen.names = Seen(sum(counts[text] for text in read if text in people), 0.45)
        seen.names_read, seen.people_read = len(read), len(people)
        seen.full_names = len(read) if full else 0

    def _read_prose(self, texts: list[str], counts: dict[str, int], hint: Hint, seen: Evidence) -> None:
        read = self._chosen(texts, seen)
        found = kinds_in(self.detector, [Text(text, hint.words) for text in read])
        for text, kinds in zip(read, found, strict=True):
            for entity, score in kinds.items():
                if score >= THRESHOLD or entity not in {"PERSON", "STREET_ADDRESS"}:
                    seen.prose.setdefault(entity, Seen()).add(counts[text], score)
                elif entity == "PERSON":
                    seen.lone.add(counts[text], score)
        seen.prose_rows = sum(counts[text] for text in read)

    def _chosen(self, texts: list[str], seen: Evidence) -> list[str]:
        if self._most is None or len(texts) <= self._most:
            return texts
        seen.unread = len(texts) - self._most
        step = len(texts) / self._most
        return [texts[int(index * step)] for index in range(self._most)]


def judge(seen: Evidence, hint: Hint, location: str) -> list[Finding]:
    """Return the findings that evidence amounts to."""
    findings = []
    if seen.moments and hint.entity == "DATE_OF_BIRTH":
        findings.append(Finding("DATE_OF_BIRTH", location, seen.moments, seen.rows, 0.9))
    for entity, found in seen.numeric.items():
        # One number in ten has a right check digit by chance.
        if found.count >= 0.5 * seen.numbers:
            findings.append(Finding(entity, location, found.count, seen.numbers, found.score))
            break
    for entity, found in seen.formed.items():
        score = found.score
        common = found.count / seen.texts >= (0.5 if entity in BY_CHANCE else SHARE_THAT_CONFIRMS)
        if entity == hint.entity and common:
            score += _HINT_BONUS
        elif common:
            score += _SHARE_BONUS
        findings.append(Finding(entity, location, found.count, seen.texts, round(min(score, 0.99), 2)))
    # A telling column name with few fitting values is a question for the language model.
    findings = [finding for finding in findings if finding.entity != "PERSON" or finding.certain]
    # Streets are called after people.
    streets = seen.formed.get("STREET_ADDRESS")
    told = streets is not None and streets.count >= SHARE_THAT_CONFIRMS * seen.texts
    if told or any(finding.entity == "PERSON" for finding in findings):
        return _surest(findings)
    return _surest([*findings, *_judge_prose(seen, hint, location), *_judge_names(seen, hint, location)])


def _judge_names(seen: Evidence, hint: Hint, location: str) -> list[Finding]:
    share = seen.people_read / seen.names_read if seen.names_read else 0
    if share < 0.1 and seen.people_read < 2:
        return []
    # The model knows few names of other languages: where all values have the form of names, fewer have to be known.
    formed = not hint.things and seen.full_names >= 0.9 * seen.names_read
    score = 0.85 if share >= (SHARE_THAT_CONFIRMS if hint.people or formed else 0.5) else 0.45
    return [Finding("PERSON", location, seen.names.count, seen.name_rows, score)]


def _judge_prose(seen: Evidence, hint: Hint, location: str) -> list[Finding]:
    findings = [
        Finding(entity, location, found.count, seen.prose_rows, round(found.score, 2))
        for entity, found in seen.prose.items()
        if entity != "PERSON"
    ]
    sure = seen.prose.get("PERSON", Seen())
    count = sure.count + seen.lone.count
    # The model takes a product for a person now and then; one in fifty texts is not yet a sign.
    if sure.count and sure.count >= 0.05 * seen.prose_rows and not hint.things:
        findings.append(Finding("PERSON", location, count, seen.prose_rows, round(sure.score, 2)))
    elif sure.count or (seen.lone.count and seen.lone.count >= _LONE_SHARE * seen.prose_rows):
        findings.append(Finding("PERSON", location, count, seen.prose_rows, 0.45))
    return findings


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


def _fits_hint(hint: Hint, text: str) -> bool:
    """Say whether a value can be what its column's name says, where a form alone would not tell."""
    text = normal(text).strip() if hint.entity != "PERSON" else unmarked(text).strip()
    entity = hint.entity
    if entity == "PERSON":
        # Arabic, Hebrew, Chinese and others know no capitals.
        starts = bool(_CAPITALISED.match(text)) or (len(text) > 1 and text[0].lower() == text[0].upper())
        return bool(_NAME_SHAPE.fullmatch(text)) and len(text) > 1 and (starts or hint.own_name)
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
