"""Make Copier's questions of Cookiecutter's variables, and write ``copier.yml``."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scaffolder.cookiecutter.context import Asked, Context, Variable
from scaffolder.cookiecutter.names import unused
from scaffolder.cookiecutter.report import Kind
from scaffolder.cookiecutter.rewrite import Refused, Rewriter
from scaffolder.cookiecutter.syntax import literal_expression, quoted
from scaffolder.errors import TemplateRefused

Question = dict[str, Any]
_SCALAR = (str, int, float)


@dataclass
class Questionnaire:
    """The questions in the order in which Copier has to ask them, and what validates them."""

    rewriter: Rewriter
    context: Context
    questions: dict[str, Question] = field(default_factory=dict)

    def build(self) -> dict[str, Question]:
        """Return Copier's questions for all variables, those of Cookiecutter's second pass (mappings) last.

        Raises:
            TemplateRefused: a default can't be rendered, by Cookiecutter neither.
        """
        first = [variable for variable in self.context.variables if variable.asked is not Asked.MAPPING]
        second = [variable for variable in self.context.variables if variable.asked is Asked.MAPPING]
        earlier: list[str] = []
        for variable in (*first, *second):
            before = dict(self.rewriter.stored)
            made = self._question(variable, earlier)
            for name in self.rewriter.stored.keys() - before.keys():
                self.questions[name] = self.remembered(name)
            self.questions |= made
            earlier.append(variable.name)
        return self.questions

    def remembered(self, name: str) -> Question:
        """Return the question that nobody is asked and whose answer is kept."""
        return {"type": "str", "default": self.rewriter.stored[name], "ask": False}

    def mapping(self) -> Question:
        """Return the question that holds all variables as one mapping, for files that need it whole."""
        names = self.rewriter.names
        pairs = ", ".join(f"{quoted(variable.name)}: {names[variable.name]}" for variable in self.context.variables)
        return {"type": "json", "when": False, "default": self._printed(f"{{{pairs}}} | to_json")}

    def _question(self, variable: Variable, earlier: list[str]) -> dict[str, Question]:
        name = self.rewriter.names[variable.name]
        match variable.asked:
            case Asked.RAW:
                return {name: self._constant(variable.value) | {"when": False}}
            case Asked.RENDERED:
                return {name: self._computed(variable, earlier) | {"when": False}}
            case Asked.CHOICE:
                question = self._choice(variable, earlier)
            case Asked.NESTED_CHOICE:
                return self._nested(variable, name, earlier)
            case Asked.YES_NO:
                question = {"type": "bool", "default": variable.value}
            case Asked.MAPPING:
                question = {"type": "json", "default": self._as_json(variable, variable.value, earlier)}
            case _ if variable.value is None:
                question = {"type": "yaml", "default": None}
            case _:
                question = {"type": "str", "default": self._text(variable, str(variable.value), earlier)}
        return {name: self._with_help(question, variable)}

    def _with_help(self, question: Question, variable: Variable) -> Question:
        syntax = self.rewriter.syntax
        return {
            "type": question["type"],
            **({"help": syntax.literal(variable.prompt)} if variable.prompt else {}),
            **question,
        }

    def _constant(self, value: Any) -> Question:
        """Return a value that is taken as it is, whatever it looks like."""
        if isinstance(value, str):
            return {"type": "str", "default": self.rewriter.syntax.literal(value)}
        return {"type": "json", "default": self._printed(f"{literal_expression(value)} | to_json")}

    def _computed(self, variable: Variable, earlier: list[str]) -> Question:
        if isinstance(variable.value, bool):
            return {"type": "bool", "default": variable.value}
        if isinstance(variable.value, _SCALAR):
            return {"type": "str", "default": self._text(variable, str(variable.value), earlier)}
        return {"type": "json", "default": self._as_json(variable, variable.value, earlier)}

    def _choice(self, variable: Variable, earlier: list[str]) -> Question:
        """Return a question with choices; the first is the default, as in Cookiecutter."""
        values = [
            item if isinstance(item, bool) or not isinstance(item, _SCALAR) else str(item) for item in variable.value
        ]
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) == len(values):
            rendered = [self._text(variable, text, earlier) for text in texts]
            if len(set(texts)) < len(texts):
                self._note(variable, Kind.DROPPED, f"`{variable.name}` offers a value twice")
                rendered = list(dict.fromkeys(rendered))
            return {"type": "str", "choices": self._labelled(variable, texts, rendered), "default": rendered[0]}
        if any(self.rewriter.syntax.has_jinja(str(value)) for value in values):
            message = f"the choices of `{variable.name}` are mappings that refer to other variables"
            self._note(variable, Kind.NEEDS_YOU, message, "they are taken as they stand; write them out")
        plain = [_strings(value) for value in values]
        choices = {self.rewriter.syntax.literal(_shown(value)): {"value": value} for value in plain}
        return {
            "type": "json",
            "choices": choices,
            "default": self._printed(f"{literal_expression(plain[0])} | to_json"),
        }

    def _labelled(self, variable: Variable, values: list[str], rendered: list[str]) -> list[str] | dict[str, str]:
        if not variable.labels:
            return rendered
        labels: dict[str, str] = {}
        for value, template in zip(values, rendered, strict=False):
            label = self.rewriter.syntax.literal(variable.labels.get(value, value))
            labels[label if label not in labels else f"{label} ({template})"] = template
        return labels

    def _nested(self, variable: Variable, name: str, earlier: list[str]) -> dict[str, Question]:
        """Return a question for the key, one for each value below it, and what they are together."""
        taken = {*self.rewriter.names.values(), *self.questions}
        chosen = unused(f"{name}_choice", taken)
        keys = [next(iter(item)) for item in variable.value]
        made: dict[str, Question] = {
            chosen: self._with_help({"type": "str", "choices": keys, "default": keys[0]}, variable),
        }
        branches = []
        for item in variable.value:
            key, below = next(iter(item.items()))
            inner = []
            for sub, raw in below.items() if isinstance(below, dict) else []:
                question = unused(f"{name}_{key}_{sub}", {*taken, *made})
                made[question] = {
                    "type": "str",
                    "default": self._text(variable, str(raw), earlier),
                    "when": self._printed(f"{chosen} == {quoted(key)}"),
                }
                inner.append(f"{quoted(sub)}: {question}")
            value = f"{{{', '.join(inner)}}}" if isinstance(below, dict) else literal_expression(below)
            branches.append(f"{{{quoted(key)}: {value}}} if {chosen} == {quoted(key)}")
        together = " else ".join([*branches, "{}"])
        made[name] = {"type": "json", "when": False, "default": self._printed(f"({together}) | to_json")}
        self._note(
            variable, Kind.CONVERTED, f"`{variable.name}` is a question, with questions of its own for each choice"
        )
        return made

    def _as_json(self, variable: Variable, value: Any, earlier: list[str]) -> str:
        """Return a template of JSON in which every text is rendered, as Cookiecutter renders mappings and lists."""
        if not self.rewriter.syntax.has_jinja(str(value)):
            return self._printed(f"{literal_expression(_strings(value))} | to_json")
        settings: list[str] = []

        def expression(part: Any) -> str:
            if isinstance(part, dict):
                return (
                    "{" + ", ".join(f"{expression(str(key))}: {expression(item)}" for key, item in part.items()) + "}"
                )
            if isinstance(part, list):
                return "[" + ", ".join(expression(item) for item in part) + "]"
            if part is None or isinstance(part, bool):
                return literal_expression(part)
            text = str(part)
            if not self.rewriter.syntax.has_jinja(text):
                return quoted(text)
            name = f"part_{len(settings) + 1}"
            block = self.rewriter.syntax.block
            settings.append(f"{block(f'set {name}')}{self._text(variable, text, earlier)}{block('endset')}")
            return name

        body = expression(value)
        return "".join(settings) + self._printed(f"{body} | to_json")

    def _text(self, variable: Variable, text: str, earlier: list[str]) -> str:
        try:
            return self.rewriter.rewrite(text, self.context.file, line=variable.line or 1, earlier=earlier)
        except Refused as refused:
            where = f"{self.context.file}:{variable.line}" if variable.line else self.context.file
            raise TemplateRefused(f"{where}: {variable.name} {refused.message}", fix=refused.fix) from refused

    def _printed(self, expression: str) -> str:
        return self.rewriter.syntax.variable(expression)

    def _note(self, variable: Variable, kind: Kind, message: str, fix: str | None = None) -> None:
        self.rewriter.report.add(kind, self.context.file, variable.line, message, fix)


def _strings(value: Any) -> Any:
    """Return a value as Cookiecutter hands it on: numbers are texts, in mappings and lists too."""
    if isinstance(value, dict):
        return {str(key): _strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strings(item) for item in value]
    return value if value is None or isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value)))
    return json.dumps(value, ensure_ascii=False)


def write_yaml(settings: Mapping[str, Any], questions: Mapping[str, Question], head: Iterable[str]) -> str:
    """Return the text of ``copier.yml``; PyYAML writes it, since Copier reads it with PyYAML."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as blocks, where YAML can."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value and not any(line.endswith(" ") for line in value.split("\n")) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)

    def dump(content: Mapping[str, Any]) -> str:
        return str(yaml.dump(dict(content), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000))

    parts = ["".join(f"# {line}\n" for line in head), dump(settings) if settings else ""]
    parts += [dump({name: question}) for name, question in questions.items()]
    return "\n".join(part for part in parts if part)
