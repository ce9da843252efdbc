"""The repository's Python modules as syntax trees; nothing of them is imported or run."""

import ast
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from scaffolder.adopt.repository import Repository

_MODULES = 3_000
_NOTEBOOKS = 100
_ELSEWHERE = {"vendor", "node_modules", "site-packages", ".venv", "venv", "build", "dist", "examples", "docs"}


@dataclass(frozen=True)
class Module:
    """A module: its file, how it is imported from ``src/`` or the top, and its tree."""

    file: str
    name: str | None
    """Nothing for a file that can't be imported by a name."""
    tree: ast.Module
    is_test: bool


@dataclass(frozen=True)
class Notebook:
    """A notebook: the lines of code that fit a model in it, by cell (counted from 1)."""

    file: str
    fits: tuple[tuple[int, str], ...]


def read_modules(repository: Repository) -> Iterator[Module]:
    """Yield the modules that can be parsed, those nearest to the top first."""
    paths = [
        path
        for path, entry in repository.entries.items()
        if path.endswith(".py") and entry.is_file and not _ELSEWHERE & set(PurePosixPath(path).parts[:-1])
    ]
    paths.sort(key=lambda path: (path.count("/"), path))
    for path, content in repository.read_many(paths[:_MODULES]).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a stranger's invalid escape sequence is no business of ours
                tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        yield Module(path, module_name(path), tree, is_test(path))


def module_name(path: str) -> str | None:
    """Return how a file is imported, or nothing if it can't be."""
    parts = list(PurePosixPath(path.removeprefix("src/")).with_suffix("").parts)
    if parts and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else None


def is_test(path: str) -> bool:
    """Say whether a file is part of the tests."""
    pure = PurePosixPath(path)
    return bool({"tests", "test"} & set(pure.parts)) or pure.name.startswith("test_") or pure.name == "conftest.py"


def read_notebooks(repository: Repository) -> list[Notebook]:
    """Return the notebooks, with the lines that fit a model."""
    paths = sorted(path for path in repository.entries if path.endswith(".ipynb"))[:_NOTEBOOKS]
    found = []
    for path, content in repository.read_many(paths).items():
        try:
            cells = json.loads(content)["cells"]
            fits = [
                (number, line.strip())
                for number, cell in enumerate(cells, 1)
                if cell.get("cell_type") == "code"
                for line in "".join(cell.get("source", [])).splitlines()
                if ".fit(" in line
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            fits = []
        found.append(Notebook(path, tuple(fits)))
    return found
