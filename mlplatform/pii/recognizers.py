"""An organisation's own recognisers: patterns and word lists in the YAML form that Presidio reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mlplatform.pii.detectors import DetectionFailed, Entity, Text

if TYPE_CHECKING:
    from presidio_analyzer import PatternRecognizer

_MAX_TEXT = 2_000
_CONTEXT_BONUS = 0.35
_LEAST_WITH_CONTEXT = 0.4


class OwnRecognizers:
    """Presidio pattern recognisers of a file; implements :class:`~mlplatform.pii.detectors.Detector`.

    They need no language model, so they look at all values and not at text only. As in Presidio, a context word (here one in
    the column's name or in the text) adds 0.35.
    """

    name = "recognizers"

    def __init__(self, recognizers: Sequence["PatternRecognizer"]) -> None:
        self._recognizers = list(recognizers)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that they know."""
        return frozenset(kind for made in self._recognizers for kind in made.supported_entities)

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Return what each text holds, of its first two thousand characters."""
        return [self._detect(text, kinds) for text in texts]

    def kinds_in(self, text: str) -> dict[str, float]:
        """Return the kinds that one text holds, each with the best score."""
        found: dict[str, float] = {}
        for entity in self._detect(Text(text), None):
            found[entity.kind] = max(entity.score, found.get(entity.kind, 0.0))
        return found

    def _detect(self, text: Text, kinds: frozenset[str] | None) -> list[Entity]:
        found = []
        value = text.value[:_MAX_TEXT]
        for made in self._recognizers:
            if kinds is not None and not kinds.intersection(made.supported_entities):
                continue
            for hit in made.analyze(value, made.supported_entities):
                score = float(hit.score)
                if score > 0 and _in_context(made.context or [], text, value):
                    score = min(max(score + _CONTEXT_BONUS, _LEAST_WITH_CONTEXT), 1.0)
                found.append(Entity(hit.entity_type, hit.start, hit.end, score))
        return found


def _in_context(words: Sequence[str], text: Text, value: str) -> bool:
    lowered = value.lower()
    return any(word.lower() in lowered or word.lower() in text.context for word in words)


def load_recognizers(path: Path) -> OwnRecognizers:
    """Read a file of recognisers, as ``RecognizerRegistry.add_recognizers_from_yaml`` of Presidio would.

    Raises:
        DetectionFailed: the file is not readable, not of that form, or a regular expression does not compile.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    fix = "give it Presidio's form: a list `recognizers`, each with name, supported_entity and patterns or deny_list"
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DetectionFailed(f"recognisers can't be read from {path}: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise DetectionFailed(f"{path.name} is no YAML: {str(error).splitlines()[0]}", fix) from error
    entries = document.get("recognizers") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise DetectionFailed(f"{path.name} has no list `recognizers`", fix)
    return OwnRecognizers([_made(entry, index, path.name, fix) for index, entry in enumerate(entries)])


def _made(entry: Any, index: int, file: str, fix: str) -> "PatternRecognizer":
    import regex
    from presidio_analyzer import PatternRecognizer

    if not isinstance(entry, dict):
        raise DetectionFailed(f"{file}: recognizers[{index}] is no mapping", fix)
    try:
        made: Any = PatternRecognizer.from_dict(entry)
        for pattern in made.patterns:
            regex.compile(pattern.regex)
            if not 0 <= float(pattern.score) <= 1:
                raise ValueError(f"score {pattern.score} is not between 0 and 1")
    except (ValueError, TypeError, KeyError, AttributeError, regex.error) as error:
        name = entry.get("name", f"recognizers[{index}]")
        raise DetectionFailed(f"{file}: {name} is not usable: {error}", fix) from error
    return cast("PatternRecognizer", made)
