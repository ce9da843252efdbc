"""Files as they are rendered or checked out, on disk and as values."""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from scaffolder.update.errors import TemplateFault
from scaffolder.update.plumbing import EXECUTABLE, FILE, LINK


@dataclass(frozen=True)
class Content:
    """A file or link as it was rendered or is checked out: git's mode, and its bytes or target."""

    mode: str
    data: bytes


def path_matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether a path matches any of the patterns, as Copier matches them."""
    from unicodedata import normalize

    from pathspec import PathSpec

    spec = PathSpec.from_lines("gitignore", [normalize("NFD", pattern) for pattern in patterns])
    return spec.match_file


def read_folder(folder: Path) -> dict[str, Content]:
    """Return all files and links below a folder by their POSIX path."""
    found = {}
    folder.mkdir(parents=True, exist_ok=True)
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*names, *links):
            path = Path(parent, name)
            content = read_content(path)
            if content is not None:
                found[path.relative_to(folder).as_posix()] = content
    return found


def read_content(path: Path) -> Content | None:
    """Return what lies at a path, links as links; None where there is no file or link."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return Content(LINK, os.fsencode(path.readlink()))
        if not stat.S_ISREG(status.st_mode):
            return None
        return Content(EXECUTABLE if status.st_mode & stat.S_IXUSR else FILE, path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_content(path: Path, content: Content) -> None:
    """Write a file or link, in place of a file or link that may be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content.mode == LINK:
        path.symlink_to(os.fsdecode(content.data))
    else:
        path.write_bytes(content.data)
        path.chmod(0o755 if content.mode == EXECUTABLE else 0o644)


def refuse_git_paths(path: str) -> None:
    """Refuse a path inside a ``.git`` folder, which would be configuration and hooks of whoever checks it out.

    Raises:
        TemplateFault: it is one.
    """
    if any(part.lower() == ".git" for part in path.split("/")):
        raise TemplateFault(f"the template renders {path}, which is inside a git directory")


def parents(path: str) -> list[str]:
    """Return the folders above a path, from the top."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def folders_of(tree: Iterable[str]) -> set[str]:
    """Return every folder that something in a tree is in."""
    folders: set[str] = set()
    for path in tree:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    return folders
