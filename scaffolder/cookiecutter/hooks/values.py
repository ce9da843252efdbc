"""What a hook computes with, as far as that can be known without running it.

Texts are kept as Jinja: a hook is rendered before it runs, so ``"{{ cookiecutter.license }}"`` in it is a text that depends
on an answer. Whatever is not known is :data:`UNKNOWN`, and what depends on it is left to a person.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from scaffolder.cookiecutter.syntax import Syntax, quoted


class Unknown(Enum):
    """The one value that stands for all that can't be known."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Expression:
    """A Jinja expression of Cookiecutter's, and whether its value is a text for certain."""

    source: str
    is_text: bool = False


@dataclass(frozen=True)
class Fragment:
    """A piece of Jinja with tags in it, which renders to a text but is no expression."""

    source: str


Part = str | Expression | Fragment


@dataclass(frozen=True)
class Text:
    """A text, in parts that are known or depend on answers."""

    parts: tuple[Part, ...]
    stripped: bool = False
    """Whether whitespace around it is taken away."""

    @classmethod
    def of(cls, *parts: Part) -> "Text":
        """Join parts, adjacent known ones into one."""
        joined: list[Part] = []
        for part in parts:
            if isinstance(part, str) and joined and isinstance(joined[-1], str):
                joined[-1] += part
            elif part != "":
                joined.append(part)
        return cls(tuple(joined))

    @property
    def known(self) -> str | None:
        """The text itself, where it depends on nothing."""
        if all(isinstance(part, str) for part in self.parts):
            text = "".join(str(part) for part in self.parts)
            return text.strip() if self.stripped else text
        return None

    def __add__(self, other: "Text") -> "Text":
        return Text.of(*self.parts, *other.parts)

    def template(self, syntax: Syntax) -> str:
        """Return the template that renders to it."""
        return "".join(_template(part, syntax) for part in self.parts)

    def expression(self) -> str | None:
        """Return the Jinja expression whose value it is; a fragment has none."""
        sources = []
        for part in self.parts:
            if isinstance(part, Fragment):
                return None
            sources.append(quoted(part) if isinstance(part, str) else part.source)
        if not sources:
            return "''"
        only = self.parts[0]
        if len(sources) == 1:
            text = sources[0] if isinstance(only, str) or only.is_text else f"({sources[0]}) | string"  # type: ignore[union-attr]
        else:
            text = " ~ ".join(f"({source})" for source in sources)
        return f"({text}) | trim" if self.stripped else text


@dataclass(frozen=True)
class Place:
    """A path below the project; the project itself has no parts."""

    text: Text

    def joined(self, other: Text) -> "Place":
        """Return a path further down."""
        return Place(Text.of(*self.text.parts, "/", *other.parts) if self.text.parts else other)

    def normal(self, syntax: Syntax) -> str | None:
        """Return it as the template's own paths are written, or nothing where it leads out of the project."""
        text = re.sub(r"/+", "/", self.text.template(syntax).strip()).removeprefix("./").rstrip("/")
        if text.startswith("/") or ".." in PurePosixPath(text).parts:
            return None
        return compact(text)


@dataclass(frozen=True)
class Items:
    """A list or tuple."""

    values: "tuple[Value, ...]"


@dataclass(frozen=True)
class Condition:
    """Something true or false by the answers: a Jinja expression."""

    source: str


@dataclass(frozen=True)
class Exists:
    """Whether something is at a place, asked when all is rendered."""

    place: Place


@dataclass(frozen=True)
class Named:
    """A module, or something in one: ``os.path.join``."""

    name: str


@dataclass(frozen=True)
class Function:
    """A function of the hook."""

    node: ast.FunctionDef


@dataclass(frozen=True)
class Method:
    """A method of a value."""

    owner: "Value"
    name: str


@dataclass(frozen=True)
class Pattern:
    """A regular expression."""

    source: str


@dataclass(frozen=True)
class Constant:
    """A number, ``True``, ``False`` or ``None``."""

    value: int | float | bool | None


Value = Text | Place | Items | Condition | Exists | Named | Function | Method | Pattern | Constant | Unknown


_GUARDED = re.compile(
    r"\s*\{%[-+]?\s*if\s+(?P<condition>(?:(?!%\}).)+?)\s*[-+]?%\}(?P<body>(?:(?!\{%|\{#).)*)\{%[-+]?\s*endif\s*[-+]?%\}\s*",
    re.DOTALL,
)
_PRINTED = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


def compact(template: str) -> str:
    """Return a template without the spaces inside of its delimiters, so that spelling does not matter."""
    return re.sub(r"(\{\{|\{%)[-+]?\s*(.*?)\s*[-+]?(\}\}|%\})", r"\1\2\3", template, flags=re.DOTALL)


def as_text(value: Value) -> Text | None:
    """Return what ``str()`` makes of a value."""
    if isinstance(value, Text):
        return value
    if isinstance(value, Place):
        return value.text
    if isinstance(value, Constant):
        return Text.of(str(value.value))
    return None


def as_place(value: Value) -> Place | None:
    """Return a path, given as one or as a text."""
    if isinstance(value, Place):
        return value
    return Place(value) if isinstance(value, Text) else None


def negated(condition: str) -> str:
    """Return the opposite of a Jinja condition."""
    match = re.fullmatch(r"not \((.*)\)", condition, flags=re.DOTALL)
    if match and _balanced(match[1]):
        return match[1]
    return f"not ({condition})"


def conjunction(conditions: Sequence[str]) -> str:
    """Return the condition that all of some hold; nothing of them is always true."""
    if len(conditions) == 1:
        return conditions[0]
    return " and ".join(f"({condition})" for condition in conditions)


def disjunction(conditions: Sequence[str]) -> str:
    """Return the condition that any of some holds."""
    if len(conditions) == 1:
        return conditions[0]
    return " or ".join(f"({condition})" for condition in conditions)


def split_guard(text: Text) -> tuple[str, Text] | None:
    """Return condition and content of a text that is one ``{% if %} ... {% endif %}``, or nothing for any other."""
    only = text.parts[0] if len(text.parts) == 1 else None
    match = _GUARDED.fullmatch(only.source) if isinstance(only, Fragment) else None
    if match is None:
        return None
    parts: list[Part] = []
    position = 0
    for inner in _PRINTED.finditer(match["body"]):
        parts += [match["body"][position : inner.start()], Expression(inner[1])]
        position = inner.end()
    return match["condition"], Text(Text.of(*parts, match["body"][position:]).parts, text.stripped)


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0


def _template(part: Part, syntax: Syntax) -> str:
    if isinstance(part, str):
        return syntax.literal(part)
    return part.source if isinstance(part, Fragment) else syntax.variable(part.source)
