"""Git hosts behind one small interface."""

from scaffolder.hosts.base import GitHost, HostedRepository
from scaffolder.hosts.embedded import EmbeddedHost

__all__ = ["EmbeddedHost", "GitHost", "HostedRepository"]
