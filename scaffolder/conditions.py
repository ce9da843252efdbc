"""What a template's small expressions say when only some of the answers are known.

Templates come from strangers, and Jinja can loop for ever and eat memory. So nothing is run here: the few forms of expression
that conditions and defaults have are read from Jinja's own syntax tree, and whatever else there is, is not known.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from jinja2.meta import find_undeclared_variables

_FALSE = frozenset({"", "0", "0.0", "false", "f", "no", "n", "off", "none", "null", "undefined", "[]", "{}"})
_LONGEST = 10_000


class Unclear(Exception):
    """It depends on what is not known, or is written in a way that is not understood."""


@cache
def _syntax() -> Environment:
    # Nothing is ever rendered with it.
    return Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)


def parse(text: str) -> nodes.Template:
    """Return a template's syntax tree.

    Raises:
        Unclear: it is none, or too long or deep to look at.
    """
    if len(text) > _LONGEST:
        raise Unclear
    try:
        return _syntax().parse(text)
    except (TemplateError, RecursionError) as fault:
        raise Unclear from fault


def rendered(value: Any, known: Mapping[str, Any]) -> Any:
    """Return what a text renders to, or the value itself if it is no text.

    Raises:
        Unclear: that can't be said.
    """
    if not isinstance(value, str) or not ("{{" in value or "{%" in value or "{#" in value):
        return value
    try:
        return text_of(parse(value).body, known)
    except RecursionError as fault:
        raise Unclear from fault


def holds(condition: Any, known: Mapping[str, Any]) -> bool:
    """Say whether a question's ``when`` holds, read as Copier reads it.

    Raises:
        Unclear: that can't be said.
    """
    value = rendered(condition, known)
    return value.strip().lower() not in _FALSE if isinstance(value, str) else bool(value)


def depends_on(condition: Any) -> set[str]:
    """Return the names that a text speaks of.

    Raises:
        Unclear: it can't be read.
    """
    return set(find_undeclared_variables(parse(condition))) if isinstance(condition, str) else set()


def text_of(body: Sequence[nodes.Node], known: Mapping[str, Any]) -> str:
    """Return the text of a part of a template.

    Raises:
        Unclear: that can't be said.
    """
    return "".join(_part(node, known) for node in body)


def _part(node: nodes.Node, known: Mapping[str, Any]) -> str:
    if isinstance(node, nodes.Output):
        return "".join(
            one.data if isinstance(one, nodes.TemplateData) else str(value_of(one, known)) for one in node.nodes
        )
    if isinstance(node, nodes.If):
        for branch in (node, *node.elif_):
            if value_of(branch.test, known):
                return text_of(branch.body, known)
        return text_of(node.else_, known)
    raise Unclear


def value_of(node: nodes.Node, known: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Raises:
        Unclear: that can't be said.
    """
    if isinstance(node, nodes.Const):
        return node.value
    if isinstance(node, nodes.Name) and node.name in known:
        return known[node.name]
    if isinstance(node, nodes.Not):
        return not value_of(node.node, known)
    if isinstance(node, nodes.And | nodes.Or):
        return _either(node, known)
    if isinstance(node, nodes.CondExpr) and node.expr2 is not None:
        return value_of(node.expr1 if value_of(node.test, known) else node.expr2, known)
    if isinstance(node, nodes.List | nodes.Tuple):
        return [value_of(one, known) for one in node.items]
    if isinstance(node, nodes.Concat):
        return "".join(str(value_of(one, known)) for one in node.nodes)
    if isinstance(node, nodes.Compare):
        return _compared(node, known)
    raise Unclear


def _either(node: nodes.And | nodes.Or, known: Mapping[str, Any]) -> Any:
    """Return what ``and`` or ``or`` come to. One side may decide alone, even where the other one is not known."""
    decisive = isinstance(node, nodes.Or)
    try:
        left = value_of(node.left, known)
    except Unclear:
        right = value_of(node.right, known)
        if bool(right) is not decisive:
            raise
        return right
    return left if bool(left) is decisive else value_of(node.right, known)


def _compared(node: nodes.Compare, known: Mapping[str, Any]) -> bool:
    left = value_of(node.expr, known)
    for operand in node.ops:
        right = value_of(operand.expr, known)
        try:
            if not _COMPARISONS[operand.op](left, right):
                return False
        except (KeyError, TypeError) as fault:
            raise Unclear from fault
        left = right
    return True


_COMPARISONS: Mapping[str, Any] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}
