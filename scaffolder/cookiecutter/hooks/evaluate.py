"""Evaluate the expressions of a hook with what is known without running it."""

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from scaffolder.cookiecutter.hooks.formats import braces_filled, percents_filled
from scaffolder.cookiecutter.hooks.source import HookSource
from scaffolder.cookiecutter.hooks.values import (
    UNKNOWN,
    Condition,
    Constant,
    Exists,
    Expression,
    Function,
    Items,
    Method,
    Named,
    Pattern,
    Place,
    Text,
    Value,
    as_place,
    as_text,
    conjunction,
    disjunction,
    negated,
    split_guard,
)
from scaffolder.cookiecutter.syntax import quoted

Truth = bool | str | None
"""True, false, a Jinja condition, or nothing where it can't be known."""

_HERE = {
    "os.getcwd",
    "os.path.realpath",
    "os.path.abspath",
    "os.path.normpath",
    "os.path.expanduser",
    "pathlib.Path.cwd",
}
_EXISTS = {"os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.lexists", "os.path.islink"}
_CURRENT = {"os.path.curdir": "", "os.curdir": "", "os.sep": "/", "os.path.sep": "/"}
_TEXT_METHODS = {
    "lower", "upper", "title", "capitalize", "strip", "startswith", "endswith", "isidentifier", "isalnum", "isalpha",
    "isdigit", "islower", "isupper", "replace", "isnumeric", "isdecimal", "isascii", "lstrip", "rstrip",
}  # fmt: skip
_TRUTHS = {name for name in _TEXT_METHODS if name.startswith("is")} | {"startswith", "endswith"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_REGEX = {"re.match": "\\A(?:{})", "re.fullmatch": "\\A(?:{})\\Z", "re.search": "{}"}


class Evaluator(ABC):
    """Values of expressions in the scopes of a walk through the hook."""

    def __init__(self, source: HookSource, is_there: Callable[[Place], bool]) -> None:
        self.source = source
        self.is_there = is_there
        self.scopes: list[dict[str, Value]] = [{}]

    @abstractmethod
    def effect(self, name: str, node: ast.Call) -> Value | None:
        """Do what a call is known to do and return its value, or return nothing where it does nothing of the kind."""

    @abstractmethod
    def inlined(self, function: Function, node: ast.Call) -> Value:
        """Follow a call of one of the hook's own functions."""

    def value(self, node: ast.expr) -> Value:
        """Return what an expression is."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.JoinedStr():
                return self._formatted(node)
            case ast.Name():
                return self._name(node.id)
            case ast.Attribute():
                return self._attribute(node)
            case ast.List() | ast.Tuple() | ast.Set():
                if any(isinstance(item, ast.Starred) for item in node.elts):
                    return UNKNOWN
                return Items(tuple(self.value(item) for item in node.elts))
            case ast.BinOp():
                return self._binary(node)
            case ast.Call():
                return self.called(node)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp():
                truth = self.truth(node)
                return UNKNOWN if truth is None else Constant(truth) if isinstance(truth, bool) else Condition(truth)
            case ast.IfExp():
                truth = self.truth(node.test)
                return self.value(node.body if truth else node.orelse) if isinstance(truth, bool) else UNKNOWN
        return UNKNOWN

    def arguments(self, node: ast.Call) -> list[Value]:
        """Return the values of a call's arguments by position; one that is spread out counts as what is in it."""
        found: list[Value] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                spread = self.value(argument.value)
                found += spread.values if isinstance(spread, Items) else (UNKNOWN,)
            else:
                found.append(self.value(argument))
        return found

    def truth(self, node: ast.expr) -> Truth:
        """Return when an expression is true."""
        match node:
            case ast.BoolOp():
                return self._together(node)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(node.operand)
                return (not inner) if isinstance(inner, bool) else None if inner is None else negated(inner)
            case ast.Compare(ops=[operator], comparators=[right]):
                return self._compared(node.left, operator, right)
        return self._truthy(self.value(node))

    def _truthy(self, value: Value) -> Truth:
        match value:
            case Constant():
                return bool(value.value)
            case Condition():
                return value.source
            case Exists():
                return self.is_there(value.place)
            case Text() if value.known is not None:
                return bool(value.known)
            case Text() if (guarded := split_guard(value)) is not None:
                return guarded[0] if guarded[1].known and guarded[1].known.strip() else None
            case Text():
                only = value.parts[0] if len(value.parts) == 1 else None
                if isinstance(only, Expression) and not only.is_text:
                    return None
                return value.expression()
            case Items():
                return bool(value.values)
        return None

    def _together(self, node: ast.BoolOp) -> Truth:
        every = isinstance(node.op, ast.And)
        sources = []
        for part in node.values:
            truth = self.truth(part)
            if truth is None:
                return None
            if isinstance(truth, bool):
                if truth is not every:
                    return truth
                continue
            sources.append(truth)
        if not sources:
            return every
        return conjunction(sources) if every else disjunction(sources)

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Truth:
        first, second = self.value(left), self.value(right)
        if isinstance(operator, ast.Is | ast.IsNot) and isinstance(second, Constant) and second.value is None:
            truth = self._truthy(first) if isinstance(first, Condition) else None
            if not isinstance(truth, str):
                return None
            return negated(truth) if isinstance(operator, ast.Is) else truth
        symbol = _COMPARISONS.get(type(operator))
        if symbol is None:
            return None
        one, other = _operand(first), _operand(second)
        if one is None or other is None:
            return None
        if first == Named("__name__") or one == quoted("__main__"):
            return None
        known = (_known(first), _known(second))
        if None not in known and symbol in {"==", "!=", "in", "not in"}:
            return _decided(known[0], symbol, known[1])
        return f"{one} {symbol} {other}"

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return self.source.text(node.value)
        if node.value is None or isinstance(node.value, bool | int | float):
            return Constant(node.value)
        return UNKNOWN

    def _formatted(self, node: ast.JoinedStr) -> Value:
        text = Text(())
        for part in node.values:
            piece: Value = UNKNOWN
            if isinstance(part, ast.Constant):
                piece = self.source.text(str(part.value))
            elif isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion in {-1, 115}:
                piece = self.value(part.value)
            found = as_text(piece)
            if found is None:
                return UNKNOWN
            text += found
        return text

    def _name(self, name: str) -> Value:
        for scope in (self.scopes[-1], self.scopes[0]):
            if name in scope:
                return scope[name]
        expression = self.source.expression(name)
        if expression is not None:
            # Written bare into the code, an answer is Python: `True` for yes-or-no, and nobody knows what for the rest.
            return UNKNOWN if expression.is_text else Condition(expression.source)
        return Named(name)

    def _attribute(self, node: ast.Attribute) -> Value:
        owner = self.value(node.value)
        if isinstance(owner, Named):
            name = f"{owner.name}.{node.attr}"
            return Text.of(_CURRENT[name]) if name in _CURRENT else Named(name)
        if isinstance(owner, Place) and node.attr in {"name", "parent"}:
            return self._of_path(owner, node.attr)
        return UNKNOWN if owner is UNKNOWN else Method(owner, node.attr)

    def _of_path(self, place: Place, attribute: str) -> Value:
        known = place.text.known
        if known is None:
            return UNKNOWN
        above, _, name = known.rpartition("/")
        return Text.of(name) if attribute == "name" else Place(Text.of(above))

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Div):
            first, second = as_place(left), as_text(right)
            return first.joined(second) if first is not None and second is not None else UNKNOWN
        if isinstance(node.op, ast.Add):
            if isinstance(left, Items) and isinstance(right, Items):
                return Items(left.values + right.values)
            one, other = (value if isinstance(value, Text) else None for value in (left, right))
            return one + other if one is not None and other is not None else UNKNOWN
        if isinstance(node.op, ast.Mod) and isinstance(left, Text):
            return percents_filled(left, list(right.values) if isinstance(right, Items) else [right])
        return UNKNOWN

    def called(self, node: ast.Call) -> Value:
        """Return what a call returns, and do what it is known to do."""
        function = self.value(node.func)
        if isinstance(function, Function):
            return self.inlined(function, node)
        if isinstance(function, Named):
            done = self.effect(function.name, node)
            return done if done is not None else self._known_call(function.name, node)
        if isinstance(function, Method):
            done = self.effect(f".{function.name}", node)
            return done if done is not None else self._method(function, node)
        return UNKNOWN

    def _known_call(self, name: str, node: ast.Call) -> Value:
        arguments = self.arguments(node)
        first = arguments[0] if arguments else UNKNOWN
        if name in _HERE:
            if not arguments:
                return Place(Text(()))
            return as_place(first) or UNKNOWN
        if name in {"os.path.join", "pathlib.Path", "pathlib.PurePath", "pathlib.PurePosixPath"}:
            return self._joined(arguments)
        if name in _EXISTS:
            place = as_place(first)
            return Exists(place) if place is not None else UNKNOWN
        if name in {"str", "os.fspath"}:
            return as_text(first) or UNKNOWN
        if name == "len" and isinstance(first, Text) and (source := first.expression()) is not None:
            return Text.of(Expression(f"({source}) | length"))
        if name in {"list", "tuple", "set", "sorted"} and isinstance(first, Items):
            return first
        if name == "hasattr" and isinstance(first, Text) and len(arguments) == 2:
            known = _known(arguments[1])
            return Constant(hasattr(str, known)) if isinstance(known, str) else UNKNOWN
        if name == "json.loads" and isinstance(first, Text):
            return _loaded(first)
        if name in _REGEX and len(arguments) >= 2 and isinstance(arguments[1], Text):
            return self._searched(name, first, arguments[1], node)
        if name == "re.compile":
            known = _known(first)
            return Pattern(known) if isinstance(known, str) and len(arguments) == 1 else UNKNOWN
        return UNKNOWN

    def _joined(self, arguments: list[Value]) -> Value:
        place = Place(Text(()))
        for argument in arguments:
            piece = as_text(argument)
            if piece is None:
                return UNKNOWN
            place = place.joined(piece) if piece.parts else place
        return place

    def _method(self, method: Method, node: ast.Call) -> Value:
        owner, name = method.owner, method.name
        arguments = self.arguments(node)
        if isinstance(owner, Pattern) and arguments and isinstance(arguments[0], Text):
            return self._searched(f"re.{name}", Text.of(owner.source), arguments[0], node)
        if isinstance(owner, Place):
            if name in {"exists", "is_file", "is_dir", "is_symlink"}:
                return Exists(owner)
            if name in {"resolve", "absolute", "expanduser"}:
                return owner
            if name == "joinpath":
                return self._joined([owner, *arguments])
            return UNKNOWN
        if isinstance(owner, Text) and name in _TEXT_METHODS:
            return _text_method(owner, name, arguments)
        if isinstance(owner, Text) and name == "format":
            return braces_filled(owner, arguments, {word.arg: self.value(word.value) for word in node.keywords})
        if isinstance(owner, Text) and name == "split" and (known := owner.known) is not None and not arguments:
            return Items(tuple(Text.of(word) for word in known.split()))
        return UNKNOWN

    def _searched(self, name: str, pattern: Value, text: Text, node: ast.Call) -> Value:
        known, source = _known(pattern), text.expression()
        if name not in _REGEX or not isinstance(known, str) or source is None:
            return UNKNOWN
        flags = re.match(r"\(\?[aiLmsux]+\)", known)
        start, rest = (flags[0], known[flags.end() :]) if flags else ("", known)
        for word in (*node.args[2:], *(keyword.value for keyword in node.keywords)):
            if self.value(word) not in {Named("re.IGNORECASE"), Named("re.I")}:
                return UNKNOWN
            start = "(?i)"
        searched = source if re.fullmatch(r"[\w.]+", source) else f"({source})"
        return Condition(f"{searched} | regex_search({quoted(start + _REGEX[name].format(rest))}) is not none")


