"""What was found out about a repository, each with the evidence for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")


@dataclass(frozen=True)
class Guess(Generic[Found]):
    """Something that is probably so, and what speaks for it (places as ``file:line``)."""

    value: Found
    evidence: tuple[str, ...]


class Manager(StrEnum):
    """What installs the repository's dependencies."""

    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    PIPENV = "pipenv"
    CONDA = "conda"
    SETUPTOOLS = "setuptools"
    PROJECT = "pyproject"
    """A ``[project]`` table, whatever builds it."""
    REQUIREMENTS = "requirements"
    NONE = "none"


@dataclass(frozen=True)
class FoundFunction:
    """A function of the repository."""

    module: str
    """As it is imported from ``src/`` or the top."""
    name: str
    file: str
    line: int
    required: tuple[str, ...]
    """Parameters without a default, in order."""
    returns: str = "one"
    """``one`` value, ``several`` as a tuple, or ``nothing``."""

    @property
    def entrypoint(self) -> str:
        """``module:function``."""
        return f"{self.module}:{self.name}"

    def shown(self) -> str:
        """Return it as people name it."""
        return f"{self.file}:{self.line} {self.name}({', '.join(self.required)})"


@dataclass(frozen=True)
class FoundColumn:
    """A column of the model's input or output; ``type`` is an MLflow signature type, or nothing where it is not known."""

    name: str
    type: str | None


@dataclass
class Survey:
    """Everything that was found out."""

    name: Guess[str]
    kind: Guess[str]
    description: Guess[str] | None = None
    owner: Guess[str] | None = None
    org: Guess[str] | None = None
    python: Guess[str] | None = None
    manager: Guess[Manager] = field(default_factory=lambda: Guess(Manager.NONE, ()))
    ci: list[Guess[str]] = field(default_factory=list)
    origin: Guess[str] | None = None
    """The template or tool that the repository came from."""
    training: list[FoundFunction] = field(default_factory=list)
    """Functions that train a model, the likeliest first."""
    ready: FoundFunction | None = None
    """A function that is what the platform calls to train already."""
    loaders: list[FoundFunction] = field(default_factory=list)
    """Functions that return data, the likeliest first."""
    uri: Guess[str] | None = None
    target: Guess[str] | None = None
    evaluator: Guess[str] | None = None
    inputs: Guess[tuple[FoundColumn, ...]] | None = None
    outputs: Guess[tuple[FoundColumn, ...]] | None = None
    packages: frozenset[str] = frozenset()
    """Top-level packages that the code imports."""
    notes: list[str] = field(default_factory=list)
    """What a person should know besides."""

    def guesses(self) -> Mapping[str, Guess[Any]]:
        """Return what was found, by what it is called to people."""
        named: dict[str, Guess[Any] | None] = {
            "name": self.name,
            "type": self.kind,
            "description": self.description,
            "owner": self.owner,
            "org": self.org,
            "python": self.python,
            "package manager": self.manager,
            "came from": self.origin,
            "data": self.uri,
            "target": self.target,
            "evaluator": self.evaluator,
        }
        found = {name: guess for name, guess in named.items() if guess is not None}
        if self.ci:
            places = tuple(place for guess in self.ci for place in guess.evidence)
            found["CI"] = Guess(", ".join(guess.value for guess in self.ci), places)
        if self.ready is not None:
            found["training"] = Guess(self.ready.entrypoint, (self.ready.shown(),))
        elif self.training:
            found["training"] = Guess(self.training[0].entrypoint, tuple(one.shown() for one in self.training[:3]))
        if self.loaders:
            found["data loader"] = Guess(self.loaders[0].entrypoint, tuple(one.shown() for one in self.loaders[:3]))
        for side, columns in (("inputs", self.inputs), ("outputs", self.outputs)):
            if columns is not None:
                shown = ", ".join(f"{column.name}: {column.type or '?'}" for column in columns.value[:8])
                more = f" and {len(columns.value) - 8} more" if len(columns.value) > 8 else ""
                found[side] = Guess(shown + more, columns.evidence)
        return found
