import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scaffolder.cookiecutter.convert import Import, convert

Files = Mapping[str, str | bytes]
Template = Callable[..., Path]


@pytest.fixture
def template(tmp_path: Path) -> Template:
    """Writes a Cookiecutter template: its variables, and its files below ``{{cookiecutter.slug}}`` or where they say."""

    def write(variables: Mapping[str, Any] | str, files: Files, name: str = "original") -> Path:
        folder = tmp_path / name
        text = variables if isinstance(variables, str) else json.dumps(variables, indent=2)
        everything: dict[str, str | bytes] = {"cookiecutter.json": text}
        for path, content in files.items():
            top = path.startswith(("hooks/", "templates/", "/", "[["))
            everything[path.removeprefix("/") if top else f"{{{{cookiecutter.slug}}}}/{path}"] = content
        for path, content in everything.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Import]:
    """Converts a template and returns the only result."""

    def call(folder: Path, **options: Any) -> Import:
        found = convert(folder, tmp_path / "converted" / folder.name, source=str(folder), **options)
        assert len(found) == 1
        return found[0]

    return call
