"""What finds personal data in text, whoever made it: one small interface."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

KINDS = frozenset({"PERSON", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "US_SSN"})
"""Personal data that Presidio looks for in text."""
NO_PEOPLE = frozenset({"LOCATION", "ORGANIZATION", "DATE_TIME", "NRP"})
"""What else a language model takes capitalised words for: no personal data, but it speaks against a person."""


@dataclass(frozen=True)
class Text:
    """One text to look at."""

    value: str
    context: tuple[str, ...] = ()
    """Words that say where it comes from: those of its column's name."""


@dataclass(frozen=True)
class Entity:
    """Personal data of one kind at one place of a text."""

    kind: str
    """Presidio's name of the kind, where it has one; services' own names are mapped to it."""
    start: int
    end: int
    score: float
    """From 0 to 1, as the detector is sure."""


class Detector(Protocol):
    """Finds personal data in texts: Presidio, Google DLP, Amazon Macie or another."""

    @property
    def name(self) -> str:
        """What it is called in results: ``presidio``, ``dlp``, ``macie``."""

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Return what each text holds, in the order of the texts; with ``kinds`` only of these kinds.

        Raises:
            DetectionFailed: the detector could not answer for all of the texts.
        """


class DetectionFailed(Exception):
    """A detector that can't be used as it is set up, or a service that did not answer."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


def best_of(entities: Iterable[Entity]) -> dict[str, float]:
    """Return the kinds among entities, each with its best score."""
    found: dict[str, float] = {}
    for entity in entities:
        found[entity.kind] = max(entity.score, found.get(entity.kind, 0.0))
    return found


_SENTENCE = "Yesterday {} called us."


def people_among(detector: Detector, values: Sequence[str]) -> set[str]:
    """Return the short values that are names of people, by how each reads in a sentence and, if of several words, alone."""
    person = frozenset({"PERSON"})
    in_sentence = detector.detect([Text(_SENTENCE.format(value)) for value in values], person)
    start = _SENTENCE.index("{")
    read = [value for value, found in zip(values, in_sentence, strict=True) if _covers(found, start, value)]
    several = [value for value in read if " " in value.strip()]
    alone = dict(zip(several, detector.detect([Text(value) for value in several], person), strict=True))
    return {value for value in read if value not in alone or _covers(alone[value], 0, value)}


def _covers(found: Sequence[Entity], start: int, value: str) -> bool:
    end = start + len(value)
    return any(
        min(entity.end, end) - max(entity.start, start) >= 0.8 * len(value)
        for entity in found
        if entity.kind == "PERSON"
    )
