"""Suggest how to resolve a conflict, where a rule says that it is safe.

A rule gets both sides and the base, and answers with the lines it would leave and the reason, or with nothing. Nothing here
is ever applied by itself: a person takes a suggestion, or doesn't.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from scaffolder.update.models import Hunk, Suggestion
from scaffolder.update.suggest import dependencies, lines, versions

DERIVED: Mapping[str, str] = {
    "uv.lock": "uv lock",
    "poetry.lock": "poetry lock",
    "package-lock.json": "npm install --package-lock-only",
    "openapi.json": "make openapi",
}
"""Files that a command makes again from others, by pattern of their path, with the command."""

_RULES = (
    lines.same_change,
    lines.one_side_cosmetic,
    dependencies.union,
    versions.higher,
    lines.line_set,
    lines.only_added,
)


def suggest(path: str, hunk: Hunk) -> Suggestion | None:
    """Return what the first rule that applies says about lines that both sides changed."""
    for rule in _RULES:
        suggestion = rule(path, hunk)
        if suggestion is not None:
            return suggestion
    return None


def regenerated(path: str, theirs: str | None, derived: Mapping[str, str]) -> Suggestion | None:
    """Suggest the command that makes a derived file again, starting from the template's."""
    for pattern, command in derived.items():
        if fnmatchcase(path, pattern) or fnmatchcase(path.rpartition("/")[2], pattern):
            reason = f"The file is made from others: take the template's, then let `{command}` bring it up to date."
            return Suggestion("regenerate", reason, text=theirs, command=command)
    return None


def whole_file(parts: Sequence[str | Hunk], longest: int) -> Suggestion | None:
    """Put the suggestions for all hunks of a file together; nothing if one hunk has none."""
    texts, rules, reasons = [], [], []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if part.suggestion is None or part.suggestion.text is None:
            return None
        texts.append(part.suggestion.text)
        rules.append(part.suggestion.rule)
        reasons.append(part.suggestion.reason)
    text = "".join(texts)
    if not rules or len(text) > longest or "\ufffd" in text:
        return None
    return Suggestion("+".join(dict.fromkeys(rules)), " ".join(dict.fromkeys(reasons)), text=text)
