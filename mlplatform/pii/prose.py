"""People in sentences, where a name may stand by itself.

A column of names is judged as a column (:mod:`mlplatform.pii.columns`), and strictly. In a sentence there is context instead: a
title or a label before a name says that it is one. What a model overlooks or takes for a place is read once more, in a sentence
in which only a person makes sense.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlplatform.pii.detectors import NO_PEOPLE, Detector, Entity, Text, best_of, people_among
from mlplatform.redaction.checksums import card_valid

FULL = 0.85
"""Confidence in a given and a family name."""
TOLD = 0.65
"""In a name that its context says is one, or that only the second reading has seen."""
LONE = 0.45
"""In one capitalised word that the model takes for a person: a product or a place as often as not, so no gate fails on it."""
_MOST_READ_AGAIN = 400
_TOKEN = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?\.?")
_PARTICLES = frozenset(
    (
        *("de", "da", "do", "dos", "das", "del", "della", "der", "den", "di", "du", "la", "las", "le", "los", "y", "e"),
        *("van", "von", "vom", "zu", "zum", "zur", "ten", "ter", "af", "av", "bin", "ibn", "al", "el"),
    )
)
_TITLES = (
    "mr|mrs|ms|miss|mx|dr|prof|professor|doctor|sir|madam|herr|herrn|frau|monsieur|madame|mademoiselle|mme|mlle|maître"
    "|señora?|señorita|sra?|srta|don|doña|signora?|signore|sig|dott|mevrouw|mevr|dhr|meneer|senhora?|fru|pan|pani"
)
_OWNED = frozenset({"my", "our", "your", "his", "her", "its", "their", "the", "a", "an", "this", "that"})
"""What stands before things more often than before people: ``My MacBook Pro``."""
_IS_TITLE = re.compile(rf"(?i)(?:{_TITLES})\.?")
_TITLE = re.compile(rf"(?i)(?<!\w)(?:{_TITLES})\.?\s+$")
_LABEL = re.compile(
    r"(?i)(?<!\w)(?:(?:full |first |last |given |family |sur|maiden )?name|vorname|nachname|nom|prénom|nombre|apellidos?|nome"
    r"|naam|customer|patient|client|kunde|kundin|cliente?|employee|applicant|attn|contact|signed)"
    r"(?:\s*[:=]\s*|\s+(?:is|was|ist|war|est|es|è)\s+)$"
)
_GREETING = re.compile(
    r"(?i)(?:^|[\n.!?\"'>]\s*)(?:hi|hello|hey|dear|hallo|liebe[rs]?|guten tag|bonjour|salut|chère?|hola|estimad[oa]|querid[oa]"
    r"|ciao|gentile|cara|caro|beste|geachte|thanks|thank you|regards|sincerely|cheers|gruß|grüße)\s*,?\s+$"
)
_RELATION = re.compile(
    r"(?i)(?<!\w)(?:my|his|her|their|our|your)\s+(?:late\s+|ex-?|older\s+|younger\s+|little\s+)?(?:wife|husband|son|daughter|brother"
    r"|sister|mother|father|kid|child|partner|friend|boss|manager|colleague|neighbou?r|cousin|uncle|aunt|nephew|niece|assistant)\s*,?\s+$"
)
_INTRODUCED = re.compile(
    r"(?i)(?<!\w)(?:i['’]?m|i am|this is|it['’]?s|ich bin|je suis|soy|sono|ik ben|(?:is|was|me|him|her) (?:called|named))\s+$"
)
_DOES = re.compile(
    r"(?:['’]s)?[,\s]+(?:said|says|wrote|writes|asked|asks|told|tells|called|calls|replied|answered|explained|lives|lived|works|worked"
    r"|married|died|and (?:his|her)|who)\b"
)
_SPOKE = re.compile(r"(?i)\b(?:said|says|asked|asks|told|replied|by|with|from|to|met|meet|called|call|of)\s+$")
_NUMBER_BEFORE = re.compile(r"\d[\w/-]*,?[ \t]+$")
_NUMBER_AFTER = re.compile(r"[ \t]+\d{1,5}[a-z]?(?![\d:.,]*\d)(?!\w)")
_OF_PLACES = re.compile(
    r"(?i)(?<!\w)(?:street|st|avenue|avda|ave|road|rd|boulevard|blvd|lane|ln|drive|way|court|square|terrace|crescent|place|suite|apt|box"
    r"|rue|via|calle|avenida|travessa|rua|ulica|laan|straat|\w{2,}(?:straße|strasse|gasse|platz|weg|straat))(?!\w)"
)
_CALLED_AT = re.compile(
    r"(?i)(?<!\w)(?:call|phone|telephone|tel|telefon\w*|mobile|mobil|cell|fax|dial|ring|text|sms|whatsapp|handy|appel\w*|ll[aá]m\w*|anrufen)"
    r"(?!\w)[^\d\n(+]{0,25}(\+?\(?\d(?:[ ()./-]{0,2}\d){6,14})(?![\w-])(?!\.\d)"
)
_NO_PHONE = re.compile(
    r"\d{4}[-/.]\d\d[-/.]\d\d|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d+\.\d+|\d{1,3}(?:\.\d{1,3}){3}|\d{3}-\d\d-\d{4}|(?:\D*\d){1,6}\D*"
)
"""A date, a decimal number, an address of the Internet, a social security number, or too short."""
_LINE_ENDS = re.compile(r"\n|[ \t]{2}")
_ESCAPED = re.compile(r"\\[nrt]")
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:;>\n\"“«(]\s*|[-–—*•]\s+)$")


@dataclass(frozen=True)
class _Run:
    """Capitalised words in a row, with the particles between them."""

    start: int
    end: int
    words: int
    opens: bool
    """Whether a sentence begins with it, where any word is capitalised."""


@dataclass(frozen=True)
class _Doubt:
    """What is read once more, and how sure a yes makes it."""

    index: int
    start: int
    end: int
    score: float


def kinds_in(detector: Detector, texts: Sequence[Text]) -> list[dict[str, float]]:
    """Return the kinds that each text holds, each with the best confidence."""
    return [best_of(entities) for entities in read(detector, texts)]


def read(detector: Detector, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
    """Return what a detector finds in sentences, people also where it overlooks them at first.

    Who gives a street its name is told as a street.

    Raises:
        DetectionFailed: the detector could not answer.
    """
    found: list[list[Entity]] = []
    doubts: list[_Doubt] = []
    wanted = None if kinds is None else kinds | NO_PEOPLE
    # A line break that is written out is one to a reader, and glues words together for a model.
    texts = [replace(text, value=_ESCAPED.sub("  ", text.value)) if "\\" in text.value else text for text in texts]
    for index, (text, entities) in enumerate(zip(texts, detector.detect(texts, wanted), strict=True)):
        kept = [
            entity
            for entity in entities
            if entity.kind not in NO_PEOPLE and entity.kind != "PERSON" and not _is_other_number(text.value, entity)
        ]
        people = [
            _rated(text.value, entity) for entity in entities if entity.kind == "PERSON" and not _within(entity, kept)
        ]
        kept += [person for person in people if person is not None]
        if kinds is None or "PHONE_NUMBER" in kinds:
            kept += [
                Entity("PHONE_NUMBER", match.start(1), match.end(1), LONE)
                for match in _CALLED_AT.finditer(text.value)
                if not _NO_PHONE.fullmatch(match.group(1))
            ]
        others = [entity for entity in entities if entity.kind in NO_PEOPLE]
        for run in _runs(text.value):
            if any(entity.start < run.end and run.start < entity.end for entity in kept):
                continue
            told = _told(text.value, run)
            if told is not None:
                kept.append(Entity("PERSON", run.start, run.end, told))
            elif (score := _worth_reading(text.value, run, others)) is not None:
                doubts.append(_Doubt(index, run.start, run.end, score))
        found.append(kept)
    doubts = doubts[:_MOST_READ_AGAIN]
    values = [texts[doubt.index].value[doubt.start : doubt.end] for doubt in doubts]
    people_again = people_among(detector, sorted(set(values))) if values else set()
    for doubt, value in zip(doubts, values, strict=True):
        if value in people_again:
            found[doubt.index].append(Entity("PERSON", doubt.start, doubt.end, doubt.score))
    return found


def _rated(text: str, entity: Entity) -> Entity | None:
    words = [match.group() for match in _TOKEN.finditer(text[entity.start : entity.end])]
    if not any(_begins_name(word) for word in words):
        return None
    if _in_address(text, entity.start, entity.end, len(words)):
        return Entity("STREET_ADDRESS", entity.start, entity.end, LONE)
    if words[0].lower() in _OWNED:
        return Entity("PERSON", entity.start, entity.end, LONE)
    if sum(word[0].isupper() for word in words) > 1:
        return Entity("PERSON", entity.start, entity.end, max(entity.score, FULL))
    before, after = text[max(entity.start - 60, 0) : entity.start], text[entity.end : entity.end + 30]
    cued = any(cue.search(before) for cue in (_TITLE, _LABEL, _GREETING, _RELATION, _INTRODUCED)) or _DOES.match(after)
    return Entity("PERSON", entity.start, entity.end, TOLD if cued else LONE)


def _is_other_number(text: str, entity: Entity) -> bool:
    if entity.kind != "PHONE_NUMBER":
        return False
    value = text[entity.start : entity.end]
    return _NO_PHONE.fullmatch(value) is not None or (value.isdigit() and len(value) > 12 and card_valid(value))


def _within(entity: Entity, others: Sequence[Entity]) -> bool:
    return any(other.start <= entity.start and entity.end <= other.end for other in others)


def _in_address(text: str, start: int, end: int, words: int) -> bool:
    """Say whether capitalised words are the name of a street, which may be called after a person."""
    # An address begins on a line of its own, under the name of who lives there.
    line = _LINE_ENDS.split(text[start : end + 14])[0]
    if any(match.start() <= end - start + 1 for match in _OF_PLACES.finditer(line)) or _NUMBER_BEFORE.search(
        text[max(start - 20, 0) : start]
    ):
        return True
    return words == 1 and _NUMBER_AFTER.match(text[end : end + 12]) is not None


def _begins_name(word: str) -> bool:
    """Say whether a word may begin a name: it has a capital, or its script knows none."""
    return word[0].isupper() or word[0].lower() == word[0].upper()


def _runs(text: str) -> Iterator[_Run]:
    words: list[re.Match[str]] = []
    for match in _TOKEN.finditer(text):
        joined = words and text[words[-1].end() : match.start()] == " " and not _ends(words[-1].group())
        if joined and match.group().lower() in _PARTICLES:
            words.append(match)
            continue
        if words and not (joined and _is_name_like(match.group())):
            yield from _run(text, words)
            words = []
        if _is_name_like(match.group()) and _stands_free(text, match):
            words.append(match)
    if words:
        yield from _run(text, words)


def _run(text: str, words: list[re.Match[str]]) -> Iterator[_Run]:
    while words and words[-1].group().lower() in _PARTICLES:
        words = words[:-1]
    while len(words) > 1 and _IS_TITLE.fullmatch(words[0].group()):
        words = words[1:]
    if not words or all(len(word.group().rstrip(".")) == 1 for word in words):
        return
    start, end = words[0].start(), words[-1].end()
    end -= text[end - 1] == "." and len(words[-1].group()) > 2
    value = text[start:end]
    for suffix in ("'s", "’s"):
        end -= len(suffix) if value.endswith(suffix) else 0
    opens = _SENTENCE_BEGINS.search(text[max(start - 4, 0) : start]) is not None
    yield _Run(start, end, sum(word.group().lower() not in _PARTICLES for word in words), opens)


def _is_name_like(word: str) -> bool:
    bare = word.rstrip(".")
    return bare[0].isupper() and (len(bare) == 1 or not bare.isupper())


def _ends(word: str) -> bool:
    """Say whether a sentence may end with a word: an initial's dot, or a title's, ends none."""
    return word.endswith(".") and len(word) > 3


def _stands_free(text: str, match: re.Match[str]) -> bool:
    before = text[match.start() - 1] if match.start() else " "
    after = text[match.end()] if match.end() < len(text) else " "
    return before not in "@/\\#$_.=&0123456789" and after not in "@/\\_=("


def _told(text: str, run: _Run) -> float | None:
    """Return the confidence if what stands before a run says by itself that it is a person."""
    before = text[max(run.start - 60, 0) : run.start]
    if _TITLE.search(before) or _LABEL.search(before):
        return FULL if run.words > 1 else TOLD
    return None


def _worth_reading(text: str, run: _Run, others: Sequence[Entity]) -> float | None:
    """Return the confidence that a second reading may give a run, if it is worth one."""
    before, after = text[max(run.start - 60, 0) : run.start], text[run.end : run.end + 30]
    cued = any(cue.search(before) for cue in (_GREETING, _RELATION, _INTRODUCED)) or _DOES.match(after)
    if _in_address(text, run.start, run.end, run.words):
        return None
    labels = {entity.kind for entity in others if entity.start < run.end and run.start < entity.end}
    if labels & {"DATE_TIME", "NRP"}:
        return None
    if run.words > 1:
        return TOLD if cued or not labels else LONE
    if cued:
        return TOLD if not labels else LONE
    if labels or (run.opens and not _DOES.match(after)):
        return None
    return LONE if _SPOKE.search(before) else None
