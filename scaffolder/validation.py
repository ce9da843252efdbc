"""A question's validator as JSON Schema, as far as it can be said so.

A validator is a Jinja template that renders to what is wrong. The usual ones are ``if`` with a length, a pattern or bounds; they
become ``maxLength``, ``pattern``, ``minimum`` …, and their texts the messages. What else they say stays with Copier, which
checks every answer before anything is made: a form may be milder than the template, never stricter.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from scaffolder.conditions import Unclear, parse, text_of, value_of

Json = dict[str, Any]
_GROUP = re.compile(r"\(\?(?![:=!])")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SAME_ELSEWHERE = frozenset("dswDSWbBnrtfv0xu^$\\.*+?()[]{}|/-")
_BOUNDS = {
    "lteq": ("minimum", "maximum"),
    "lt": ("exclusiveMinimum", "exclusiveMaximum"),
    "gteq": ("maximum", "minimum"),
    "gt": ("exclusiveMaximum", "exclusiveMinimum"),
}
_LENGTHS = {"gt": ("maxLength", 0), "gteq": ("maxLength", -1), "lt": ("minLength", 0), "lteq": ("minLength", 1)}


@dataclass(frozen=True)
class Rules:
    """What an answer has to be, and how to say so."""

    schema: Json
    message: str | None = None


def rules_of(question: str, validator: Any, known: Mapping[str, Any]) -> Rules:
    """Return a validator's rules about its own question."""
    if not isinstance(validator, str):
        return Rules({})
    found: list[Json] = []
    messages: list[str] = []
    try:
        for branch in _branches(parse(validator).body):
            try:
                if not value_of(branch.test, known):
                    continue
            except Unclear:
                pass
            needed = list(_needed(question, branch.test))
            found += needed
            if needed and (message := _message(branch.body)) and message not in messages:
                messages.append(message)
    except (Unclear, RecursionError):
        return Rules({})
    return Rules(_together(found), "; ".join(messages) or None)


def _branches(body: list[nodes.Node]) -> Iterator[nodes.If]:
    for node in body:
        if isinstance(node, nodes.If):
            yield node
            yield from node.elif_
            # What stands inside of others holds under their conditions alone.
            if node.else_:
                yield from _branches(node.else_)


def _needed(question: str, refused: nodes.Node) -> Iterator[Json]:
    """Yield what has to hold for this condition to be false."""
    if isinstance(refused, nodes.Or):
        yield from _needed(question, refused.left)
        yield from _needed(question, refused.right)
    elif isinstance(refused, nodes.And) and _is_answer(question, refused.left):
        # Said of answers that are not empty.
        for one in _needed(question, refused.right):
            if "pattern" in one:
                yield {"pattern": f"^$|{one['pattern']}"}
            elif "minLength" not in one:
                yield one
    elif isinstance(refused, nodes.Not):
        yield from _kept(question, refused.node)
    elif isinstance(refused, nodes.Compare) and len(refused.ops) == 1:
        yield from _length(question, refused.expr, refused.ops[0])
    elif (pattern := _searched(question, refused)) is not None:
        yield {"not": {"pattern": pattern}}


def _kept(question: str, wanted: nodes.Node) -> Iterator[Json]:
    """Yield what has to hold for this condition to be true."""
    if (pattern := _searched(question, wanted)) is not None:
        yield {"pattern": pattern}
    elif isinstance(wanted, nodes.And):
        yield from _kept(question, wanted.left)
        yield from _kept(question, wanted.right)
    elif isinstance(wanted, nodes.Compare):
        left = wanted.expr
        for operand in wanted.ops:
            yield from _bound(question, left, operand)
            left = operand.expr


def _bound(question: str, left: nodes.Node, operand: nodes.Operand) -> Iterator[Json]:
    names = _BOUNDS.get(operand.op)
    if names is None:
        return
    if _is_answer(question, operand.expr) and (number := _number(left)) is not None:
        yield {names[0]: number}
    elif _is_answer(question, left) and (number := _number(operand.expr)) is not None:
        yield {names[1]: number}


def _length(question: str, left: nodes.Node, operand: nodes.Operand) -> Iterator[Json]:
    right = operand.expr
    if isinstance(left, nodes.Filter) and left.node is not None and _is_answer(question, left.node):
        number = _number(right)
        if left.name in {"length", "count"} and isinstance(number, int) and operand.op in _LENGTHS:
            name, more = _LENGTHS[operand.op]
            yield {name: max(0, number + more)}
        elif left.name == "trim" and operand.op == "eq" and _const(right) == "":
            yield {"pattern": r"\S"}
    elif _is_answer(question, left) and operand.op == "eq" and _const(right) == "":
        yield {"minLength": 1}
    elif operand.op == "in" and _is_answer(question, right):
        part = _const(left)
        if isinstance(part, str) and part:
            yield {"not": {"pattern": _plain(part)}}


def _searched(question: str, node: nodes.Node) -> str | None:
    """Return the pattern that a condition looks for in the answer, as browsers write it."""
    if not isinstance(node, nodes.Filter) or node.name != "regex_search" or len(node.args) != 1 or node.kwargs:
        return None
    if node.node is None or not _is_answer(question, node.node):
        return None
    pattern = _const(node.args[0])
    return as_ecma(pattern) if isinstance(pattern, str) else None


def as_ecma(pattern: str) -> str | None:
    """Return a pattern of Python's as ECMAScript has it (JSON Schema's dialect); nothing if it has no such form."""
    if _GROUP.search(pattern):
        return None
    for escaped in _ESCAPE.findall(pattern):
        if escaped not in _SAME_ELSEWHERE and escaped not in "AZ":
            return None
    made = _ESCAPE.sub(lambda found: {"A": "^", "Z": "$"}.get(found[1], found[0]), pattern)
    try:
        re.compile(made)
    except (re.error, RecursionError, OverflowError):
        return None
    return _printable(made)


def _plain(text: str) -> str:
    return _printable(re.sub(r"[\^$\\.*+?()\[\]{}|/]", lambda found: f"\\{found[0]}", text))


def _printable(pattern: str) -> str:
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in pattern)


def _together(found: list[Json]) -> Json:
    """Put rules together: one pattern as it is, more of them each on its own, the forbidden ones in one."""
    patterns = [one["pattern"] for one in found if "pattern" in one]
    forbidden = [one["not"]["pattern"] for one in found if "not" in one]
    made: Json = {}
    for one in found:
        made |= {name: value for name, value in one.items() if name not in {"pattern", "not"}}
    if patterns:
        made["pattern"] = patterns[0]
    if len(patterns) > 1:
        made["allOf"] = [{"pattern": one} for one in patterns[1:]]
    if forbidden:
        made["not"] = {"pattern": "|".join(forbidden)}
    return made


def _message(body: list[nodes.Node]) -> str | None:
    """Return a message up to where it speaks of the answer itself."""
    said = ""
    for node in body:
        for one in node.nodes if isinstance(node, nodes.Output) else [node]:
            try:
                said += one.data if isinstance(one, nodes.TemplateData) else text_of([one], {})
            except Unclear:
                return said.rpartition(",")[0].strip() or None
    return " ".join(said.split()) or None


def _is_answer(question: str, node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == question


def _const(node: nodes.Node) -> Any:
    try:
        return value_of(node, {})
    except Unclear:
        return None


def _number(node: nodes.Node) -> int | float | None:
    value = _const(node)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
