"""Commits and branches of a repository, by plumbing alone: no worktree, no index, no hook."""

from pathlib import Path

from scaffolder.names import shortened
from scaffolder.update.errors import Moved, RepositoryFault
from scaffolder.update.plumbing import ObjectStore, run_git

_NOTHING = "0" * 40
_LONGER = 64


def resolve_ref(folder: Path, name: str) -> str:
    """Return the commit that a branch, tag or other revision of the repository names.

    Raises:
        RepositoryFault: there is none.
    """
    if "\n" not in name and "\r" not in name and "\0" not in name:
        asked = f"{name}^{{commit}}\n".encode(errors="surrogateescape")
        ran = run_git(
            folder, "cat-file", "--batch-check=%(objectname)", stdin=asked, environment={"GIT_DIR": str(folder)}
        )
        found = ran.out.decode(errors="replace").strip()
        if ran.status == 0 and len(found) == len(_NOTHING) and found.isalnum():
            return found
        if len(found) == _LONGER and found.isalnum():
            raise RepositoryFault("the repository has SHA-256 objects, which Copier's updates can't work with")
        if ran.status != 0:
            raise RepositoryFault(f"the repository can't be read: {ran.err.decode(errors='replace').strip()}")
    raise RepositoryFault(f"the repository has no commit {shortened(name)}")


def commit_tree(store: ObjectStore, objects: Path, tree: str, parent: str, message: str, author: str) -> str:
    """Write a commit of a tree to an objects directory, and return its id."""
    from email.utils import parseaddr

    name, address = parseaddr(author)
    if not name or not address:
        raise RepositoryFault(f"{shortened(author)} is not an author", fix="write it as Name <address>")
    identity = {f"user.{key}": value for key, value in (("name", name), ("email", address))}
    settings = [part for key, value in identity.items() for part in ("-c", f"{key}={value}")]
    ran = store.run(*settings, "commit-tree", "-p", parent, tree, stdin=message.encode(), into=objects)
    return ran.out.decode().strip()


def move_branch(folder: Path, branch: str, commit: str, expected: str | None) -> None:
    """Let a branch name a commit, if it is where it is expected to be.

    Raises:
        RepositoryFault: the name can't be one of a branch, or a worktree has it checked out.
        Moved: it is somewhere else.
    """
    ref = f"refs/heads/{branch}"
    environment = {"GIT_DIR": str(folder)}
    if branch.startswith("-") or run_git(folder, "check-ref-format", ref, environment=environment).status != 0:
        raise RepositoryFault(f"{shortened(branch)} can't be the name of a branch")
    if ref in _checked_out(folder):
        raise RepositoryFault(
            f"{branch} is checked out in a worktree, which would be left behind", fix="use another branch"
        )
    ran = run_git(folder, "update-ref", "--create-reflog", ref, commit, expected or _NOTHING, environment=environment)
    if ran.status != 0:
        said = ran.err.decode(errors="replace").strip()
        raise Moved(f"{branch} is no longer where it was: {said}", fix="compute the update again from where it is now")


def _checked_out(folder: Path) -> set[str]:
    """Return the branches that worktrees of the repository have checked out."""
    listed = run_git(folder, "worktree", "list", "--porcelain", environment={"GIT_DIR": str(folder)}).out.decode(
        errors="replace"
    )
    found: set[str] = set()
    for worktree in listed.split("\n\n"):
        lines = worktree.splitlines()
        if "bare" not in lines:
            found.update(line.removeprefix("branch ") for line in lines if line.startswith("branch "))
    return found
