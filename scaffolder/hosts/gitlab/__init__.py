"""GitLab as a git host: gitlab.com or one's own server, with a token of a group or of a user."""

from scaffolder.hosts.gitlab.api import GitLabApi
from scaffolder.hosts.gitlab.host import GitLabHost

__all__ = ["GitLabApi", "GitLabHost"]
