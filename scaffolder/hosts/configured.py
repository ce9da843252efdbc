"""The hosts that the settings describe."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from backend.core.config_scaffolding import (
    BranchProtectionSettings,
    EmbeddedHostSettings,
    GitHostSettings,
    GitHubHostSettings,
    GitLabHostSettings,
)
from scaffolder.errors import HostError, HostUnavailable, InvalidAnswer
from scaffolder.git import GitAccess
from scaffolder.hosts.base import BranchProtection, GitHost
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.hosts.retry import RetryBudget
from scaffolder.names import shortened


class Hosts:
    """Makes hosts by name; each caller gets clients with its own patience."""

    def __init__(self, settings: list[GitHostSettings], home: Path) -> None:
        self._settings = {one.name: one for one in settings}
        self._home = home

    def __iter__(self) -> Iterator[GitHostSettings]:
        return iter(self._settings.values())

    def settings(self, name: str | None) -> GitHostSettings:
        """Return a host's settings, the first one's for ``None``.

        Raises:
            InvalidAnswer: there is none of that name.
        """
        if name is None:
            return next(iter(self._settings.values()))
        if name not in self._settings:
            raise InvalidAnswer(
                f"there is no git host {shortened(name)}", fix=f"Configured are {', '.join(self._settings)}."
            )
        return self._settings[name]

    def host(
        self, name: str | None, *, patience: float = 60.0, sleep: Callable[[float], None] | None = None
    ) -> GitHost:
        """Return a host whose requests take ``patience`` seconds at most, retries and pauses included."""
        settings = self.settings(name)
        if isinstance(settings, EmbeddedHostSettings):
            return EmbeddedHost(self._home / "git", name=settings.name, org=settings.org)
        options: dict[str, object] = {} if sleep is None else {"sleep": sleep}
        budget = RetryBudget(seconds=patience, attempts=max(3, min(60, int(patience))))
        timeout = max(2.0, min(20.0, patience))
        if isinstance(settings, GitHubHostSettings):
            return _github(settings, budget, timeout, options)
        return _gitlab(settings, budget, timeout, options)

    def protection(self, name: str | None) -> BranchProtection | None:
        """Return how a host's default branches are to be protected; nothing if not at all."""
        wanted: BranchProtectionSettings = self.settings(name).branch_protection
        return BranchProtection(wanted.approvals, tuple(wanted.checks)) if wanted.enabled else None

    def is_private(self, name: str | None) -> bool:
        """Say whether a host's new repositories are private."""
        return getattr(self.settings(name), "private", True)

    def access_to(self, url: str) -> GitAccess | None:
        """Return access to a repository of one of the hosts by its clone URL.

        Nothing for any other URL, and for a repository that the host does not let the platform see: it may be a public one.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return None
        for settings in self:
            if isinstance(settings, EmbeddedHostSettings) or parts.netloc != web_host(settings.api_url):
                continue
            org, _, name = parts.path.strip("/").removesuffix(".git").rpartition("/")
            host = self.host(settings.name, patience=20.0)
            try:
                found = host.find(org, name)
                return host.access(found) if found is not None else None
            except HostUnavailable:
                raise
            except (HostError, InvalidAnswer):
                return None
        return None


def web_host(api_url: str) -> str:
    """Return where a host's repositories are; github.com has its API beside it."""
    return urlsplit(api_url).netloc.removeprefix("api.") if "api.github.com" in api_url else urlsplit(api_url).netloc


def _github(settings: GitHubHostSettings, budget: RetryBudget, timeout: float, options: dict[str, object]) -> GitHost:
    from scaffolder.hosts.github import GitHubApi, GitHubHost

    api = GitHubApi(
        settings.name,
        api_url=settings.api_url,
        token=settings.token.get_secret_value() if settings.token else None,
        app_id=settings.app_id,
        private_key=settings.private_key.get_secret_value() if settings.private_key else None,
        installation_id=settings.installation_id,
        budget=budget,
        timeout=timeout,
        **options,  # type: ignore[arg-type]
    )
    return GitHubHost(api, org=settings.org)


def _gitlab(settings: GitLabHostSettings, budget: RetryBudget, timeout: float, options: dict[str, object]) -> GitHost:
    from scaffolder.hosts.gitlab import GitLabApi, GitLabHost

    api = GitLabApi(
        settings.name,
        url=settings.api_url,
        token=settings.token.get_secret_value(),
        budget=budget,
        timeout=timeout,
        **options,  # type: ignore[arg-type]
    )
    return GitLabHost(api, org=settings.org)
