"""What the platform needs of a git host: repositories, and pull requests (GitLab calls them merge requests).

Everything here may be called again after a crash or a lost answer: what is there already and ours is returned, not made twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from scaffolder.git import GitAccess


@dataclass(frozen=True)
class NewRepository:
    """A repository to be made. ``claim`` is the maker's mark: a repository that carries it is the one that was asked for."""

    org: str
    name: str
    description: str
    claim: str
    private: bool = True


@dataclass(frozen=True)
class HostedRepository:
    """A repository on a host."""

    host: str
    """Name of the host in the settings."""
    org: str
    name: str
    clone_url: str
    web_url: str | None
    default_branch: str = "main"
    description: str = ""

    @property
    def path(self) -> str:
        """``org/name``."""
        return f"{self.org}/{self.name}"


@dataclass(frozen=True)
class BranchProtection:
    """What is asked of a change before it gets to the default branch."""

    approvals: int = 1
    checks: Sequence[str] = ()
    """Names of checks that must be green."""


class PullState(StrEnum):
    """Where a pull request stands."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class Checks(StrEnum):
    """What the checks of a commit say together."""

    GREEN = "green"
    FAILING = "failing"
    PENDING = "pending"
    NONE = "none"


@dataclass(frozen=True)
class PullRequest:
    """A pull request as it is now."""

    number: int
    title: str
    body: str
    head: str
    """Branch with the change."""
    base: str
    head_commit: str
    state: PullState
    draft: bool
    labels: tuple[str, ...]
    checks: Checks
    mergeable: bool | None
    """``None`` while the host has not found out."""
    web_url: str | None
    merge_commit: str | None = None


@dataclass(frozen=True)
class NewPullRequest:
    """A pull request to be opened, or brought up to date where its head branch has an open one."""

    head: str
    title: str
    body: str
    base: str = "main"
    draft: bool = False
    labels: tuple[str, ...] = ()


class Repositories(Protocol):
    """Repositories of a host."""

    kind: ClassVar[str]
    name: str
    org: str
    """Where repositories go when nobody names another place."""

    def find(self, org: str, name: str) -> HostedRepository | None:
        """Return the repository of that name."""
        ...

    def create(self, new: NewRepository) -> HostedRepository:
        """Create an empty repository, or return the one that carries the same claim.

        Raises:
            Collision: the name is taken by another.
            HostError: the host did not do it.
        """
        ...

    def settle(self, repository: HostedRepository, new: NewRepository) -> None:
        """Take the claim off a repository that is complete."""
        ...

    def remove(self, org: str, name: str, claim: str) -> bool:
        """Take back a repository that carries the claim; say whether there was one. Any other is left alone."""
        ...

    def protect(self, repository: HostedRepository, protection: BranchProtection) -> None:
        """Let changes into the default branch by pull request only."""
        ...

    def access(self, repository: HostedRepository) -> GitAccess:
        """Return how git fetches from and pushes to the repository on behalf of the platform."""
        ...

    def branches(self, repository: HostedRepository) -> dict[str, str]:
        """Return the commit of each branch."""
        ...

    def head(self, repository: HostedRepository) -> str | None:
        """Return the commit of the default branch; nothing for an empty repository."""
        ...

    def read_file(self, repository: HostedRepository, path: str, ref: str | None = None) -> bytes | None:
        """Return a file's content at a branch, tag or commit (the default branch if left out); nothing if there is none."""
        ...

    def templated(self, org: str) -> Iterator[HostedRepository]:
        """Yield the organisation's repositories that hold an answers file at their default branch."""
        ...


class PullRequests(Protocol):
    """Pull requests of a repository."""

    def open_pull(self, repository: HostedRepository, new: NewPullRequest) -> PullRequest:
        """Open a pull request, or bring the open one of the same head branch up to date."""
        ...

    def update_pull(
        self,
        repository: HostedRepository,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
    ) -> PullRequest:
        """Change what is given."""
        ...

    def comment(self, repository: HostedRepository, number: int, body: str, *, key: str) -> None:
        """Comment on a pull request; a comment of the same key is replaced."""
        ...

    def label(self, repository: HostedRepository, number: int, labels: Sequence[str]) -> None:
        """Add labels to a pull request."""
        ...

    def close_pull(self, repository: HostedRepository, number: int) -> PullRequest:
        """Close a pull request that is open."""
        ...

    def pull(self, repository: HostedRepository, number: int) -> PullRequest | None:
        """Return a pull request with its checks."""
        ...

    def find_pull(self, repository: HostedRepository, head: str) -> PullRequest | None:
        """Return the newest pull request from a branch, an open one before others."""
        ...

    def report_check(
        self, repository: HostedRepository, commit: str, name: str, checks: Checks, description: str = ""
    ) -> None:
        """Say how a check of a commit went."""
        ...


class GitHost(Repositories, PullRequests, Protocol):
    """Somewhere that repositories live."""
