"""The templates that repositories are made from: the golden path, and what else the organisation has configured."""

from dataclasses import dataclass
from pathlib import Path

from backend.core.config_scaffolding import EmbeddedHostSettings, TemplateSettings, TemplateSourceSettings
from scaffolder import changelog
from scaffolder.changelog import Section
from scaffolder.errors import InvalidAnswer, TemplateRefused
from scaffolder.hosts.configured import Hosts, web_host
from scaffolder.names import shortened
from scaffolder.release import TEMPLATE, Release, changelog_of, current_release, repository_of, tags
from scaffolder.sources import SourcePolicy, TemplateCache

DESCRIPTION = "A model repository on the golden path: code that trains, tests, CI, serving and documentation."


@dataclass(frozen=True)
class TemplateInfo:
    """A template that repositories can be made from."""

    name: str
    url: str
    description: str


class Templates:
    """Finds templates by name, and their versions."""

    def __init__(
        self, home: Path, templates: list[TemplateSettings], sources: TemplateSourceSettings, hosts: Hosts
    ) -> None:
        self._home = home
        self._settings = {one.name: one for one in templates}
        known = [web_host(one.api_url) for one in hosts if not isinstance(one, EmbeddedHostSettings)]
        self.policy = SourcePolicy(
            urls=frozenset(one.url for one in templates),
            hosts=frozenset(name.lower() for name in (*sources.hosts, *known)),
            roots=(*sources.roots, home / "git", home / "templates"),
        )
        self._cache = TemplateCache(home / "templates" / "cache", self.policy, hosts.access_to)

    def all(self) -> list[TemplateInfo]:
        """Return all templates, the golden path first."""
        own = TemplateInfo(TEMPLATE, Release(repository_of(self._home), "").url, DESCRIPTION)
        return [own, *(TemplateInfo(one.name, one.url, one.description) for one in self._settings.values())]

    def release(self, name: str, version: str | None = None) -> Release:
        """Return a version of a template, the newest one for ``None``; it is fetched if it comes from elsewhere.

        Raises:
            InvalidAnswer: there is no such template, or no such version of the golden path.
            TemplateRefused: the template may not be used, or has no such version.
            HostUnavailable: it can't be fetched.
        """
        if name == TEMPLATE:
            return self._golden(version)
        settings = self._of(name)
        return self._cache.release(settings.url, pattern=settings.ref_pattern, tag=version)

    def versions(self, name: str) -> list[str]:
        """Return a template's versions, oldest first."""
        if name == TEMPLATE:
            current_release(self._home)
            return tags(repository_of(self._home))
        settings = self._of(name)
        return self._cache.versions(settings.url, pattern=settings.ref_pattern)

    def changes(self, name: str, older: str, newer: str | None) -> list[Section]:
        """Return what a template's versions after ``older`` change, up to ``newer`` or the newest one.

        Raises:
            InvalidAnswer: what is given is no version.
        """
        release = self.release(name, newer)
        try:
            return changelog.between(changelog_of(release), older, release.tag)
        except ValueError as fault:
            raise InvalidAnswer(str(fault), fix=f"versions of {name} are {', '.join(self.versions(name))}") from fault

    def _golden(self, version: str | None) -> Release:
        if version is None:
            return current_release(self._home)
        repository = repository_of(self._home)
        if version not in tags(repository):
            raise TemplateRefused(
                f"the golden path has no version {shortened(version)}",
                fix=f"released are {', '.join(tags(repository)) or 'none'}",
            )
        return Release(repository, version)

    def _of(self, name: str) -> TemplateSettings:
        if name not in self._settings:
            known = ", ".join([TEMPLATE, *self._settings])
            raise InvalidAnswer(f"there is no template {shortened(name)}", fix=f"Configured are {known}.")
        return self._settings[name]
