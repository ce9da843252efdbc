"""Git hosts behind one small interface: embedded bare repositories, GitHub, GitLab."""

from scaffolder.hosts.base import GitHost, HostedRepository
from scaffolder.hosts.embedded import EmbeddedHost

__all__ = ["EmbeddedHost", "GitHost", "HostedRepository"]
