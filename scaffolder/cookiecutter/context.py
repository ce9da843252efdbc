"""Read ``cookiecutter.json``: its variables in order, what people are asked, and the settings among them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.cookiecutter.source import CONTEXT_FILE
from scaffolder.errors import ScaffoldError, TemplateRefused
from scaffolder.names import shortened

SETTINGS = ("_copy_without_render", "_extensions", "_jinja2_env_vars", "_new_lines", "_template", "__prompts__")
"""Private variables by which a template steers Cookiecutter itself."""


class Asked(StrEnum):
    """How Cookiecutter gets a variable's value."""

    TEXT = "text"
    CHOICE = "choice"
    NESTED_CHOICE = "nested choice"
    """A choice among keys, each with questions of its own: not Cookiecutter's own, but of front ends that extend it."""
    YES_NO = "yes or no"
    MAPPING = "mapping"
    RAW = "raw"
    """``_name``: taken as it is."""
    RENDERED = "rendered"
    """``__name``: rendered, but not asked."""


@dataclass(frozen=True)
class Variable:
    """One variable of a template."""

    name: str
    asked: Asked
    value: Any
    """As it stands in the file: the default, or the list of choices."""
    line: int | None
    prompt: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """What people see for a choice, by its value."""


@dataclass(frozen=True)
class Context:
    """The content of one ``cookiecutter.json``."""

    file: str
    variables: tuple[Variable, ...]
    settings: Mapping[str, Any]
    nested: Mapping[str, str]
    """Other templates of the repository that this one only chooses among: their folders by name."""

    @property
    def extended(self) -> bool:
        """Whether a front end with rules of its own reads the file, instead of Cookiecutter."""
        return self.file != CONTEXT_FILE

    def variable(self, name: str) -> Variable | None:
        """Return a variable by its name."""
        return next((variable for variable in self.variables if variable.name == name), None)


def read_context(folder: Path, file: str = CONTEXT_FILE, limits: Limits = DEFAULT) -> Context:
    """Read and check a template's variables.

    Raises:
        ScaffoldError: there is no such file, so this is no Cookiecutter template.
        TemplateRefused: it is too large, no JSON, or not what Cookiecutter reads; the message says where.
    """
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise TemplateRefused(f"{file} leads out of the template's folder")
    if not path.is_file():
        raise ScaffoldError(
            f"there is no {file} in {folder.name}, so this is no Cookiecutter template", fix=_where_else(folder)
        )
    if path.stat().st_size > limits.context_bytes:
        raise TemplateRefused(f"{file} has more than {limits.context_bytes} bytes")
    text = _decoded(path, file)
    data = _parsed(text, file)
    if not data:
        raise TemplateRefused(f"{file} has no variables")
    if len(data) > limits.questions:
        raise TemplateRefused(f"{file} has {len(data)} variables; at most {limits.questions} are possible")
    return Context(
        file=file,
        variables=tuple(_variables(data, text, file)),
        settings=_settings(data, file),
        nested=_nested(data, folder, file),
    )


def _where_else(folder: Path) -> str | None:
    below = sorted(path.parent.name for path in folder.glob(f"*/{CONTEXT_FILE}"))
    if below:
        return f"name the folder with --directory: {', '.join(below[:8])}"
    if any((folder / name).is_file() for name in ("copier.yml", "copier.yaml")):
        return "it is a Copier template already"
    return None


