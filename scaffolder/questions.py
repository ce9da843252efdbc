"""A template's questions as JSON Schema with Backstage's hints for its forms.

What is returned has the form of a Backstage template's ``parameters``: pages with ``title``, ``required`` and ``properties``
(https://backstage.io/docs/features/software-templates/input-examples). A question's validator is Jinja and stays with Copier:
the answers are checked with it before anything is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaffolder.names import NAME_LENGTH

Json = dict[str, Any]
TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}
NAME_PATTERN = "^[a-z0-9]+(-[a-z0-9]+)*$"
_OWNER = {"ui:field": "OwnerPicker", "ui:options": {"catalogFilter": {"kind": "Group"}}}
_SYSTEM = {
    "ui:field": "EntityPicker",
    "ui:options": {"catalogFilter": {"kind": "System"}, "allowArbitraryValues": True},
}


@dataclass(frozen=True)
class Known:
    """Answers that the platform knows of."""

    owners: Sequence[str] = ()
    """Groups of whoever asks."""
    systems: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Organisation by host, the default host first."""


def parameters(questions: Mapping[str, Mapping[str, Any]], known: Known) -> list[Json]:
    """Return the pages of a form: what is always asked, where the repository goes, and what is asked on demand."""
    first, more = _page("The model"), _page("More")
    for name, details in questions.items():
        if details.get("when") is False or details.get("ask") is False or name == "org":
            continue
        page = first if details.get("ask", True) is True else more
        page["properties"][name] = _property(name, details, known)
        if page is first and "default" not in details:
            page["required"].append(name)
    pages = [first, _place(known), more]
    return [page for page in pages if page["properties"]]


def _page(title: str) -> Json:
    return {"title": title, "required": [], "properties": {}}


def _place(known: Known) -> Json:
    page = _page("The repository")
    hosts = list(known.hosts)
    page["properties"]["host"] = {
        "title": "Git host",
        "type": "string",
        "enum": hosts,
        "default": hosts[0] if hosts else None,
    }
    page["properties"]["org"] = {
        "title": "Organisation",
        "type": "string",
        "description": "The host's own default if left out.",
        "examples": sorted(set(known.hosts.values())),
    }
    return page


def _property(name: str, details: Mapping[str, Any], known: Known) -> Json:
    kind = TYPES.get(str(details.get("type", "str")), "string")
    made: Json = {"title": _title(name, details), "type": kind}
    if (choices := choice_pairs(details.get("choices"))) is not None:
        made |= {"enum": [value for _, value, _ in choices], "enumNames": [label for label, _, _ in choices]}
    default = details.get("default")
    if default is not None and not _is_expression(default):
        made["default"] = default
    if details.get("placeholder"):
        made["ui:placeholder"] = str(details["placeholder"])
    if details.get("multiline") is True:
        made["ui:widget"] = "textarea"
    if details.get("secret") is True:
        made["ui:field"] = "Secret"
    return made | _offered(name, known)


def _offered(name: str, known: Known) -> Json:
    """Return what the platform adds to the questions that it knows by their name."""
    if name == "name":
        return {"pattern": NAME_PATTERN, "maxLength": NAME_LENGTH, "ui:autofocus": True}
    if name == "owner" and known.owners:
        return {**_OWNER, "examples": list(known.owners), "default": known.owners[0]}
    if name == "owner":
        return dict(_OWNER)
    if name == "system":
        return {**_SYSTEM, "examples": list(known.systems)}
    return {}


def _title(name: str, details: Mapping[str, Any]) -> str:
    text = str(details.get("help") or "").strip()
    return text.rstrip("?") if text else name.replace("_", " ").capitalize()


def choice_pairs(choices: Any) -> list[tuple[str, Any, Any]] | None:
    """Return label, value and validator of a question's choices, however they are written.

    Nothing for choices that are computed.
    """
    if isinstance(choices, Mapping):
        found = [(str(label), one) for label, one in choices.items()]
    elif isinstance(choices, list):
        found = [
            (str(one[0]), one[1]) if isinstance(one, list) and len(one) == 2 else (str(one), one) for one in choices
        ]
    else:
        return None
    return [
        (label, one.get("value"), one.get("validator")) if isinstance(one, Mapping) else (label, one, None)
        for label, one in found
    ]


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)
