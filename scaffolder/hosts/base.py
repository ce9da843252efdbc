"""What the scaffolder needs of a git host."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class HostedRepository:
    """A repository on a host, and where to push to."""

    org: str
    name: str
    url: str


class GitHost(Protocol):
    """Somewhere that repositories live."""

    def exists(self, org: str, name: str) -> bool:
        """Say whether there is a repository of that name."""
        ...

    def create(self, org: str, name: str, description: str) -> HostedRepository:
        """Create an empty repository; of two callers at once one succeeds.

        Raises:
            Collision: the name is taken.
            HostError: the host did not do it.
        """
        ...

    def remove(self, repository: HostedRepository) -> None:
        """Take back a repository that :meth:`create` made; one that is gone already is fine."""
        ...
