"""Read a shell hook line by line: the few commands that hooks are made of, under ``if [ ... ]`` and Jinja's own ``if``."""

import re
import shlex
from dataclasses import dataclass, field

from scaffolder.cookiecutter.hooks.actions import Action, Delete, Left, Move, Refuse, Say, Skip
from scaffolder.cookiecutter.hooks.source import HookSource
from scaffolder.cookiecutter.hooks.values import Place, Text, conjunction, negated

_TAG = re.compile(r"^\s*#?\s*JINJA_TAG_(\d+)_[\s#]*$")
_IGNORED = ("set ", "export LANG", "cd .", ":", "true")
_TEST = re.compile(r"^(?:\[\[?|test)\s+(?P<test>.+?)\s*(?:\]\]?)?$")


@dataclass
class _Level:
    """One ``if`` that is open: its conditions so far, and whether Jinja or the shell opened it."""

    by: str
    before: list[str] = field(default_factory=list)
    known: bool = True


@dataclass
class ShellReader:
    """Reads one shell script."""

    source: HookSource
    file: str
    actions: list[Action] = field(default_factory=list)
    _levels: list[_Level] = field(default_factory=list)
    _conditions: list[str] = field(default_factory=list)

    def read(self) -> list[Action]:
        """Return what the script does."""
        skipping_to: str | None = None
        for number, line in enumerate(self.source.code.split("\n"), 1):
            text = line.strip()
            if skipping_to is not None:
                skipping_to = None if text == skipping_to else skipping_to
                continue
            if tag := _TAG.match(line):
                self._jinja(number, self.source.inner[int(tag[1])].strip("-+ "))
                continue
            if not text or text.startswith("#") or text in {"set", "fi;"} or text.startswith(_IGNORED):
                continue
            if here := re.search(r"<<-?\s*['\"]?(\w+)", text):
                skipping_to = here[1]
                self._leave(number, text)
                continue
            self._line(number, text)
        return self.actions

    def _line(self, number: int, text: str) -> None:
        branch = re.match(r"^(if|elif)\s+(.*?)\s*;\s*then$", text)
        if branch:
            self._if(number, branch[1], branch[2], text)
        elif text == "else":
            self._else()
        elif text == "fi":
            self._end("shell")
        elif re.match(r"^(for|while|until|case|function)\b|\(\)\s*\{", text) or text in {
            "then",
            "done",
            "esac",
            "do",
            "}",
        }:
            self._leave(number, text)
        else:
            for command in re.split(r"\s*(?:&&|;)\s*", text):
                self._command(number, command)

    def _if(self, number: int, word: str, test: str, text: str) -> None:
        condition = self._test(test)
        if word == "if":
            self._levels.append(_Level("shell"))
            self._conditions.append("true")
        level = self._levels[-1] if self._levels else None
        if level is None or level.by != "shell":
            self._leave(number, text)
            return
        if condition is None:
            level.known = False
            self._leave(number, text)
            condition = "false"
        self._conditions[-1] = conjunction([*(negated(other) for other in level.before), condition])
        level.before.append(condition)

    def _else(self) -> None:
        if self._levels:
            level = self._levels[-1]
            self._conditions[-1] = conjunction([negated(other) for other in level.before]) if level.known else "false"

    def _end(self, by: str) -> None:
        if self._levels and self._levels[-1].by == by:
            self._levels.pop()
            self._conditions.pop()

    def _jinja(self, number: int, inner: str) -> None:
        word, _, rest = inner.partition(" ")
        if word == "if":
            self._levels.append(_Level("jinja", [rest]))
            self._conditions.append(rest)
        elif word == "elif" and self._levels and self._levels[-1].by == "jinja":
            level = self._levels[-1]
            self._conditions[-1] = conjunction([*(negated(other) for other in level.before), rest])
            level.before.append(rest)
        elif word == "else":
            self._else()
        elif word == "endif":
            self._end("jinja")
        else:
            self._leave(number, f"{{% {inner} %}}")

    def _test(self, test: str) -> str | None:
        """Return a shell test as a Jinja condition, or nothing where it asks for more than answers."""
        match = _TEST.match(test)
        try:
            words = shlex.split(match["test"]) if match else []
        except ValueError:
            return None
        if any("$" in word for word in words):
            return None
        if len(words) == 2 and words[0] in {"-n", "-z"}:
            text = self.source.text(words[1]).expression()
            return None if text is None else f"{text} {'!=' if words[0] == '-n' else '=='} ''"
        if len(words) == 2 and words[0] in {"-f", "-d", "-e"}:
            return "true"
        if len(words) == 3 and words[1] in {"=", "==", "!="}:
            left, right = (self.source.text(word).expression() for word in (words[0], words[2]))
            if left is None or right is None:
                return None
            return f"{left} {'!=' if words[1] == '!=' else '=='} {right}"
        return None

    def _command(self, number: int, command: str) -> None:
        try:
            words = shlex.split(re.sub(r"\s*(\d?>|2>&1|>/dev/null|\|\|\s*true).*$", "", command))
        except ValueError:
            words = []
        condition = self._condition()
        if condition == "false":
            return
        texts = [self.source.text(word) for word in words[1:]]
        plain = [text for text, word in zip(texts, words[1:], strict=True) if not word.startswith("-")]
        if not words or any("$" in word or "*" in word or "`" in word for word in words[1:]):
            self._leave(number, command)
        elif words[0] in {"rm", "rmdir", "unlink"}:
            self.actions += [Delete(self.file, number, condition, Place(text)) for text in plain]
        elif words[0] == "mv" and len(plain) == 2:
            self.actions.append(Move(self.file, number, condition, Place(plain[0]), Place(plain[1])))
        elif words[0] in {"echo", "printf"}:
            parts = [part for text in plain for part in (" ", *text.parts)][1:]
            self.actions.append(Say(self.file, number, condition, Text.of(*parts)))
        elif words[0] == "git":
            why = "the platform makes the first commit; by hand, run it after copying"
            self.actions.append(Skip(self.file, number, condition, " ".join(words), why))
        elif words[0] == "exit":
            self._exit(number, words, condition)
        else:
            self._leave(number, command, "run it by hand after copying")

    def _exit(self, number: int, words: list[str], condition: str | None) -> None:
        if words[1:] in ([], ["0"]):
            if condition is not None:
                self._leave(number, "exit")
            return
        said: list[Text] = []
        while self.actions and isinstance(self.actions[-1], Say) and self.actions[-1].condition == condition:
            said.insert(0, self.actions.pop().message)  # type: ignore[attr-defined]
        if condition is None:
            self._leave(number, "exit 1")
            return
        parts = [part for text in said for part in (" ", *text.parts)][1:]
        message = Text.of(*parts) if parts else Text.of("the answers are refused by the template")
        self.actions.append(Refuse(self.file, number, condition, message))

    def _condition(self) -> str | None:
        kept = [condition for condition in self._conditions if condition != "true"]
        if "false" in kept:
            return "false"
        return conjunction(kept) if kept else None

    def _leave(
        self, number: int, text: str, fix: str = "say it in the template, or do it by hand after copying"
    ) -> None:
        self.actions.append(Left(self.file, number, self._condition(), f"`{self.source.shown(text)}`", fix))
