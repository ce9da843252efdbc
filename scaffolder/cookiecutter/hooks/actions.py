"""What hooks do, as far as it was understood."""

from dataclasses import dataclass

from scaffolder.cookiecutter.hooks.values import Place, Text


@dataclass(frozen=True)
class Action:
    """Something a hook does under a condition on the answers; the condition is a Jinja expression, or nothing for always."""

    file: str
    line: int
    condition: str | None


@dataclass(frozen=True)
class Delete(Action):
    """A file or folder is removed."""

    place: Place


@dataclass(frozen=True)
class Move(Action):
    """A file or folder gets another name."""

    place: Place
    to: Place


@dataclass(frozen=True)
class Refuse(Action):
    """The answers are refused with a message."""

    message: Text


@dataclass(frozen=True)
class Say(Action):
    """Something is printed."""

    message: Text


@dataclass(frozen=True)
class Skip(Action):
    """Something that need not be done any more."""

    what: str
    why: str


@dataclass(frozen=True)
class Left(Action):
    """Something that was not understood, or has no counterpart."""

    what: str
    fix: str = "say it in the template, or do it by hand after copying"
