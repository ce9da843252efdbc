"""The derived files of a model repository: which of them are stale, and writing them.

The repository owns what it says about them in ``pyproject.toml``::

    [tool.mlplatform.generate]
    exclude = ["deploy/", "observability/dashboard.json"]

What is excluded is neither written nor missed nor removed; everything else is as the toolkit derives it, so a file that
was deleted without being excluded comes back.
"""

import difflib
import os
import tempfile
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlplatform.generate.render import possible_paths, render, unmeasured
from mlplatform.pipeline.errors import StageRefused
from mlplatform.spec.model import ModelSpec

FIX = "run `platform generate` and commit the result"
_MARK = "`platform generate`"
_SETTING = "tool.mlplatform.generate.exclude"
_PROJECT = "pyproject.toml"


class State(StrEnum):
    """How a derived file stands to what would be written now."""

    CURRENT = "current"
    CHANGED = "changed"
    MISSING = "missing"
    LEFT_OVER = "left over"


@dataclass(frozen=True)
class DerivedFile:
    """A derived file, or one that was derived from an earlier ``model.yaml``; then it has no text."""

    path: str
    state: State
    text: str | None


@dataclass(frozen=True)
class Derived:
    """All derived files of a repository, and what people should know about them."""

    repository: Path
    files: tuple[DerivedFile, ...]
    excluded: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def stale(self) -> list[DerivedFile]:
        """The files that are not as they should be."""
        return [file for file in self.files if file.state is not State.CURRENT]

    @property
    def adopted(self) -> bool:
        """Whether the repository has any of them at all."""
        return any(file.state is not State.MISSING for file in self.files)


def compare(repository: Path, spec: ModelSpec) -> Derived:
    """Compare the repository's derived files with what its ``model.yaml`` says; nothing is changed.

    Raises:
        StageRefused: ``pyproject.toml`` excludes something that is never derived.
    """
    wanted, exclusions = render(spec), _exclusions(repository)
    excluded = {path for path in possible_paths() if _excluded(path, exclusions)}
    files = []
    for path in sorted({*wanted, *possible_paths()} - excluded):
        present = _read(repository / path)
        if path in wanted:
            state = State.MISSING if present is None else State.CHANGED
            files.append(DerivedFile(path, State.CURRENT if present == wanted[path] else state, wanted[path]))
        elif present is not None and _MARK in present:
            files.append(DerivedFile(path, State.LEFT_OVER, None))
    return Derived(repository, tuple(files), tuple(sorted(excluded & set(wanted))), tuple(unmeasured(spec)))


def write(derived: Derived) -> None:
    """Make every file what it should be; each is replaced whole, or left as it was.

    Raises:
        StageRefused: a file would end up outside the repository, or a folder is in its place.
    """
    for file in derived.stale:
        _check_place(derived.repository, file.path)
    for file in derived.stale:
        path = derived.repository / file.path
        if file.text is None:
            path.unlink()
            _remove_empty(path.parent, derived.repository)
        else:
            _replace(path, file.text)


def _exclusions(repository: Path) -> list[str]:
    try:
        project = tomllib.loads((repository / _PROJECT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StageRefused(
            f"{_PROJECT} can't be read: {error}", fix="correct it, or run `uv lock` to see where"
        ) from None
    found: object = project
    for name in _SETTING.split("."):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    exclusions = found or []
    if not isinstance(exclusions, list) or not all(isinstance(one, str) for one in exclusions):
        raise StageRefused(
            f"{_PROJECT}: {_SETTING} must be a list of paths", fix='write for example `exclude = ["deploy/"]`'
        )
    known = possible_paths()
    for one in exclusions:
        if not any(_excluded(path, [one]) for path in known):
            folders = {f"{parent.as_posix()}/" for path in known for parent in list(Path(path).parents)[:-1]}
            near = difflib.get_close_matches(one, [*known, *folders], n=1, cutoff=0.5)
            fix = f"did you mean `{near[0]}`?" if near else "`platform generate --check --json` lists the files"
            raise StageRefused(f"{_PROJECT}: {_SETTING} names {one!r}, which is never derived", fix=fix)
    return exclusions


def _excluded(path: str, exclusions: list[str]) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in exclusions)


def _read(path: Path) -> str | None:
    """Return a file's text with the line breaks that we write, whatever a checkout made of them."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (UnicodeDecodeError, IsADirectoryError):
        return ""


def _check_place(repository: Path, path: str) -> None:
    place = repository / path
    if not place.resolve().is_relative_to(repository.resolve()):
        raise StageRefused(f"{path} is a link that leads out of the repository", fix="remove the link")
    if place.is_dir():
        raise StageRefused(f"{path} is a folder; a file is to be written there", fix="remove the folder")
    for parent in place.parents:
        if parent == repository:
            break
        if parent.exists() and not parent.is_dir():
            name = parent.relative_to(repository).as_posix()
            raise StageRefused(f"{name} is a file; {path} is to be written below it", fix="remove the file")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _remove_empty(folder: Path, repository: Path) -> None:
    while folder != repository and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
