"""Git, through GitPython, for the platform's own work: nothing of the machine's or a stranger's configuration has a say in it.

GitPython expands what looks like a variable in a folder's name, and where no such folder is it silently works in the
process's own one. So git itself is told the folder (``-C``), which fails when it is not there.
"""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder.errors import HostError

if TYPE_CHECKING:
    from git import Git, GitCommandError

BRANCH = "main"
_PLATFORM = ("ML platform", "ml-platform@localhost")
_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
_QUIET: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("commit.gpgSign", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("transfer.fsckObjects", "true"),
    # A host that redirects would be sent the credentials that are meant for another.
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
)
"""Settings of every git process of the platform: no code that a repository or a machine brings runs."""


@dataclass(frozen=True)
class GitAccess:
    """How one git process reaches a repository: the URL, and the environment that holds the credentials.

    The credentials stand in the environment alone: not in the URL, so that they get into no configuration file, log line or
    process list.
    """

    url: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


def git_in(folder: Path, environment: Mapping[str, str] | None = None) -> "Git":
    """Return git for ``folder``, which has to be there."""
    from git import Git

    git = Git()
    git.set_persistent_git_options(C=str(folder))
    if environment is not None:
        git.update_environment(**environment)
    return git


def safe_environment(
    *, protocols: Sequence[str] = ("file",), settings: Sequence[tuple[str, str]] = ()
) -> dict[str, str]:
    """Return the environment of a git process that runs nothing it was not asked to, and speaks only these protocols.

    ``settings`` come on top. They may hold credentials: the environment of a process is visible to nobody but its own user.
    """
    environment = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TRACE_REDACT": "1",
        "LC_ALL": "C.UTF-8",
    }
    every = [*_QUIET, *settings]
    environment["GIT_CONFIG_COUNT"] = str(len(every))
    for index, (name, value) in enumerate(every):
        environment[f"GIT_CONFIG_KEY_{index}"] = name
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


def http_access(url: str, user: str, secret: str) -> GitAccess:
    """Return access over HTTP with credentials that this URL alone is sent, and that stand in the environment alone."""
    basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
    header = (f"http.{url}.extraHeader", f"Authorization: Basic {basic}")
    protocol = url.partition("://")[0]
    return GitAccess(url, safe_environment(protocols=(protocol,), settings=[header]))


def initialise(folder: Path, *, bare: bool = False) -> None:
    """Make an empty repository of a folder that exists.

    A bare one starts without git's own template: the machine's could bring hooks, which would run at every push.
    """
    git_in(folder).init("--quiet", f"--initial-branch={BRANCH}", *(["--bare", "--template="] if bare else []))


def first_commit(folder: Path, message: str, *, author: Author | None = None, at: datetime | None = None) -> str:
    """Make ``folder`` a git repository with one commit of everything in it, and return the commit.

    The author is whoever git knows here, where none is given; where nobody has told git a name, the platform itself. With
    ``at`` the same content is the same commit. Hooks, signing and ignore files of the machine have no say in it.
    """
    initialise(folder)
    git = git_in(folder)
    known = author or _author(git)
    identity = {
        "GIT_AUTHOR_NAME": known.name,
        "GIT_AUTHOR_EMAIL": known.email,
        "GIT_COMMITTER_NAME": known.name if author is None else _PLATFORM[0],
        "GIT_COMMITTER_EMAIL": known.email if author is None else _PLATFORM[1],
    }
    if at is not None:
        identity |= {"GIT_AUTHOR_DATE": f"{at:%Y-%m-%dT%H:%M:%SZ}", "GIT_COMMITTER_DATE": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    with git.custom_environment(**identity):
        git.execute(["git", "-C", str(folder), *_PLAIN, "add", "--all", "--force", "."])
        git.execute(["git", "-C", str(folder), *_PLAIN, "commit", "--quiet", "--no-verify", "--message", message])
    return str(git.rev_parse("HEAD"))


def push(folder: Path, access: GitAccess, refspec: str = f"refs/heads/{BRANCH}:refs/heads/{BRANCH}") -> None:
    """Push to a repository on a host; what is there already is fine.

    Raises:
        HostError: the host did not take it.
    """
    from git import GitCommandError

    git = git_in(folder, access.environment)
    try:
        git.push("--quiet", "--no-verify", "--", access.url, refspec)
    except GitCommandError as fault:
        raise HostError(
            f"the push was not taken: {said(fault)}", fix="See what the host says, then try again."
        ) from fault


def said(fault: "GitCommandError") -> str:
    """Return what git said when it failed, in one line."""
    text = str(fault.stderr or "").strip().removeprefix("stderr:").strip().strip("'").strip()
    lines = [line.strip().removeprefix("remote:").strip() for line in text.splitlines()]
    return "; ".join(line for line in lines if line)[:500] or f"git ended with {fault.status}"


def write_blob(folder: Path, content: bytes) -> str:
    """Put content into a repository and return its object's name."""
    with tempfile.TemporaryFile() as stream:
        stream.write(content)
        stream.seek(0)
        return str(git_in(folder).execute(["git", "-C", str(folder), "hash-object", "-w", "--stdin"], istream=stream))


def read_blob(folder: Path, name: str) -> bytes | None:
    """Return the content of a blob, ``<commit>:<path>`` or any other name of one; nothing if there is none."""
    from git import GitCommandError

    command = ["git", "-C", str(folder), "cat-file", "blob", name]
    try:
        return bytes(git_in(folder).execute(command, stdout_as_string=False, strip_newline_in_stdout=False))
    except GitCommandError:
        return None


def _author(git: "Git") -> Author:
    name, email = (str(git.config("--default", "", "--get", key)) for key in ("user.name", "user.email"))
    return Author(name, email) if name and email else Author(*_PLATFORM)
