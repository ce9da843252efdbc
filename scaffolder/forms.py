"""A template's questions as the form of a Backstage template that everybody is shown.

Other than the questions of :mod:`scaffolder.questions`, which are for one caller and one sitting, these are kept in the catalog:
some answers are fixed beforehand, everything that follows from them is worked out, and what depends on other answers is shown
where it applies (https://backstage.io/docs/features/software-templates/writing-templates).
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from scaffolder.conditions import Unclear, depends_on, holds, rendered
from scaffolder.names import NAME_LENGTH
from scaffolder.questions import NAME_PATTERN, TYPES, choice_pairs
from scaffolder.validation import rules_of

Json = dict[str, Any]
FIRST, SECOND = "Your model", "Choices"
LATER = "Worked out from the other answers if left empty."
_OWNER: Json = {
    "ui:field": "OwnerPicker",
    "ui:options": {"catalogFilter": {"kind": "Group"}, "allowArbitraryValues": False},
}
_SYSTEM: Json = {
    "ui:field": "EntityPicker",
    "ui:options": {"catalogFilter": {"kind": "System"}, "defaultKind": "System", "allowArbitraryValues": True},
}
_WORDS = {"ci": "CI", "cpu": "CPU", "gpu": "GPU", "org": "Organisation", "cost_centre": "Cost centre"}


@dataclass
class Form:
    """Pages of a form, and the names of the answers that it gives."""

    pages: list[Json] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """Those that travel apart from the others, and are written down nowhere."""


@dataclass(frozen=True)
class _Asked:
    name: str
    schema: Json
    message: str | None
    required: bool
    when: Any
    """What still has to be found out before it is asked; ``True`` if nothing."""


def form_of(questions: Mapping[str, Mapping[str, Any]], fixed: Mapping[str, Any], defaults: Mapping[str, Any]) -> Form:
    """Return the form for a template.

    ``fixed`` are answers that are given beforehand, and not asked. ``defaults`` go before the template's own.
    """
    asked = [one for name, details in questions.items() if (one := _asked(name, details, fixed, defaults)) is not None]
    known = {one.name for one in asked}
    first = [one for one in asked if _is_first(questions[one.name], one.name)]
    # The platform needs both, whatever the template asks.
    for name in ("name", "owner"):
        if name not in known:
            first.append(_Asked(name, _own(name, {"title": _title(name), "type": "string"}), None, True, True))
    first.sort(key=lambda one: ["owner", "name"].index(one.name) if one.name in ("owner", "name") else 2)
    second = [one for one in asked if one not in first]
    form = Form(answers=[one.name for one in asked])
    form.secrets = [one.name for one in asked if one.schema.get("ui:field") == "Secret"]
    form.pages = [_page(title, page, fixed) for title, page in ((FIRST, first), (SECOND, second)) if page]
    return form


def _is_first(details: Mapping[str, Any], name: str) -> bool:
    return name in {"owner", "name"} or (details.get("ask", True) is True and name != "org")


def _asked(
    name: str, details: Mapping[str, Any], fixed: Mapping[str, Any], defaults: Mapping[str, Any]
) -> _Asked | None:
    when: Any = details.get("when", True)
    if name in fixed or details.get("ask") is False:
        return None
    with suppress(Unclear):
        when = holds(when, fixed)
    if when is False:
        return None
    rules = rules_of(name, details.get("validator"), fixed)
    kind = TYPES.get(str(details.get("type", "str")), "string")
    schema: Json = {"title": _title(name), "type": kind}
    if text := _text(details.get("help"), fixed):
        schema["description"] = text
    schema |= _choices(details, kind, fixed) or rules.schema
    default = _default(name, details, kind, fixed, defaults)
    if default is not None and default != "" and name not in {"owner", "name"} and _fits(default, schema):
        schema["default"] = default
    elif default is None and "default" in details and name not in {"owner", "name"}:
        schema["description"] = f"{schema.get('description', '')} {LATER}".strip()
    if details.get("placeholder") and not _is_expression(details["placeholder"]):
        schema["ui:placeholder"] = str(details["placeholder"])
    if details.get("multiline") is True or details.get("type") in {"yaml", "json"}:
        schema["ui:widget"] = "textarea"
    if details.get("secret") is True:
        schema["ui:field"] = "Secret"
    required = name in {"owner", "name"} or ("default" not in details and when is True)
    return _Asked(name, _own(name, schema), rules.message, required, when)


def _own(name: str, schema: Json) -> Json:
    """Add what the platform knows of the questions that it knows by their name."""
    if name == "name":
        return {"pattern": NAME_PATTERN, "maxLength": NAME_LENGTH, **schema, "ui:autofocus": True}
    if name == "owner":
        return {**schema, **_OWNER}
    return {**schema, **_SYSTEM} if name == "system" else schema


def _default(
    name: str, details: Mapping[str, Any], kind: str, fixed: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Any:
    """Return a question's default; nothing where it has none or follows from answers that are not known yet."""
    if name in defaults:
        return defaults[name]
    value = details.get("default")
    if not _is_expression(value):
        return value
    try:
        text = rendered(value, fixed)
    except Unclear:
        return None
    return _cast(text, kind)


