"""Turn a hook, which is a Jinja template of a Python script, into Python that can be parsed.

Expressions and tags inside of strings become placeholders in those strings. Tags on lines of their own, bare or in a
comment, become statements, so that the conditions they state can be followed through the code.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scaffolder.cookiecutter.hooks.values import Expression, Fragment, Part, Text
from scaffolder.cookiecutter.syntax import Syntax, Token

_PLACEHOLDER = re.compile(r"JINJA_(?:EXPRESSION|TAG)_(\d+)_")
MARK = re.compile(r"JINJA_MARK_(\d+)_")


class NotPython(Exception):
    """The hook can't be parsed; ``line`` is where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass
class HookSource:
    """A hook's code, and the Jinja that stands behind its placeholders."""

    code: str
    jinja: Mapping[int, str]
    """The whole expression or tag by number, delimiters included."""
    inner: Mapping[int, str]
    """What is between the delimiters."""
    is_text: Callable[[str], bool]
    """Says of an expression whether its value is a text for certain."""

    def text(self, value: str) -> Text:
        """Return a string of the code as a text with the Jinja that it holds."""
        parts: list[Part] = []
        position = 0
        for match in _PLACEHOLDER.finditer(value):
            parts += [value[position : match.start()], self._part(int(match[1]), match[0])]
            position = match.end()
        parts.append(value[position:])
        if any(isinstance(part, Fragment) for part in parts):
            whole = "".join(_as_source(part) for part in parts)
            return Text((Fragment(whole),))
        return Text.of(*parts)

    def expression(self, name: str) -> Expression | None:
        """Return the expression that a name in the code stands for."""
        match = _PLACEHOLDER.fullmatch(name)
        part = self._part(int(match[1]), name) if match else None
        return part if isinstance(part, Expression) else None

    def shown(self, code: str) -> str:
        """Return code with the Jinja that its author wrote, in one line."""
        written = _PLACEHOLDER.sub(lambda match: self.jinja[int(match[1])], code)
        line = " ".join(MARK.sub(lambda match: self.jinja[int(match[1])], written).split())
        return line if len(line) <= 100 else f"{line[:97]}..."

    def python(self) -> ast.Module:
        """Parse the code as Python.

        Raises:
            NotPython: it is none, or tags cut through its statements.
        """
        try:
            return ast.parse(_with_marks(self.code))
        except (SyntaxError, ValueError) as fault:
            raise NotPython(getattr(fault, "lineno", None) or 1, str(getattr(fault, "msg", fault))) from fault
        except RecursionError:
            raise NotPython(1, "it nests too deep") from None

    def _part(self, number: int, name: str) -> Part:
        if "EXPRESSION" in name:
            inner = self.inner[number]
            return Expression(inner, self.is_text(inner))
        return Fragment(self.jinja[number])


def _as_source(part: Part) -> str:
    if isinstance(part, Expression):
        return "{{ " + part.source + " }}"
    return part.source if isinstance(part, Fragment) else part


def read(source: str, syntax: Syntax, is_text: Callable[[str], bool]) -> HookSource:
    """Put placeholders for the Jinja of a hook.

    Raises:
        jinja2.TemplateSyntaxError: it is no Jinja.
    """
    jinja: dict[int, str] = {}
    inner: dict[int, str] = {}
    parts: list[str] = []
    position = 0
    for number, (opening, closing) in enumerate(_tags(syntax.tokens(source))):
        jinja[number] = source[opening.start : closing.end].rstrip("\n")
        inner[number] = source[opening.end : closing.start].strip()
        kind = "EXPRESSION" if opening.kind == "variable_begin" else "TAG"
        parts += [source[position : opening.start], f"JINJA_{kind}_{number}_"]
        position = opening.start + len(jinja[number])
    return HookSource("".join([*parts, source[position:]]), jinja, inner, is_text)


def _tags(tokens: list[Token]) -> list[tuple[Token, Token]]:
    found = []
    opening: Token | None = None
    for token in tokens:
        if token.kind in {"variable_begin", "block_begin", "comment_begin"}:
            opening = token
        elif token.kind in {"variable_end", "block_end", "comment_end"} and opening is not None:
            if opening.kind != "comment_begin":
                found.append((opening, token))
            opening = None
    return found


def _with_marks(code: str) -> str:
    """Make statements of the tags that have a line to themselves, indented like the code that they are about."""
    lines = code.split("\n")
    alone = re.compile(r"^(\s*)#?\s*(JINJA_TAG_(\d+)_)[\s#]*$")
    made = list(lines)
    for index, line in enumerate(lines):
        match = alone.match(line)
        if match is None:
            continue
        below = next((other for other in lines[index + 1 :] if other.strip() and not alone.match(other)), "")
        above = next((other for other in reversed(lines[:index]) if other.strip() and not alone.match(other)), "")
        around = [_indent(other) for other in (below, above) if other]
        indent = around[0] if around else ""
        if "#" in line and match[1] in around and not above.rstrip().endswith(":"):
            indent = match[1]
        made[index] = f"{indent}JINJA_MARK_{match[3]}_"
    return "\n".join(made)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
