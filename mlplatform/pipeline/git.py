"""What git says about a model repository: which one it is, at which commit, with changes or without."""

import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SCP_FORM = re.compile(r"^(?:[^@/\s]+@)?([\w.-]+):(?!//)(.+)$")
_URL_FORM = re.compile(r"^(?:https?|ssh|git|git\+ssh)://(?:[^@/\s]+@)?([^/\s]+)/(.+)$")


@dataclass(frozen=True)
class GitState:
    """The state of a working tree; all about the commit is nothing where there is none yet. ``author`` is an address."""

    repository: str
    commit: str | None
    dirty: bool
    author: str | None = None
    committed_at: datetime | None = None
    """When the commit was made, as the commit says: the committer's date, which a rebase moves."""


def git_state(path: Path) -> GitState:
    """Return the state of the repository that holds ``path``; a folder outside of git counts as changed."""
    commit = _git(path, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git(path, "status", "--porcelain")
    committed, _, author = ((commit and _git(path, "log", "-1", "--format=%ct %ae")) or "").partition(" ")
    dirty = commit is None or changes is None or changes != ""
    return GitState(repository_id(path), commit or None, dirty, author[:255] or None, _time(committed))


def repository_id(path: Path) -> str:
    """Return the repository's identity: ``host/org/name`` of its remote ``origin``, or ``local/<name>``.

    Scheme, user, port and ``.git`` are left out, so that a clone over SSH and one over HTTPS are the same repository. A
    remote that is a folder is one of the platform's embedded repositories and has no host.
    """
    remote = _git(path, "remote", "get-url", "origin")
    if remote:
        return canonical_remote(remote)
    root = _git(path, "rev-parse", "--show-toplevel")
    return _local(Path(root or path).resolve().name)


def canonical_remote(remote: str) -> str:
    """Return the identity that a remote's URL stands for."""
    text = remote.strip().removeprefix("git+")
    match = _URL_FORM.match(text) or (None if text.startswith(("/", ".", "file:")) else _SCP_FORM.match(text))
    if match is None:
        return _local(_plain(text.removeprefix("file://")).rpartition("/")[2])
    host = match.group(1).partition(":")[0].lower()
    return f"{host}/{_plain(match.group(2))}"


def _local(name: str) -> str:
    """Return the identity of a repository without a host; a folder may have any name, an identity may not."""
    return f"local/{re.sub(r'[^A-Za-z0-9_.-]', '-', name) or 'repository'}"


def _plain(path: str) -> str:
    return path.strip("/").removesuffix(".git").strip("/")


def _time(seconds: str) -> datetime | None:
    """Return a commit's time, which whoever made it may have set to anything."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _git(path: Path, *arguments: str) -> str | None:
    """Return what git prints, or nothing when it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(path), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
