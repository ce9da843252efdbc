"""Writes the reference pages from the code: ``python -m techdocs.reference``. A test says when they are out of date."""

import importlib
import inspect
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backend.app import create_app
from backend.core.config import Settings
from mlplatform.cli import table
from mlplatform.cli.app import LazyGroup
from mlplatform.spec.schema import json_schema

FOLDER = Path(__file__).parent / "docs" / "reference"
_NOTE = "<!-- Written by `python -m techdocs.reference`; change the code instead. -->\n\n"


def pages() -> dict[str, str]:
    """Return the pages by file name."""
    made = {
        "command-line.md": _command_line(),
        "settings.md": _settings(),
        "model-yaml.md": _model_yaml(),
        "api.md": _api(),
    }
    return {name: _NOTE + text.rstrip() + "\n" for name, text in made.items()}


def _command_line() -> str:
    lines = ["# Command line", "", "Every command takes `--json` and `--help`.", ""]
    for section, entries in table.SECTIONS.items():
        lines += [f"## {section}", ""]
        for name, entry in entries.items():
            module, _, attribute = entry.target.partition(":")
            lines += _command((name,), getattr(importlib.import_module(module), attribute))
    return "\n".join(lines)


def _command(path: tuple[str, ...], command: click.Command) -> Iterator[str]:
    # With the command's own settings, or the first context that click ever makes for it decides how `--help` is shown.
    context = click.Context(command, info_name=" ".join(("platform", *path)), **command.context_settings)
    yield from (f"### `{context.info_name}`", "", _text(inspect.cleandoc(command.help or "").partition("\b")[0]), "")
    if not isinstance(command, LazyGroup) or command.invoke_without_command:
        yield from _options(command, context)
    if isinstance(command, LazyGroup):
        for name in command.list_commands(context):
            if (one := command.get_command(context, name)) is not None:
                yield from _command((*path, name), one)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [found for parameter in command.get_params(context) if (found := parameter.get_help_record(context))]
    if records:
        yield from ("| option | |", "|---|---|")
        yield from (f"| `{_text(option)}` | {_text(meaning)} |" for option, meaning in records)
        yield ""


def _settings() -> str:
    head = [
        "# Settings",
        "",
        "Keys of `mlPlatform:` in `app-config.yaml`. The defaults, with comments, are in that file.",
        "",
    ]
    return "\n".join([*head, "| key | default | meaning |", "|---|---|---|", *_fields("", Settings)])


def _fields(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = [one for one in _models(field.annotation) if one is not model]
        if inner and field.annotation is inner[0]:
            yield from _fields(f"{key}.", inner[0])
            continue
        yield f"| `{key}` | {_default(field)} | {_text(field.description or '')} |"
        for one in inner:
            yield from _fields(f"{key}[].", one)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for one in getattr(annotation, "__args__", ()):
        found += [model for model in _models(one) if model not in found]
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default if field.default_factory is None else None
    if value is None:
        return "" if field.default_factory is not None else "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{_text(str(value))}`"


def _model_yaml() -> str:
    schema = json_schema()
    lines = [
        "# model.yaml",
        "",
        "What stands in a model repository's `model.yaml`. The JSON Schema is printed by `platform schema`.",
        "",
    ]
    lines += ["| key | | meaning |", "|---|---|---|", *_properties("", schema, schema)]
    return "\n".join(lines)


def _properties(prefix: str, of: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    for name, said in of.get("properties", {}).items():
        found = _resolved(said, schema)
        needed = "needed" if name in of.get("required", ()) else ""
        meaning = said.get("description") or found.get("description", "")
        yield f"| `{prefix}{name}` | {needed} | {_text(meaning)} |"
        inner = _resolved(found["items"], schema) if isinstance(found.get("items"), dict) else found
        mark = "[]." if inner is not found else "."
        if depth < 4:
            yield from _properties(f"{prefix}{name}{mark}", inner, schema, depth + 1)


def _resolved(said: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for one in [said, *said.get("anyOf", ()), *said.get("allOf", ())]:
        if "$ref" in one:
            found: Mapping[str, Any] = schema["$defs"][one["$ref"].rpartition("/")[2]]
            return found
        if "properties" in one or "items" in one:
            return dict(one)
    return said


def _api() -> str:
    with tempfile.TemporaryDirectory() as home:
        document = create_app(Settings(home=Path(home))).openapi()
    lines = [
        "# API",
        "",
        "The whole document, with every field, is `/openapi.json` of a running platform; pages to try it are at `/docs`.",
        "",
    ]
    tags = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    for tag, description in tags.items():
        found = [
            f"| `{method.upper()} {path}` | {_text(operation['summary'])} |"
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if tag in operation.get("tags", ())
        ]
        if found:
            lines += [f"## {tag.capitalize()}", "", _text(description), "", "| | |", "|---|---|", *found, ""]
    return "\n".join(lines)


def _text(value: str) -> str:
    """Return a text in one line of a table."""
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
