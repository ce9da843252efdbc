"""Bare repositories below one folder."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from scaffolder.errors import Collision, HostError, InvalidAnswer
from scaffolder.git import BRANCH, GitAccess, git_in, initialise, read_blob, safe_environment, said
from scaffolder.hosts.base import BranchProtection, HostedRepository, NewRepository
from scaffolder.names import ANSWERS_FILE, check_name, shortened

CLAIM = "mlplatform.claim"
PROTECTED = "mlplatform.protected"
REQUIRED_CHECKS = "mlplatform.requiredCheck"
_ORG = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_HOOK = """#!/bin/sh
# Keeps pushes away from the default branch: the platform merges pull requests without a push.
branch=$(git symbolic-ref HEAD)
protected=$(git config --type=bool --default=false mlplatform.protected)
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
  case "$ref" in
    refs/platform/*|refs/pull/*)
      echo "$ref is written by the platform alone" >&2
      exit 1 ;;
  esac
  [ "$ref" = "$branch" ] || continue
  if [ "$protected" = true ]; then
    echo "${branch#refs/heads/} is protected: push a branch and open a pull request (platform pr create)" >&2
    exit 1
  fi
  if [ "$new" = "$zero" ]; then
    echo "${branch#refs/heads/} can't be deleted" >&2
    exit 1
  fi
  if [ "$old" != "$zero" ] && ! git merge-base --is-ancestor "$old" "$new"; then
    echo "the history of ${branch#refs/heads/} can't be rewritten" >&2
    exit 1
  fi
done
"""


class BareRepositories:
    """Repositories of the embedded host."""

    kind: ClassVar[str] = "embedded"

    def __init__(self, root: Path, *, name: str, org: str) -> None:
        self.root, self.name, self.org = root, name, org

    def find(self, org: str, name: str) -> HostedRepository | None:
        """Return the repository of that name."""
        path = self.path(org, name)
        return self._hosted(org, name, path) if path.is_dir() else None

    def create(self, new: NewRepository) -> HostedRepository:
        """Create an empty repository under a temporary name and put it in place whole."""
        from git import GitCommandError

        path = self.path(new.org, new.name)
        if path.exists():
            if self._setting(path, CLAIM) == new.claim:
                return self._hosted(new.org, new.name, path)
            raise self._taken(new)
        staged = path.parent / f".new-{new.name}-{new.claim}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            initialise(staged, bare=True)
            (staged / "description").write_text(f"{new.description}\n", encoding="utf-8")
            hook = staged / "hooks" / "pre-receive"
            hook.parent.mkdir()
            hook.write_text(_HOOK, encoding="utf-8")
            hook.chmod(0o755)
            git = git_in(staged)
            git.config("core.hooksPath", "hooks")  # the user's own setting would go before the folder's hooks
            git.config("receive.fsckObjects", "true")
            git.config("transfer.hideRefs", "refs/platform")
            git.config(CLAIM, new.claim)
            # A rename replaces an empty folder only, and a repository is never empty: the name is taken once.
            staged.rename(path)
        except GitCommandError as fault:
            raise HostError(f"the repository could not be created: {said(fault)}") from fault
        except OSError as fault:
            if path.exists():
                raise self._taken(new) from fault
            raise HostError(f"the repository could not be created: {fault}") from fault
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return self._hosted(new.org, new.name, path)

    def settle(self, repository: HostedRepository, new: NewRepository) -> None:
        """Take the claim off."""
        path = self.path(repository.org, repository.name)
        if self._setting(path, CLAIM) == new.claim:
            git_in(path).config("--unset-all", CLAIM)

    def remove(self, org: str, name: str, claim: str) -> bool:
        """Delete the repository if it carries the claim: moved aside first, so that nobody sees half of it."""
        path = self.path(org, name)
        aside = path.parent / f".gone-{name}-{claim}"
        mine = path.is_dir() and self._setting(path, CLAIM) == claim
        if mine:
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        return mine

    def protect(self, repository: HostedRepository, protection: BranchProtection) -> None:
        """Refuse pushes to the default branch; a merge waits for the named checks."""
        from git import GitCommandError

        git = git_in(self.path(repository.org, repository.name))
        git.config(PROTECTED, "true")
        try:
            git.config("--unset-all", REQUIRED_CHECKS)
        except GitCommandError as fault:
            if fault.status != 5:  # 5: it is not set
                raise HostError(f"the branch could not be protected: {said(fault)}") from fault
        for check in protection.checks:
            git.config("--add", REQUIRED_CHECKS, check)

    def access(self, repository: HostedRepository) -> GitAccess:
        """Return the repository's folder."""
        return GitAccess(str(self.path(repository.org, repository.name)), safe_environment(protocols=("file",)))

    def branches(self, repository: HostedRepository) -> dict[str, str]:
        """Return the commit of each branch."""
        git = git_in(self.path(repository.org, repository.name))
        listed = str(git.for_each_ref("--format=%(objectname) %(refname:strip=2)", "refs/heads"))
        pairs = (line.split(" ", 1) for line in listed.splitlines())
        return {name: commit for commit, name in pairs}

    def head(self, repository: HostedRepository) -> str | None:
        """Return the commit of the default branch."""
        return self.branches(repository).get(repository.default_branch)

    def read_file(self, repository: HostedRepository, path: str, ref: str | None = None) -> bytes | None:
        """Return a file's content."""
        commit = ref or repository.default_branch
        if commit.startswith("-") or ":" in commit:
            raise InvalidAnswer(f"{shortened(commit)} can't be a branch, tag or commit")
        return read_blob(self.path(repository.org, repository.name), f"{commit}:{path}")

    def templated(self, org: str) -> Iterator[HostedRepository]:
        """Yield the repositories that hold an answers file."""
        self._check_org(org)
        for path in sorted((self.root / org).glob("[!.]*.git")):
            if read_blob(path, f"{BRANCH}:{ANSWERS_FILE}") is not None:
                yield self._hosted(org, path.name.removesuffix(".git"), path)

    def path(self, org: str, name: str) -> Path:
        """Return the folder of a repository, whether it is there or not."""
        self._check_org(org)
        return self.root / org / f"{check_name(name)}.git"

    def required_checks(self, repository: HostedRepository) -> list[str]:
        """Return the names of the checks that a merge waits for."""
        from git import GitCommandError

        try:
            listed = git_in(self.path(repository.org, repository.name)).config("--get-all", REQUIRED_CHECKS)
        except GitCommandError:
            return []
        return str(listed).splitlines()

    def _check_org(self, org: str) -> None:
        if not _ORG.fullmatch(org):
            raise InvalidAnswer(
                f"{shortened(org)} can't be an organisation on the git host: letters, digits and single hyphens"
            )

    def _hosted(self, org: str, name: str, path: Path) -> HostedRepository:
        try:
            description = (path / "description").read_text(encoding="utf-8").strip()
        except OSError:
            description = ""
        return HostedRepository(self.name, org, name, str(path), None, BRANCH, description)

    def _setting(self, path: Path, name: str) -> str:
        return str(git_in(path).config("--default", "", "--get", name))

    def _taken(self, new: NewRepository) -> Collision:
        return Collision(f"there is a repository {new.org}/{new.name} already", fix="choose another name")
