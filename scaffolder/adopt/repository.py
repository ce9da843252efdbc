"""The git side of an adoption: what is at HEAD, and a commit on a new branch without touching the checkout.

Everything is read from and written to git's object store. So hooks, filters and the working tree have no part in it, links are
never followed, submodules stay what they are, and the size of a checkout does not matter. The one thing that is asked of the
checkout is whether it is clean; for that git may use the clean filters that its user has set up (Git LFS, say).
"""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scaffolder.adopt.errors import AdoptionRefused
from scaffolder.errors import ScaffoldError
from scaffolder.git import git_in, write_blob

if TYPE_CHECKING:
    from git import Git

_PLATFORM = ("ML platform", "ml-platform@localhost")
_QUIET = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.quotePath": "false",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "submodule.recurse": "false",
    "status.submoduleSummary": "false",
    "log.showSignature": "false",
}
_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
_READ_BYTES = 1 << 20
LOCK_BYTES = 32 << 20
"""How large a lock file may be that is read; those of large environments have several MiB."""
_LISTED_BYTES = 256 << 20


@dataclass(frozen=True)
class Entry:
    """A file at HEAD: git's mode, object and size in bytes."""

    mode: str
    blob: str
    size: int

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file, and no link or submodule."""
        return self.mode in {"100644", "100755"}


class Repository:
    """A git repository with a clean checkout of a branch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git: Git = _quiet_git(folder)

    @classmethod
    def open(cls, folder: Path) -> "Repository":
        """Open the repository whose top is ``folder``, and refuse one that is not at rest.

        Raises:
            AdoptionRefused: it is no repository's top, it is bare, dirty, on no branch, without a commit, or in the middle
                of a merge or something like it; the message says what to do.
        """
        from git import GitCommandError

        if not folder.is_dir():
            raise AdoptionRefused(f"there is no folder {folder}")
        repository = cls(folder.resolve())
        try:
            bare = repository.ask("rev-parse", "--is-bare-repository") == "true"
            top = "" if bare else repository.ask("rev-parse", "--show-toplevel")
        except GitCommandError as fault:
            raise AdoptionRefused(
                f"{folder} is no git repository",
                fix="make it one and commit what you have: git init, git add, git commit",
            ) from fault
        if bare:
            raise AdoptionRefused(f"{folder} is a bare repository", fix="clone it and adopt the clone")
        if Path(top).resolve() != repository.folder:
            inside = repository.folder.relative_to(Path(top).resolve())
            raise AdoptionRefused(
                f"{inside} is a folder of the repository {top}, and the golden path is for one model a repository: model.yaml, "
                "CI and the answers of `copier update` lie at its top",
                fix=f"move it out with its history: git subtree split --prefix={inside} --branch {inside.name}",
            )
        repository._check_state()
        return repository

    def _check_state(self) -> None:
        if not self.answer("rev-parse", "--verify", "--quiet", "HEAD"):
            raise AdoptionRefused("the repository has no commit yet", fix="commit what you have, or use `platform new`")
        place = Path(self.ask("rev-parse", "--absolute-git-dir"))
        for name, what in _UNDER_WAY.items():
            if (place / name).exists():
                raise AdoptionRefused(f"{what} is under way in the repository", fix="finish or abort it first")
        if not self.answer("symbolic-ref", "--quiet", "HEAD"):
            raise AdoptionRefused("no branch is checked out (detached HEAD)", fix="git switch to the branch to adopt")
        changed = self.ask("status", "--porcelain", "--ignore-submodules=none", "--untracked-files=normal").splitlines()
        if changed:
            shown = ", ".join(line[3:] for line in changed[:3]) + (" …" if len(changed) > 3 else "")
            raise AdoptionRefused(
                f"the repository has changes that are not committed: {shown}",
                fix="commit or stash them, then run it again",
            )

    @cached_property
    def branch(self) -> str:
        """The branch that is checked out."""
        return self.ask("symbolic-ref", "--short", "HEAD")

    @cached_property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.ask("rev-parse", "HEAD")

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All files at HEAD by path; submodules are among them, with the mode 160000."""
        found = {}
        for line in self.ask("ls-tree", "-r", "-z", "-l", "--full-tree", "HEAD").split("\0"):
            if line:
                about, _, path = line.partition("\t")
                mode, _kind, blob, size = about.split()
                found[path] = Entry(mode, blob, int(size) if size.isdigit() else 0)
        return found

    @cached_property
    def submodules(self) -> list[str]:
        """Paths of submodules."""
        return [path for path, entry in self.entries.items() if entry.mode == "160000"]

    def read(self, path: str) -> bytes | None:
        """Return a file's content at HEAD; nothing for what is no ordinary file, or larger than 1 MiB."""
        return self.read_many([path]).get(path)

    def text(self, path: str, *, most: int = _READ_BYTES) -> str | None:
        """Return a file's text at HEAD, with ``\\n`` between lines; nothing if it is none."""
        content = self.read_many([path], most=most).get(path)
        if content is None or b"\0" in content:
            return None
        try:
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return None

    def read_many(self, paths: Iterable[str], *, most: int = _READ_BYTES) -> dict[str, bytes]:
        """Return the contents of those files that are ordinary and not larger than ``most`` bytes, read by one git process."""
        wanted: list[tuple[str, Entry]] = []
        total = 0
        for path in paths:
            entry = self.entries.get(path)
            if entry is not None and entry.is_file and entry.size <= most and total + entry.size <= _LISTED_BYTES:
                wanted.append((path, entry))
                total += entry.size
        if not wanted:
            return {}
        with tempfile.TemporaryFile() as stream:
            stream.write("".join(f"{entry.blob}\n" for _, entry in wanted).encode())
            stream.seek(0)
            command = ["git", "-C", str(self.folder), "cat-file", "--batch"]
            said = self.git.execute(command, istream=stream, stdout_as_string=False, strip_newline_in_stdout=False)
        return _batched(bytes(said), [path for path, _ in wanted])

    def ask(self, *arguments: str) -> str:
        """Return what git says; raise ``GitCommandError`` if it fails."""
        return str(self.git.execute(["git", "-C", str(self.folder), *arguments]))

    def answer(self, *arguments: str) -> str | None:
        """Return what git says, or nothing if it fails."""
        from git import GitCommandError

        try:
            return self.ask(*arguments)
        except GitCommandError:
            return None

    def commit(self, branch: str, files: Mapping[str, tuple[bytes, bool]], message: str) -> str:
        """Make a commit on top of HEAD with these files (content, and whether it may be executed) and a branch for it.

        The checkout stays as it is, on its own branch.

        Raises:
            AdoptionRefused: there is a branch of that name.
            ScaffoldError: git could not do it; no branch was made.
        """
        from git import GitCommandError

        self.check_branch(branch)
        try:
            tree = self._tree(files)
            with self.git.custom_environment(**self._identity()), tempfile.TemporaryFile() as stream:
                stream.write(message.encode())
                stream.seek(0)
                command = ["git", "-C", str(self.folder), "commit-tree", tree, "-p", self.head, "-F", "-"]
                commit = str(self.git.execute(command, istream=stream))
            self.ask("update-ref", "-m", "platform adopt", f"refs/heads/{branch}", commit, "0" * len(commit))
        except GitCommandError as fault:
            raise ScaffoldError(f"the commit could not be made: {str(fault.stderr).strip()}") from fault
        return commit

    def check_branch(self, branch: str) -> None:
        """Raise ``AdoptionRefused`` unless a branch of that name can be made."""
        if (
            not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch)
            or self.answer("check-ref-format", "--branch", branch) is None
        ):
            raise AdoptionRefused(f"{branch!r} can't be a branch's name")
        if self.answer("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
            raise AdoptionRefused(
                f"there is a branch {branch} already",
                fix=f"merge it, or delete it (git branch -D {branch}) and run it again",
            )

    def _tree(self, files: Mapping[str, tuple[bytes, bool]]) -> str:
        with tempfile.TemporaryDirectory(prefix="adopt-") as temporary, tempfile.TemporaryFile() as stream:
            for path, (content, executable) in sorted(files.items()):
                mode = "100755" if executable else "100644"
                stream.write(f"{mode} {write_blob(self.folder, content)}\t{_safe(path)}\0".encode())
            stream.seek(0)
            with self.git.custom_environment(GIT_INDEX_FILE=str(Path(temporary, "index"))):
                self.ask("read-tree", "HEAD")
                command = ["git", "-C", str(self.folder), "update-index", "-z", "--index-info"]
                self.git.execute(command, istream=stream)
                return self.ask("write-tree")

    def _identity(self) -> dict[str, str]:
        name, email = (self.answer("config", "--get", key) for key in ("user.name", "user.email"))
        author = (name, email) if name and email else _PLATFORM
        return {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in zip(("NAME", "EMAIL"), author, strict=True)
        }


def _quiet_git(folder: Path) -> "Git":
    """Return git with settings under which no code that the repository names runs; they beat the repository's own."""
    git = git_in(folder)
    environment = {
        "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    before = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    environment["GIT_CONFIG_COUNT"] = str(before + len(_QUIET))
    for index, (name, value) in enumerate(_QUIET.items(), before):
        environment |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    # What another git process has set up for itself (a hook, say) is not meant for this repository.
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"):
        if name in os.environ:
            raise AdoptionRefused(f"{name} is set in the environment", fix=f"unset {name} and run it again")
    git.update_environment(**environment)
    return git


def _batched(said: bytes, paths: list[str]) -> dict[str, bytes]:
    """Split the output of ``git cat-file --batch``: a line about each object, its bytes, and a line break."""
    found, position = {}, 0
    for path in paths:
        end = said.index(b"\n", position)
        about = said[position:end].split()
        if len(about) != 3:
            position = end + 1
            continue
        size = int(about[2])
        found[path] = said[end + 1 : end + 1 + size]
        position = end + 2 + size
    return found


def _safe(path: str) -> str:
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or ".." in parts
        or any(part.lower() == ".git" for part in parts)
        or "\0" in path
    ):
        raise ScaffoldError(f"{path!r} is no place in a repository")
    return path
