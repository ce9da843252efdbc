"""Copies of the fleet's repositories: bare, one for each, fetched as needed and shared by all campaigns."""

import hashlib
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scaffolder.errors import HostError, HostUnavailable
from scaffolder.git import git_in, initialise, said
from scaffolder.hosts.base import GitHost, HostedRepository
from scaffolder.names import ANSWERS_FILE

PLATFORM = "ML platform <ml-platform@localhost>"
_IDENTITY = (("NAME", "ML platform"), ("EMAIL", "ml-platform@localhost"))
_FETCH_SECONDS = 300
_DOWN = ("could not resolve", "could not read from remote", "unable to access", "timed out", "the remote end hung up")


class Clones:
    """See the module's docstring; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    @contextmanager
    def fetched(self, host: GitHost, repository: HostedRepository) -> Iterator["Clone"]:
        """Give the clone of a repository, up to date and nobody else's for as long as the block runs.

        Raises:
            HostUnavailable: the host does not answer now.
            HostError: it can't be fetched.
        """
        name = f"{repository.host}/{repository.path}"
        path = self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.git"
        with self._guard:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            if not (path / "HEAD").is_file():
                staged = path.with_suffix(".new")
                shutil.rmtree(staged, ignore_errors=True)
                staged.mkdir(parents=True, mode=0o700)
                initialise(staged, bare=True)
                staged.rename(path)
            clone = Clone(path, host, repository)
            clone.fetch()
            yield clone


class Clone:
    """A copy of one repository, on which updates are computed."""

    def __init__(self, path: Path, host: GitHost, repository: HostedRepository) -> None:
        self.path, self._host, self._repository = path, host, repository

    def fetch(self) -> None:
        """Bring all branches to where they are on the host; those that are gone there go here."""
        access = self._host.access(self._repository)
        git = git_in(self.path, access.environment)
        command = ["git", "-C", str(self.path), "fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules"]
        command += ["--", access.url, "+refs/heads/*:refs/heads/*"]
        self._run(lambda: git.execute(command, kill_after_timeout=_FETCH_SECONDS))

    def commit_of(self, branch: str) -> str | None:
        """Return the commit of a branch."""
        return self._ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def is_ours(self, commit: str) -> bool:
        """Say whether the platform made a commit: nobody has worked on its branch since, then."""
        return self._ask("log", "-1", "--format=%an <%ae>|%cn <%ce>", commit) == f"{PLATFORM}|{PLATFORM}"

    def is_update(self, commit: str, parent: str, tree: str) -> bool:
        """Say whether a commit is this very tree on top of that parent."""
        return self._ask("log", "-1", "--format=%P %T", commit) == f"{parent} {tree}"

    def commit_without_change(self, parent: str, message: str, branch: str) -> str:
        """Make a commit with the same files as another, under the name of a branch of this copy."""
        git = git_in(
            self.path, {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY}
        )
        command = ["git", "-C", str(self.path), "-c", "commit.gpgSign=false", "commit-tree", f"{parent}^{{tree}}"]
        commit = str(git.execute([*command, "-p", parent, "-m", message])).strip()
        git.execute(["git", "-C", str(self.path), "update-ref", f"refs/heads/{branch}", commit])
        return commit

    def template_changed_at(self, commit: str) -> datetime | None:
        """Return when the answers file last changed."""
        found = self._ask("log", "-1", "--format=%cI", commit, "--", ANSWERS_FILE)
        return datetime.fromisoformat(found).astimezone(UTC) if found else None

    def push(self, commit: str, branch: str, expected: str | None) -> None:
        """Put a commit on a branch of the host, unless somebody moved that away from ``expected`` (None: it is not there).

        Raises:
            HostError: the host did not take it, or somebody was there first.
            HostUnavailable: the host does not answer now.
        """
        access = self._host.access(self._repository)
        git = git_in(self.path, access.environment)
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        self._run(lambda: git.push("--quiet", "--no-verify", lease, "--", access.url, f"{commit}:refs/heads/{branch}"))

    @contextmanager
    def files(self, commit: str) -> Iterator[Path]:
        """Give a folder with the files of a commit, as ``git archive`` has them.

        Raises:
            HostError: it has files that lead out of it.
        """
        with tempfile.TemporaryDirectory(prefix="fleet-") as temporary:
            folder = Path(temporary) / "repository"
            folder.mkdir()
            archive = Path(temporary) / "files.tar"
            git_in(self.path).execute(
                ["git", "-C", str(self.path), "archive", "--format=tar", f"--output={archive}", commit]
            )
            try:
                with tarfile.open(archive) as packed:
                    packed.extractall(folder, filter="data")
            except tarfile.TarError as fault:
                raise HostError(f"{self._repository.path} has files that can't be laid out: {fault}") from fault
            yield folder

    def _ask(self, *command: str) -> str | None:
        from git import GitCommandError

        try:
            return str(git_in(self.path).execute(["git", "-C", str(self.path), *command])).strip() or None
        except GitCommandError:
            return None

    def _run(self, act: Callable[[], object]) -> None:
        from git import GitCommandError

        try:
            act()
        except GitCommandError as fault:
            words = said(fault)
            if any(sign in words.lower() for sign in _DOWN):
                raise HostUnavailable(f"{self._repository.path} can't be reached: {words}") from fault
            raise HostError(f"{self._repository.path}: {words}") from fault
