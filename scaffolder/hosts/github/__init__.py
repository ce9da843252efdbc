"""GitHub as a git host: github.com or GitHub Enterprise Server, with a token or as a GitHub App."""

from scaffolder.hosts.github.api import GitHubApi
from scaffolder.hosts.github.host import GitHubHost

__all__ = ["GitHubApi", "GitHubHost"]
