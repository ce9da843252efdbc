"""Make a model repository on this machine: what the command line calls."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder.errors import Collision, InvalidAnswer, ScaffoldError
from scaffolder.home import platform_home
from scaffolder.names import check_name, shortened

KINDS = ("realtime", "batch", "streaming")
_ELSEWHERE = "choose another folder with --dest"


@dataclass(frozen=True)
class LocalRepository:
    """A repository that was made on this machine: where it is, its first commit, the template's version."""

    path: Path
    commit: str
    template_version: str


def new_repository(
    name: str,
    *,
    type: str,
    data: Mapping[str, Any] | None = None,
    defaults: bool,
    dest: Path,
    progress: Callable[[str], None] = lambda _message: None,
    home: Path | None = None,
) -> LocalRepository:
    """Render the golden path for a model into ``dest/name`` and commit it; no platform has to run.

    It all happens or nothing does: the repository is made under a temporary name beside its place and moved there as the
    last step. Without ``defaults`` the questions that ``data`` does not answer are asked on the terminal.

    Raises:
        InvalidAnswer: the name, the kind or an answer is not acceptable.
        Collision: ``dest/name`` holds something.
        ScaffoldError: anything else that kept the repository from being made.
    """
    answers = _checked_answers(name, type, data or {})
    place = dest.absolute() / name
    _check_place(place)
    root = platform_home(home)

    from scaffolder.engine import render
    from scaffolder.git import first_commit
    from scaffolder.release import ensure_released

    progress("Preparing the template")
    release = ensure_released(root)
    with _beside(place) as folder:
        progress(f"Rendering {release.tag}")
        render(release, folder, answers, defaults=defaults)
        progress("Making the first commit")
        commit = first_commit(folder, f"Start {name} from the golden path {release.tag}")
        _move(folder, place)
    return LocalRepository(place, commit, release.tag)


def _checked_answers(name: str, type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    check_name(name)
    if type not in KINDS:
        raise InvalidAnswer(f"there is no golden path {shortened(type)}", fix=f"choose one of {', '.join(KINDS)}")
    answers = dict(data)
    for fixed, value in (("name", name), ("type", type)):
        if answers.setdefault(fixed, value) != value:
            raise InvalidAnswer(f"{fixed} is given twice, as {value!r} and as {shortened(str(answers[fixed]))}")
    return answers


def _check_place(place: Path) -> None:
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise Collision(f"{place} is there already and is not a folder", fix=_ELSEWHERE)
        if place.is_dir() and any(place.iterdir()):
            raise Collision(f"{place} is there already and not empty", fix=_ELSEWHERE)
    except OSError as fault:
        raise ScaffoldError(f"{place} can't be used: {fault.strerror}", fix=_ELSEWHERE) from fault


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A folder to be made beside the repository's place; what is left of it goes, and so do parents made for nothing."""
    made = [parent for parent in place.parents if not parent.exists()]
    staging = None
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
        except OSError as fault:
            raise ScaffoldError(f"{place.parent} can't be written to: {fault.strerror}", fix=_ELSEWHERE) from fault
        yield staging / "repository"
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def _move(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)  # replaces an empty folder, and no other
    except OSError as fault:
        raise Collision(f"{place} was made by somebody else meanwhile: {fault.strerror}", fix=_ELSEWHERE) from fault


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
