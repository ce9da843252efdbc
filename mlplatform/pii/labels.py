"""How columns are called in results: names can be personal data too, as in a table that was turned on its side."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlplatform.pii.columns import Reader
from mlplatform.pii.detectors import people_among
from mlplatform.pii.findings import THRESHOLD
from mlplatform.pii.hints import Hint, hint_of
from mlplatform.pii.patterns import entities_in
from mlplatform.redaction import redact

_MAX_NAME = 200
_LEAST_PEOPLE = 3
_MOST_READ = 300
_TWO_NAMES = re.compile(r"[A-ZÀ-ÖØ-Þ][^\W\d_]{1,20}(?:[-'’][^\W\d_]{1,20})?(?: [A-ZÀ-ÖØ-Þ][^\W\d_'’-]{1,25}){1,2}")
_HIDDEN = "[REDACTED:{}]"


@dataclass(frozen=True)
class Label:
    """A column's name as it may be shown, and what the name itself holds."""

    shown: str
    holds: dict[str, float] = field(default_factory=dict)


def labels_of(names: Sequence[str], reader: Reader) -> dict[str, Label]:
    """Return a label for each column; a single name of a person is not told from a product, three are."""
    people = _people_in(names, reader)
    return {name: _label(name, people.get(name)) for name in names}


def hint_of_path(name: str) -> Hint:
    """Return what a column's name says; of a nested one the last part counts first."""
    last = re.split(r"[.\[\]]+", name.rstrip("[]"))[-1]
    hint = hint_of(last)
    return hint if hint.entity or last == name else hint_of(name)


def _label(name: str, person: str | None) -> Label:
    name = name[:_MAX_NAME]
    holds = {kind: score for kind, score in entities_in(name).items() if score >= THRESHOLD}
    shown = redact(name)
    if person is not None:
        holds["PERSON"] = 0.75
        shown = shown.replace(person, _HIDDEN.format("PERSON"))
    if holds and shown == name:
        shown = _HIDDEN.format(next(iter(holds)))
    return Label(shown, holds)


def _people_in(names: Sequence[str], reader: Reader) -> dict[str, str]:
    """Return the columns that are called by a person, as ``Ada Lovelace`` or, by an encoder, ``client_Ada Lovelace``."""
    called = {name: re.split(r"[_=.\[\]]", name)[-1].strip() for name in names[:_MAX_NAMES]}
    called = {name: last for name, last in called.items() if _TWO_NAMES.fullmatch(last)}
    if len(called) < _LEAST_PEOPLE:
        return {}
    people = people_among(reader.detector, sorted(set(called.values()))[:_MOST_READ])
    if len(people) < max(_LEAST_PEOPLE, len(called) // 2):
        return {}
    return {name: last for name, last in called.items() if last in people}


_MAX_NAMES = 10_000
