"""The git side of a new repository: its first commit and its first push, through GitPython.

GitPython expands what looks like a variable in a folder's name, and where no such folder is it silently works in the
process's own one. So git itself is told the folder (``-C``), which fails when it is not there.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from scaffolder.errors import HostError

if TYPE_CHECKING:
    from git import Git

BRANCH = "main"
_PLATFORM = ("ML platform", "ml-platform@localhost")
_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")


def git_in(folder: Path) -> "Git":
    """Return git for ``folder``, which has to be there."""
    from git import Git

    git = Git()
    git.set_persistent_git_options(C=str(folder))
    return git


def initialise(folder: Path, *, bare: bool = False) -> None:
    """Make an empty repository of a folder that exists.

    A bare one starts without git's own template: the machine's could bring hooks, which would run at every push.
    """
    git_in(folder).init("--quiet", f"--initial-branch={BRANCH}", *(["--bare", "--template="] if bare else []))


def first_commit(folder: Path, message: str) -> str:
    """Make ``folder`` a git repository with one commit of everything in it, and return the commit.

    The author is whoever git knows here; where nobody has told git a name, the platform itself. Hooks, signing and ignore
    files of the machine have no say in it.
    """
    initialise(folder)
    git = git_in(folder)
    name, email = _author(git)
    identity = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", name), ("EMAIL", email))
    }
    with git.custom_environment(**identity):
        git.execute(["git", "-C", str(folder), *_PLAIN, "add", "--all", "--force", "."])
        git.execute(["git", "-C", str(folder), *_PLAIN, "commit", "--quiet", "--no-verify", "--message", message])
    return str(git.rev_parse("HEAD"))


def push(folder: Path, url: str) -> None:
    """Make ``url`` the repository's ``origin`` and push the branch there.

    Raises:
        HostError: the host did not take it.
    """
    from git import GitCommandError

    git = git_in(folder)
    try:
        git.remote("add", "origin", url)
        git.push("--quiet", "--no-verify", "--set-upstream", "origin", BRANCH)
    except GitCommandError as fault:
        raise HostError(f"the first push failed: {str(fault.stderr).strip()}") from fault


def _author(git: "Git") -> tuple[str, str]:
    name, email = (str(git.config("--default", "", "--get", key)) for key in ("user.name", "user.email"))
    return (name, email) if name and email else _PLATFORM
