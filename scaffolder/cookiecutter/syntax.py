"""Jinja source as tokens that lose nothing, and the little of Jinja's syntax that a conversion writes itself.

Jinja's own lexer drops whitespace that a tag strips. Here every token knows its place in the source, so that what is not
rewritten stays as its author wrote it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scaffolder.errors import TemplateRefused

if TYPE_CHECKING:
    from jinja2 import Environment

ENVIRONMENT_OPTIONS = (
    "block_start_string", "block_end_string", "variable_start_string", "variable_end_string",
    "comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix",
    "trim_blocks", "lstrip_blocks", "autoescape",
)  # fmt: skip
"""Options of ``_jinja2_env_vars`` that mean the same in Copier's ``_envops``."""


@dataclass(frozen=True)
class Token:
    """A piece of Jinja source: ``source[start:end] == text``; lines count from 1."""

    kind: str
    text: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class Syntax:
    """How Jinja is written in one template: delimiters and whitespace options."""

    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Syntax":
        """Take from ``_jinja2_env_vars`` what concerns syntax.

        Raises:
            TemplateRefused: the options are none that Jinja accepts.
        """
        from jinja2 import Environment

        kept = {name: value for name, value in options.items() if name in ENVIRONMENT_OPTIONS}
        syntax = cls({"keep_trailing_newline": True, **kept})
        try:
            Environment(**syntax.options).from_string("")  # noqa: S701 - these are not web pages
        except Exception as fault:
            raise TemplateRefused(f"_jinja2_env_vars of cookiecutter.json is not accepted by Jinja: {fault}") from fault
        return syntax

    @cached_property
    def lexing(self) -> "Environment":
        """An environment that knows the delimiters, and no tag or filter of anybody's."""
        from jinja2 import Environment

        return Environment(**self.options)  # noqa: S701

    def variable(self, expression: str) -> str:
        """Return a template that prints an expression."""
        return f"{self._get('variable_start_string', '{{')} {expression} {self._get('variable_end_string', '}}')}"

    def block(self, statement: str) -> str:
        """Return a tag that takes no whitespace away around itself, also where the template's options say that tags do."""
        return f"{self.opening} {statement} {self.closing}"

    @property
    def opening(self) -> str:
        """What a tag of :meth:`block` begins with."""
        return f"{self._get('block_start_string', '{%')}{'+' if self.options.get('lstrip_blocks') else ''}"

    @property
    def closing(self) -> str:
        """What a tag of :meth:`block` ends with."""
        return f"{'+' if self.options.get('trim_blocks') else ''}{self._get('block_end_string', '%}')}"

    def tag(self, statement: str) -> str:
        """Return a tag as people write it, for places without whitespace to lose."""
        return f"{self._get('block_start_string', '{%')} {statement} {self._get('block_end_string', '%}')}"

    def has_jinja(self, text: str) -> bool:
        """Say whether rendering could do anything to a text (besides its newlines)."""
        openings = [self._get(f"{kind}_start_string", mark) for kind, mark in _OPENINGS.items()]
        openings += [str(self.options[name]) for name in _PREFIXES if self.options.get(name)]
        return any(opening in text for opening in openings)

    def literal(self, text: str) -> str:
        """Return a template that renders to exactly this text.

        Raises:
            TemplateRefused: the text closes Jinja's ``raw`` by itself.
        """
        if not self.has_jinja(text):
            return text
        if re.search(r"end\s*raw", text):
            raise TemplateRefused(f"a text with `endraw` can't be taken over as it is: {text[:60]!r}")
        # Jinja takes no `+` at the end of `raw`, and needs none: nothing is taken away after it.
        return f"{self.opening} raw {self._get('block_end_string', '%}')}{text}{self.block('endraw')}"

    def tokens(self, source: str) -> list[Token]:
        """Return the tokens of a source whose newlines are ``\\n``.

        Raises:
            jinja2.TemplateSyntaxError: it is no Jinja, with its line.
        """
        return list(self._tokens(source)) if source else []

    def _tokens(self, source: str) -> Iterator[Token]:
        position = 0
        for line, kind, text in self.lexing.lexer.tokeniter(source, None):
            start = position
            while not source.startswith(text, start) and start < len(source) and source[start].isspace():
                start += 1
            if not source.startswith(text, start):
                raise TemplateRefused(f"Jinja's lexer lost its place in line {line}")
            position = start + len(text)
            yield Token(kind, text, line, start, position)

    def _get(self, name: str, default: str) -> str:
        return str(self.options.get(name, default))


_OPENINGS = {"variable": "{{", "block": "{%", "comment": "{#"}
_PREFIXES = ("line_statement_prefix", "line_comment_prefix")


def quoted(text: str) -> str:
    """Return a text as a string of a Jinja expression, on one line and without anything that looks like a delimiter."""
    escaped = text.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    for mark in "{}%#":
        escaped = escaped.replace(mark, f"\\x{ord(mark):02x}")
    return f"'{escaped}'"


def literal_expression(value: Any) -> str:
    """Return a JSON value as a Jinja expression."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(literal_expression(item) for item in value)}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{quoted(str(key))}: {literal_expression(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    raise TypeError(type(value).__name__)