def _operand(value: Value) -> str | None:
    if isinstance(value, Text | Place):
        text = as_text(value)
        return text.expression() if text is not None else None
    if isinstance(value, Constant):
        return {True: "true", False: "false", None: "none"}.get(value.value, repr(value.value))  # type: ignore[arg-type]
    if isinstance(value, Items):
        parts = [_operand(item) for item in value.values]
        return None if None in parts else f"[{', '.join(str(part) for part in parts)}]"
    return f"({value.source})" if isinstance(value, Condition) else None


def _known(value: Value) -> object:
    """Return what a value is where it depends on nothing, or nothing."""
    if isinstance(value, Text):
        return value.known
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Items):
        inner = [_known(item) for item in value.values]
        return None if None in inner else tuple(inner)
    return None


def _decided(left: object, symbol: str, right: object) -> bool:
    if symbol in {"==", "!="}:
        return (left == right) is (symbol == "==")
    inside = isinstance(right, str | tuple) and left in right
    return inside is (symbol == "in")


def _loaded(text: Text) -> Value:
    """Return what ``json.loads`` makes of ``{{ expression | tojson }}``: the expression itself."""
    parts = [part for part in text.parts if not (isinstance(part, str) and not part.strip())]
    if len(parts) == 1 and isinstance(parts[0], Expression):
        match = re.fullmatch(r"(.*?)\s*\|\s*(tojson|jsonify)\s*(\(\s*\))?", parts[0].source, flags=re.DOTALL)
        if match:
            return Text.of(Expression(match[1].strip(), is_text=True))
    return UNKNOWN


def _text_method(owner: Text, name: str, arguments: list[Value]) -> Value:
    known = owner.known
    plain = [_known(argument) for argument in arguments]
    if known is not None and all(isinstance(item, str) for item in plain):
        found = getattr(known, name)(*plain)
        return Constant(found) if isinstance(found, bool) else Text.of(found)
    if name == "strip" and not arguments:
        return Text(owner.parts, stripped=True)
    source = owner.expression()
    given = [_operand(argument) for argument in arguments]
    if source is None or None in given:
        return UNKNOWN
    owned = source if re.fullmatch(r"[\w.]+", source) else f"({source})"
    call = f"{owned}.{name}({', '.join(str(item) for item in given)})"
    return Condition(call) if name in _TRUTHS else Text.of(Expression(call, is_text=True))