def _decoded(path: Path, file: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as fault:
        raise TemplateRefused(f"{file} is not UTF-8 (byte {fault.start})") from fault


def _parsed(text: str, file: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise TemplateRefused(f"{file} has {shortened(key)} twice")
            found[key] = value
        return found

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=lambda name: _no_number(name, file))
    except json.JSONDecodeError as fault:
        where = f"{file}:{fault.lineno}:{fault.colno}"
        raise TemplateRefused(f"{where} is no JSON: {fault.msg[:1].lower()}{fault.msg[1:]}") from fault
    except (RecursionError, ValueError) as fault:
        raise TemplateRefused(f"{file} can't be read: {fault}") from fault
    if not isinstance(data, dict):
        raise TemplateRefused(f"{file} must hold an object of variables")
    return data


def _no_number(name: str, file: str) -> Any:
    raise TemplateRefused(f"{file} has the value {name}, which is no JSON")


def _variables(data: dict[str, Any], text: str, file: str) -> list[Variable]:
    prompts = data.get("__prompts__", {})
    if not isinstance(prompts, dict):
        raise TemplateRefused(f"__prompts__ of {file} must be an object")
    found = []
    for name, value in data.items():
        if name in {*SETTINGS, "templates", "template"}:
            continue
        asked = _asked(name, value, extended=file != CONTEXT_FILE)
        if asked in {Asked.CHOICE, Asked.NESTED_CHOICE} and not value:
            raise TemplateRefused(f"{name} in {file} is a choice of nothing", fix="give it at least one value")
        prompt, labels = _prompt(prompts.get(name))
        found.append(Variable(name, asked, value, line_of(name, text), prompt, labels))
    return found


def _asked(name: str, value: Any, *, extended: bool) -> Asked:
    if name.startswith("__"):
        return Asked.RENDERED
    if name.startswith("_"):
        return Asked.RAW
    if isinstance(value, list):
        nested = extended and len(value) > 1 and all(isinstance(item, dict) and len(item) == 1 for item in value)
        return Asked.NESTED_CHOICE if nested else Asked.CHOICE
    if isinstance(value, bool):
        return Asked.YES_NO
    return Asked.MAPPING if isinstance(value, dict) else Asked.TEXT


def _prompt(given: Any) -> tuple[str | None, dict[str, str]]:
    if isinstance(given, str):
        return _plain(given), {}
    if isinstance(given, dict):
        labels = {str(key): _plain(str(label)) for key, label in given.items() if key != "__prompt__"}
        return (_plain(str(given["__prompt__"])) if given.get("__prompt__") else None), labels
    return None, {}


def _plain(text: str) -> str:
    """Return a prompt without the markup by which Cookiecutter colours it."""
    from rich.errors import MarkupError
    from rich.markup import render

    try:
        return render(text).plain
    except MarkupError:
        return text


def _settings(data: dict[str, Any], file: str) -> dict[str, Any]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "_copy_without_render": list,
        "_extensions": list,
        "_jinja2_env_vars": dict,
        "_new_lines": str,
    }
    for name, kind in kinds.items():
        if name in data and not isinstance(data[name], kind):
            raise TemplateRefused(f"{name} of {file} has the wrong form")
    for name in ("_copy_without_render", "_extensions"):
        if not all(isinstance(item, str) for item in data.get(name, [])):
            raise TemplateRefused(f"{name} of {file} must be a list of texts")
    if data.get("_new_lines", "") not in {"", "\n", "\r\n", "\r"}:
        raise TemplateRefused(f"_new_lines of {file} is {data['_new_lines']!r}, which ends no line")
    return {name: data[name] for name in SETTINGS if name in data}


def _nested(data: dict[str, Any], folder: Path, file: str) -> dict[str, str]:
    """Return the templates that the file chooses among, in the new form (``templates``) or the old one (``template``)."""
    found: dict[str, str] = {}
    if isinstance(data.get("templates"), dict):
        for name, details in data["templates"].items():
            if not isinstance(details, dict) or not isinstance(details.get("path"), str):
                raise TemplateRefused(f"templates.{name} of {file} has no path")
            found[name] = details["path"]
    elif isinstance(data.get("template"), list):
        for choice in data["template"]:
            match = re.search(r"\((.+)\)", choice) if isinstance(choice, str) else None
            if match is None:
                raise TemplateRefused(f"template in {file} must be a list of texts that end in a path in parentheses")
            found[Path(match[1]).name] = match[1]
    for name, place in found.items():
        target = (folder / place).resolve()
        if Path(place).is_absolute() or not target.is_relative_to(folder.resolve()):
            raise TemplateRefused(f"the template {shortened(name)} of {file} leads out of the repository")
        if target == folder.resolve():
            raise TemplateRefused(f"the template {shortened(name)} of {file} is the file itself, over and over")
    return found


def line_of(name: str, text: str) -> int | None:
    """Return the line of a JSON key."""
    match = re.search(rf"^.*?{re.escape(json.dumps(name))}\s*:", text, flags=re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else None
