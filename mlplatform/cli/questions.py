"""Ask a template's questions on the terminal, as the platform describes them (JSON Schema with hints)."""

from collections.abc import Mapping
from typing import Any

import click

Json = dict[str, Any]
_MORE = "More"


def ask(parameters: list[Json], given: Mapping[str, str], *, advanced: bool) -> dict[str, Any]:
    """Return answers to the questions that are not answered yet; those on demand are asked with ``advanced`` only."""
    answers: dict[str, Any] = {}
    for page in parameters:
        if page["title"] == _MORE and not advanced:
            continue
        for name, question in page["properties"].items():
            if name not in given and not (name in {"host", "org"} and not advanced):
                answer = _ask(question)
                if answer is not None:
                    answers[name] = answer
    return answers


def _ask(question: Json) -> Any:
    title, default = str(question["title"]), question.get("default")
    if "enum" in question:
        return _choose(title, question, default)
    if question["type"] == "boolean":
        return click.confirm(title, default=bool(default), err=True)
    if examples := question.get("examples"):
        click.echo(f"  known: {', '.join(str(one) for one in examples[:12])}", err=True)
    kinds: dict[str, type] = {"integer": int, "number": float}
    kind = kinds.get(question["type"], str)
    # What the template computes has no default here: nothing given lets it.
    answer = click.prompt(
        title, default="" if default is None else default, type=kind, err=True, show_default=bool(default)
    )
    return None if answer == "" else answer


def _choose(title: str, question: Json, default: Any) -> Any:
    values = list(question["enum"])
    labels = [str(label) for label in question.get("enumNames") or values]
    if len(values) == 1:
        return values[0]
    for number, label in enumerate(labels, start=1):
        click.echo(f"  {number}) {label}", err=True)
    first = values.index(default) + 1 if default in values else None
    number = click.prompt(title, type=click.IntRange(1, len(values)), default=first, err=True)
    return values[number - 1]