def _cast(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return None
    return holds(text, {}) if kind == "boolean" else text


def _fits(default: Any, schema: Json) -> bool:
    """Say whether the form itself would accept a default; one that it refuses could never be sent off."""
    if "enum" in schema:
        return default in schema["enum"]
    if not isinstance(default, str):
        return True
    return len(default) <= schema.get("maxLength", len(default)) and bool(re.search(schema.get("pattern", ""), default))


def _choices(details: Mapping[str, Any], kind: str, fixed: Mapping[str, Any]) -> Json | None:
    found = []
    for label, value, validator in choice_pairs(details.get("choices")) or []:
        try:
            if str(rendered(validator, fixed) or "").strip():
                continue
        except Unclear:
            pass
        found.append((label, value))
    if not found:
        return None
    offered: Json = {"enum": [value for _, value in found], "enumNames": [label for label, _ in found]}
    if details.get("multiselect") is True:
        return {"type": "array", "uniqueItems": True, "items": {"type": kind, **offered}, "ui:widget": "checkboxes"}
    return offered


def _page(title: str, asked: list[_Asked], fixed: Mapping[str, Any]) -> Json:
    waiting: dict[str, list[_Asked]] = {}
    for name, one in _conditional(asked, fixed):
        waiting.setdefault(name, []).append(one)
    # What is asked under conditions that a form can't say is asked always, and never required.
    apart = {one.name for ones in waiting.values() for one in ones}
    page = _schema([one for one in asked if one.name not in apart])
    page = {"title": title, "required": page.pop("required", []), **page}
    for name, ones in waiting.items():
        page.setdefault("dependencies", {})[name] = {"oneOf": _cases(name, page["properties"][name], ones, fixed)}
    return page


def _conditional(asked: list[_Asked], fixed: Mapping[str, Any]) -> list[tuple[str, _Asked]]:
    """Return the questions that depend on one other question with a few choices, with that question's name."""
    plain = {one.name: one for one in asked if one.when is True}
    found = []
    for one in asked:
        if one.when is True:
            continue
        try:
            (name,) = depends_on(one.when) & plain.keys()
            for value in _values(plain[name].schema):
                holds(one.when, {**fixed, name: value})
        except (Unclear, ValueError):
            continue
        if _values(plain[name].schema):
            found.append((name, one))
    return found


def _values(schema: Json) -> list[Any]:
    return [True, False] if schema["type"] == "boolean" else list(schema.get("enum", []))


def _cases(name: str, schema: Json, waiting: list[_Asked], fixed: Mapping[str, Any]) -> list[Json]:
    """Return the cases of one question's answer, each with the questions that it brings."""
    shown: dict[tuple[str, ...], list[Any]] = {}
    for value in _values(schema):
        key = tuple(one.name for one in waiting if holds(one.when, {**fixed, name: value}))
        shown.setdefault(key, []).append(value)
    cases = []
    for names, values in shown.items():
        case = _schema([one for one in waiting if one.name in names])
        case["properties"] = {name: {"enum": values}, **case["properties"]}
        cases.append(case)
    return cases


def _schema(asked: list[_Asked]) -> Json:
    made: Json = {"properties": {one.name: one.schema for one in asked}}
    if required := [one.name for one in asked if one.required]:
        made["required"] = required
    if messages := {one.name: one.message for one in asked if one.message}:
        made["errorMessage"] = {"properties": messages}
    return made


def _title(name: str) -> str:
    return _WORDS.get(name) or name.replace("_", " ").capitalize()


def _text(value: Any, fixed: Mapping[str, Any]) -> str | None:
    try:
        return str(rendered(value, fixed)).strip() if value else None
    except Unclear:
        return None


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)
