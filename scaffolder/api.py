"""Make a model repository: what the command line, the backend and Backstage's action call."""

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
class NewRepository:
    """A repository that was made: where it is, its first commit, the template's version, and its address on the git host."""

    path: Path
    commit: str
    template_version: str
    url: str | None


def new_repository(
    name: str,
    *,
    type: str,
    data: Mapping[str, Any] | None = None,
    defaults: bool,
    dest: Path,
    register: bool,
    progress: Callable[[str], None] = lambda _message: None,
    home: Path | None = None,
) -> NewRepository:
    """Render the golden path for a model into ``dest/name``, commit it, and with ``register`` push it to the git host.

    It all happens or nothing does: the repository is made under a temporary name beside its place and moved there as the
    last step. Without ``defaults`` the questions that ``data`` does not answer are asked on the terminal.

    Raises:
        InvalidAnswer: the name, the kind or an answer is not acceptable.
        Collision: ``dest/name`` holds something, or the git host has a repository of that name.
        ScaffoldError: anything else that kept the repository from being made.
    """
    check_name(name)
    if type not in KINDS:
        raise InvalidAnswer(f"there is no golden path {shortened(type)}", fix=f"choose one of {', '.join(KINDS)}")
    answers = dict(data or {})
    for fixed, value in (("name", name), ("type", type)):
        if answers.setdefault(fixed, value) != value:
            raise InvalidAnswer(f"{fixed} is given twice, as {value!r} and as {shortened(str(answers[fixed]))}")
    place = dest.absolute() / name
    _check_place(place)
    root = platform_home(home, required=register)

    from scaffolder.engine import render
    from scaffolder.git import first_commit, push
    from scaffolder.hosts.embedded import EmbeddedHost
    from scaffolder.release import ensure_released

    host = EmbeddedHost(root / "git")
    if register and (org := answers.get("org")) and host.exists(str(org), name):
        raise Collision(f"there is a repository {org}/{name} already", fix="choose another name")
    progress("Preparing the template")
    release = ensure_released(root)
    with _beside(place) as folder:
        progress(f"Rendering {release.tag}")
        given = render(release, folder, answers, defaults=defaults)
        progress("Making the first commit")
        commit = first_commit(folder, f"Start {name} from the golden path {release.tag}")
        hosted = None
        if register:
            progress("Pushing to the git host")
            hosted = host.create(given["org"], name, given["description"])
        try:
            if hosted is not None:
                push(folder, hosted.url)
            _move(folder, place)
        except BaseException:
            if hosted is not None:
                host.remove(hosted)
            raise
    return NewRepository(place, commit, release.tag, hosted.url if hosted is not None else None)


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
