"""The embedded host: bare repositories in the platform's home folder, ``git/<org>/<name>.git``.

It is for one machine. Whoever may read and write the folder may do anything to what is in it, so its branch protection keeps
people from mistakes, not from harm; where people must be kept apart, use GitHub or GitLab.
"""

from scaffolder.hosts.embedded.host import EmbeddedHost

__all__ = ["EmbeddedHost"]
