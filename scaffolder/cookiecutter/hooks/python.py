"""Follow a Python hook through its statements without running it, and list what it does under which conditions."""

import ast
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from scaffolder.cookiecutter.hooks.actions import Action, Refuse
from scaffolder.cookiecutter.hooks.effects import Effects
from scaffolder.cookiecutter.hooks.evaluate import Truth
from scaffolder.cookiecutter.hooks.source import MARK, HookSource
from scaffolder.cookiecutter.hooks.values import (
    UNKNOWN,
    Constant,
    Function,
    Items,
    Named,
    Place,
    Text,
    Value,
    as_text,
    conjunction,
    disjunction,
    negated,
    split_guard,
)

_DEPTH = 12
_STEPS = 20_000


class _Return(Exception):
    """The function being followed is left for certain."""


class _NextTurn(Exception):
    """The loop's next turn begins for certain."""


class TooLong(Exception):
    """The hook has more steps than hooks have."""


@dataclass
class _Branch:
    """Statements under a condition; nothing where the condition is not known."""

    condition: Truth
    body: list[ast.stmt]


class Walker(Effects):
    """A walk through one hook."""

    def __init__(self, source: HookSource, file: str, is_there: Callable[[Place], bool]) -> None:
        super().__init__(source, file, is_there)
        self._result: Value = UNKNOWN
        self._steps = 0

    def walk(self) -> list[Action]:
        """Return what the hook does.

        Raises:
            TooLong: following it takes too many steps.
            NotPython: it can't be parsed.
        """
        try:
            self._body(self.source.python().body)
        except (_Return, _NextTurn):
            pass
        except RecursionError:
            raise TooLong from None
        return self.actions

    # statements

    def _body(self, body: list[ast.stmt]) -> None:
        """Follow statements; what comes after a conditional ``return`` happens under the opposite condition."""
        pushed = 0
        try:
            for item in self._grouped(body):
                left = self._branches(item) if isinstance(item, list) else self._statement(item)
                if left is not None:
                    self.conditions.append(negated(left))
                    pushed += 1
        finally:
            del self.conditions[len(self.conditions) - pushed :]

    def _grouped(self, body: list[ast.stmt]) -> Iterator[ast.stmt | list[_Branch]]:
        """Put statements between ``{% if %}`` and ``{% endif %}`` marks together as branches."""
        position = 0
        while position < len(body):
            statement = body[position]
            number = _mark(statement)
            if number is None:
                yield statement
                position += 1
                continue
            branches, end = self._marked(body, position)
            if branches is None:
                self.leave(statement, self.source.jinja[number])
                position += 1
            else:
                yield branches
                position = end

    def _marked(self, body: list[ast.stmt], start: int) -> tuple[list[_Branch] | None, int]:
        depth = 0
        before: list[str] = []
        branches: list[_Branch] = []
        for position in range(start, len(body)):
            number = _mark(body[position])
            inner = self.source.inner[number].strip("-+ ") if number is not None else ""
            word, _, rest = inner.partition(" ")
            if word in {"for", "macro", "call", "filter", "raw", "set"} and depth == 0:
                return None, position
            depth += {"if": 1, "endif": -1}.get(word, 0)
            if number is not None and depth == 0 and word == "endif":
                return branches, position + 1
            if number is not None and depth == 1 and word in {"if", "elif", "else"}:
                own = rest.strip() or None
                conditions = [negated(other) for other in before] + ([own] if own else [])
                before += [own] if own else []
                branches.append(_Branch(conjunction(conditions) if conditions else True, []))
            elif branches:
                branches[-1].body.append(body[position])
        return None, start

    def _statement(self, node: ast.stmt) -> str | None:
        """Follow one statement; return the condition under which the function is left by it, where there is one."""
        self._steps += 1
        if self._steps > _STEPS:
            raise TooLong
        match node:
            case ast.Expr():
                self._alone(node)
            case ast.Assign():
                for target in node.targets:
                    self._bind(target, self.value(node.value))
            case ast.AnnAssign() if node.value is not None:
                self._bind(node.target, self.value(node.value))
            case ast.AugAssign():
                self._bind(node.target, self.value(ast.BinOp(_loaded(node.target), node.op, node.value)))
            case ast.If():
                return self._branches(self._if(node))
            case ast.For():
                self._for(node)
            case ast.FunctionDef():
                self.scopes[-1][node.name] = Function(node)
            case ast.ClassDef() | ast.AsyncFunctionDef():
                self.scopes[-1][node.name] = UNKNOWN
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Return():
                self._result = self.value(node.value) if node.value is not None else Constant(None)
                raise _Return
            case ast.Continue():
                raise _NextTurn
            case ast.Try():
                self._body([*node.body, *node.orelse, *node.finalbody])
            case ast.With() if all(self._is_guard(item.context_expr) for item in node.items):
                self._body(node.body)
            case ast.Assert():
                self._assert(node)
            case ast.Raise():
                self._raise(node)
            case ast.Pass() | ast.Global() | ast.Nonlocal() | ast.AnnAssign():
                pass
            case _:
                self.leave(node)
        return None

    def _alone(self, node: ast.Expr) -> None:
        """Follow an expression that stands by itself: a call that is not understood is left to a person."""
        if isinstance(node.value, ast.Constant):
            self._docstring(node, node.value.value)
            return
        known = len(self.actions)
        if self._appended(node.value):
            return
        value = self.value(node.value)
        own = isinstance(node.value, ast.Call) and isinstance(self.value_of_callee(node.value), Function)
        if value is UNKNOWN and len(self.actions) == known and not own:
            self.leave(node)

    def value_of_callee(self, node: ast.Call) -> Value:
        """Return what is called."""
        return self.value(node.func) if isinstance(node.func, ast.Name) else UNKNOWN

    def _docstring(self, node: ast.Expr, value: object) -> None:
        parts = self.source.text(value).parts if isinstance(value, str) else ()
        if any(not isinstance(part, str) and ".update(" in part.source for part in parts):
            self.leave(node, "changes the answers while it is rendered (`cookiecutter.update`)")

    def _appended(self, node: ast.expr) -> bool:
        """Follow ``name.append(item)``; under a condition what is known of the list is not known any more."""
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            return False
        name, kind = node.func.value.id, node.func.attr
        before = self.value(node.func.value)
        if not isinstance(before, Items) or kind not in {"append", "extend"} or len(node.args) != 1:
            return False
        added = self.value(node.args[0])
        more = (added,) if kind == "append" else added.values if isinstance(added, Items) else None
        self.scopes[-1][name] = Items(before.values + more) if more is not None else UNKNOWN
        return True

    def _if(self, node: ast.If) -> list[_Branch]:
        if _is_main(node.test):
            return [_Branch(True, node.body)]
        branches: list[_Branch] = []
        before: list[str] = []
        current: ast.If | None = node
        while current is not None:
            truth = self.truth(current.test)
            following = current.orelse
            if truth is None:
                return [_Branch(None, [node])]
            if truth is True:
                return [*branches, _Branch(_all(before), current.body)]
            if isinstance(truth, str):
                branches.append(_Branch(_all([*before, truth]), current.body))
                before.append(negated(truth))
            if len(following) == 1 and isinstance(following[0], ast.If):
                current = following[0]
                continue
            if following:
                branches.append(_Branch(_all(before), following))
            current = None
        return branches

    def _branches(self, branches: list[_Branch]) -> str | None:
        left: list[str] = []
        for branch in branches:
            if branch.condition is None:
                self._unknown(branch.body[0])
                continue
            if branch.condition is True:
                self._body(branch.body)
                continue
            before = dict(self.scopes[-1])
            with self._under(str(branch.condition)):
                try:
                    self._body(branch.body)
                except (_Return, _NextTurn):
                    left.append(str(branch.condition))
            for name, value in self.scopes[-1].items():
                if before.get(name) != value:
                    self.scopes[-1][name] = UNKNOWN
        return disjunction(left) if left else None

    def _unknown(self, node: ast.stmt) -> None:
        """Leave a branch of which nobody knows when it is taken, and what follows where it may leave the function."""
        ends = ast.Return | ast.Raise | ast.Continue | ast.Break
        leaves = any(isinstance(part, ends) for part in ast.walk(node))
        shown = self.source.shown(ast.unparse(node).split("\n")[0])
        self.leave(node, f"`{shown}` and what follows it in the function" if leaves else None)
        self._forget([node])
        if leaves:
            self._result = UNKNOWN
            raise _Return

    def _for(self, node: ast.For) -> None:
        over = self.value(node.iter)
        if not isinstance(over, Items) or node.orelse or any(isinstance(part, ast.Break) for part in ast.walk(node)):
            self.leave(node)
            self._forget(node.body)
            return
        for value in over.values:
            guarded = split_guard(value) if isinstance(value, Text) else None
            self._bind(node.target, value if guarded is None else guarded[1])
            with self._under(guarded[0]) if guarded is not None else nullcontext(), suppress(_NextTurn):
                self._body(node.body)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                self.scopes[-1][alias.asname or name] = Named(name)
            else:
                self.scopes[-1][alias.asname or alias.name] = Named(f"{node.module}.{alias.name}")

    def _assert(self, node: ast.Assert) -> None:
        truth = self.truth(node.test)
        message = as_text(self.value(node.msg)) if node.msg is not None else Text.of("the answers are refused")
        if truth is None or message is None:
            self.leave(node)
        elif truth is not True:
            condition = _all([*self.conditions, *([negated(truth)] if isinstance(truth, str) else [])])
            self.actions.append(Refuse(self.file, node.lineno, None if condition is True else str(condition), message))

    def _raise(self, node: ast.Raise) -> None:
        arguments = node.exc.args if isinstance(node.exc, ast.Call) else []
        message = as_text(self.value(arguments[0])) if arguments else None
        self.refuse(node, message)

    def _is_guard(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self.value(node.func) in {Named("contextlib.suppress"), Named("suppress")}

    # values that change

    def _bind(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.scopes[-1][target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            known = value.values if isinstance(value, Items) and len(value.values) == len(target.elts) else None
            for index, part in enumerate(target.elts):
                self._bind(part, known[index] if known is not None else UNKNOWN)

    def _forget(self, body: list[ast.stmt]) -> None:
        for node in itertools.chain.from_iterable(ast.walk(statement) for statement in body):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.scopes[-1][node.id] = UNKNOWN

    @contextmanager
    def _under(self, condition: str) -> Iterator[None]:
        self.conditions.append(condition)
        try:
            yield
        finally:
            self.conditions.pop()

    # calls

    def inlined(self, function: Function, node: ast.Call) -> Value:
        """Follow a call of one of the hook's own functions, with its arguments."""
        if len(self.scopes) > _DEPTH:
            raise TooLong
        scope = self._arguments(function.node, node)
        self.scopes.append(scope)
        self.frames.append((node, frozenset(scope)))
        self._result = Constant(None)
        try:
            self._body(function.node.body)
        except _Return:
            return self._result
        finally:
            self.scopes.pop()
            self.frames.pop()
        return UNKNOWN if self._result != Constant(None) else self._result

    def _arguments(self, function: ast.FunctionDef, node: ast.Call) -> dict[str, Value]:
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        scope: dict[str, Value] = dict.fromkeys([*names, *(word.arg for word in function.args.kwonlyargs)], UNKNOWN)
        for name, default in zip(reversed(names), reversed(function.args.defaults), strict=False):
            scope[name] = self.value(default)
        for word, given in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            scope[word.arg] = self.value(given) if given is not None else UNKNOWN
        values = self.arguments(node)
        scope |= dict(zip(names, values, strict=False))
        if function.args.vararg is not None:
            scope[function.args.vararg.arg] = Items(tuple(values[len(names) :]))
        scope |= {word.arg: self.value(word.value) for word in node.keywords if word.arg is not None}
        return scope


def _all(conditions: list[str]) -> Truth:
    return conjunction(conditions) if conditions else True


def _mark(statement: ast.stmt) -> int | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Name):
        match = MARK.fullmatch(statement.value.id)
        return int(match[1]) if match else None
    return None


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _loaded(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target
