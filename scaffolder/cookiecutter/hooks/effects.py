"""What a hook's calls do: delete, rename, print, run programs, refuse the answers."""

import ast
import itertools
from collections.abc import Callable

from scaffolder.cookiecutter.hooks.actions import Action, Delete, Left, Move, Refuse, Say, Skip
from scaffolder.cookiecutter.hooks.evaluate import Evaluator
from scaffolder.cookiecutter.hooks.source import HookSource
from scaffolder.cookiecutter.hooks.values import (
    UNKNOWN,
    Constant,
    Items,
    Place,
    Text,
    Value,
    as_place,
    as_text,
    conjunction,
)

_DELETES = {"os.remove", "os.unlink", "os.rmdir", "os.removedirs", "shutil.rmtree", ".unlink", ".rmdir"}
_MOVES = {"os.rename", "os.replace", "os.renames", "shutil.move", ".rename", ".replace"}
_PROCESSES = {
    "os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "subprocess.Popen", "subprocess.getoutput",
}  # fmt: skip
_EXITS = {"sys.exit", "exit", "quit", "SystemExit", "os._exit"}


class Effects(Evaluator):
    """Notes what calls do, under the conditions that hold where they are made."""

    def __init__(self, source: HookSource, file: str, is_there: Callable[[Place], bool]) -> None:
        super().__init__(source, is_there)
        self.file = file
        self.actions: list[Action] = []
        self.conditions: list[str] = []
        self.frames: list[tuple[ast.Call, frozenset[str]]] = []
        """The calls that are being followed, with the names of their parameters."""

    def effect(self, name: str, node: ast.Call) -> Value | None:
        """Note deletions, moves, messages and refusals."""
        owner = self.value(node.func.value) if isinstance(node.func, ast.Attribute) and name.startswith(".") else None
        if name.startswith(".") and not isinstance(owner, Place):
            return None
        arguments = self.arguments(node)
        if owner is not None:
            arguments = [owner, *arguments]
        if name in _DELETES:
            return self._delete(node, arguments)
        if name in _MOVES:
            return self._move(node, arguments)
        if name in _PROCESSES:
            return self._process(node, arguments)
        if name == "print":
            pieces = [as_text(argument) for argument in arguments]
            if None not in pieces:
                whole = Text.of(*itertools.chain.from_iterable((" ", *piece.parts) for piece in pieces if piece))
                self.actions.append(Say(self.file, node.lineno, self._condition(), _without_space(whole)))
            return Constant(None)
        if name in _EXITS:
            return self._exit(node, arguments)
        return None

    def _delete(self, node: ast.Call, arguments: list[Value]) -> Value:
        place = as_place(arguments[0]) if arguments else None
        if place is None:
            self.leave(node)
        else:
            self.actions.append(Delete(self.file, self._line(node), self._condition(), place))
        return Constant(None)

    def _move(self, node: ast.Call, arguments: list[Value]) -> Value:
        places = [as_place(argument) for argument in arguments[:2]]
        if len(places) != 2 or places[0] is None or places[1] is None:
            self.leave(node)
        else:
            self.actions.append(Move(self.file, self._line(node), self._condition(), places[0], places[1]))
        return Constant(None)

    def _process(self, node: ast.Call, arguments: list[Value]) -> Value:
        first = arguments[0] if arguments else UNKNOWN
        words = [as_text(item) for item in first.values] if isinstance(first, Items) else [as_text(first)]
        command = " ".join((word.known or "...") if word is not None else "..." for word in words)
        if command.split()[:1] == ["git"]:
            why = "the platform makes the first commit; by hand, run it after copying"
            self.actions.append(Skip(self.file, self._line(node), self._condition(), command, why))
        else:
            shown = command if command.strip(". ") else self.source.shown(ast.unparse(node))
            self.actions.append(
                Left(
                    self.file,
                    self._line(node),
                    self._condition(),
                    f"runs `{shown[:100]}`",
                    "run it by hand after copying",
                )
            )
        return UNKNOWN

    def _exit(self, node: ast.Call, arguments: list[Value]) -> Value:
        first = arguments[0] if arguments else Constant(None)
        if first in {Constant(0), Constant(None), Constant(False)} or first is UNKNOWN:
            if self.conditions and first is not UNKNOWN:
                self.leave(node)
            return Constant(None)
        self.refuse(node, as_text(first) if isinstance(first, Text) else None)
        return Constant(None)

    def refuse(self, node: ast.stmt | ast.Call, message: Text | None) -> None:
        """Note a refusal; what was printed just before it, under the same condition, is its message."""
        condition = self._condition()
        said: list[Text] = []
        while (
            self.actions and isinstance(self.actions[-1], Say) and self.actions[-1].condition == condition and condition
        ):
            said.insert(0, self.actions.pop().message)  # type: ignore[attr-defined]
        whole = said + ([message] if message is not None else [])
        if condition is None:
            self.leave(node)
            return
        if not whole:
            whole = [Text.of("the answers are refused by the template")]
        parts = itertools.chain.from_iterable((" ", *text.parts) for text in whole)
        self.actions.append(Refuse(self.file, self._line(node), condition, _without_space(Text.of(*parts))))

    def _line(self, node: ast.AST) -> int:
        """Return the line that a person would look at: where a helper got what it works on, not the helper's own."""
        for call, parameters in reversed(self.frames):
            if not any(isinstance(part, ast.Name) and part.id in parameters for part in ast.walk(node)):
                break
            node = call
        return int(getattr(node, "lineno", 1))

    def _condition(self) -> str | None:
        return conjunction(self.conditions) if self.conditions else None

    def leave(self, node: ast.stmt | ast.Call, what: str | None = None) -> None:
        """Note something that is left to a person: the code itself, unless ``what`` says it better."""
        shown = what or self.source.shown(ast.unparse(node).split("\n")[0])
        self.actions.append(Left(self.file, node.lineno, self._condition(), what or f"`{shown}`"))


def _without_space(text: Text) -> Text:
    first = text.parts[0] if text.parts else ""
    return Text.of(first.removeprefix(" "), *text.parts[1:]) if isinstance(first, str) else text
