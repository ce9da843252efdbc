"""Which projects uv would have to build to learn what they depend on: a build runs code that the repository names."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ASKED_OF_THE_BUILD = {"dependencies", "optional-dependencies", "requires-python"}
"""Fields of ``[project]`` that uv builds a project for where they are ``dynamic``; a dynamic version it can do without."""


def project_to_build(root: Path) -> Path | None:
    """Return the ``pyproject.toml`` of ``root``, or of a local project that it names, that uv would build; nothing if none.

    `uv lock --no-build` is no help: it builds the projects of the workspace all the same.
    """
    waiting, seen = [root.resolve()], set()
    while waiting:
        folder = waiting.pop()
        file = folder / "pyproject.toml"
        if folder in seen or not file.is_file():
            continue
        seen.add(folder)
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
            continue  # uv does not get further either
        if _is_dynamic(document):
            return file
        waiting += _local_projects(document, folder)
    return None


def _is_dynamic(document: dict[str, Any]) -> bool:
    project = table(document, "project")
    dynamic = project.get("dynamic", [])
    named = {field for field in dynamic if isinstance(field, str)} if isinstance(dynamic, list) else set()
    # Poetry adds the dependencies of its own table to those of [project] when it builds.
    return bool(named & _ASKED_OF_THE_BUILD) or bool(table(document, "tool", "poetry", "dependencies"))


def _local_projects(document: dict[str, Any], folder: Path) -> Iterator[Path]:
    members = table(document, "tool", "uv", "workspace").get("members", [])
    for pattern in members if isinstance(members, list) else []:
        if isinstance(pattern, str) and pattern and not Path(pattern).is_absolute():
            yield from (member.resolve() for member in folder.glob(pattern))
    for source in table(document, "tool", "uv", "sources").values():
        for one in source if isinstance(source, list) else [source]:
            if isinstance(one, dict) and isinstance(path := one.get("path"), str):
                yield (folder / path).resolve()


def table(document: Any, *keys: str) -> dict[str, Any]:
    """Return a table inside of a TOML document; an empty one if there is none, or something else in its place."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
