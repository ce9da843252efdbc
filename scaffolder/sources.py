"""Templates from elsewhere: which sources are allowed, and how one comes here without running anything of it.

git can be told to run programs by a URL (``ext::``), by an option in its place (``--upload-pack=…``), by a submodule or by a
setting of the repository. None of that gets through: a URL is of a known form and an allowed place before git sees it, git may
speak that URL's protocol alone, and what was fetched is looked at as objects, before anything is checked out.
"""

import fnmatch
import hashlib
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from scaffolder.errors import HostUnavailable, TemplateRefused
from scaffolder.git import GitAccess, git_in, initialise, read_blob, safe_environment, said
from scaffolder.names import shortened
from scaffolder.release import Release

_URL_LENGTH = 500
_SCP = re.compile(r"^(?:[A-Za-z0-9_.-]+@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?!//)(?P<path>[^\s].*)$")
_FETCH_SECONDS = 120
_MOST_FILES, _MOST_BYTES = 5_000, 64 << 20


@dataclass(frozen=True)
class SourcePolicy:
    """Where templates may come from: these very URLs, these hosts, repositories below these folders."""

    urls: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    roots: Sequence[Path] = ()

    def protocol(self, url: str) -> str:
        """Return the protocol that git needs for an allowed URL.

        Raises:
            TemplateRefused: the URL is not of a form that is safe, or not of an allowed place.
        """
        if (
            not url
            or len(url) > _URL_LENGTH
            or any(unicodedata.category(one)[0] == "C" or one.isspace() for one in url)
        ):
            raise self._refused(url, "it has characters that no URL has, or too many")
        if url.startswith("-"):
            raise self._refused(url, "it is an option, not a URL")
        if "::" in url:
            raise self._refused(url, "it names a program to run")
        if url.startswith(("/", "file://")):
            return self._local(url)
        parts = urlsplit(url)
        if parts.scheme in {"https", "http", "ssh"}:
            if parts.password or (parts.username and parts.scheme != "ssh"):
                raise TemplateRefused(
                    "a template's URL may not hold credentials", fix="Put them into mlPlatform.gitHosts for that host."
                )
            if (parts.hostname or "").startswith("-") or (parts.username or "").startswith("-"):
                raise self._refused(url, "its host is an option")
            return self._remote(url, parts.hostname or "", parts.netloc.rpartition("@")[2], parts.scheme)
        if "://" not in url and (match := _SCP.match(url)) is not None and not match["path"].startswith("-"):
            return self._remote(url, match["host"], match["host"], "ssh")
        raise self._refused(url, "https, ssh and folders are what templates come by")

    def _remote(self, url: str, host: str, place: str, scheme: str) -> str:
        allowed = url in self.urls or host.lower() in self.hosts or place.lower() in self.hosts
        if not allowed:
            raise self._refused(url, f"{host or 'its host'} is not an allowed host")
        return scheme

    def _local(self, url: str) -> str:
        path = Path(url.removeprefix("file://"))
        resolved = path.resolve()
        if not any(resolved.is_relative_to(root.resolve()) for root in self.roots):
            raise self._refused(url, "it is below no allowed folder")
        return "file"

    def _refused(self, url: str, reason: str) -> TemplateRefused:
        return TemplateRefused(
            f"templates may not come from {shortened(url, 100)}: {reason}",
            fix="mlPlatform.templateSources says from where they may.",
        )


class TemplateCache:
    """Copies of templates from elsewhere, one bare repository each."""

    def __init__(
        self,
        folder: Path,
        policy: SourcePolicy,
        access: Callable[[str], GitAccess | None] = lambda _url: None,
    ) -> None:
        self._folder, self._policy, self._access = folder, policy, access

    def release(self, url: str, *, pattern: str = "v*", tag: str | None = None) -> Release:
        """Fetch a template's versions and return the newest one, or the one of that tag, looked at and found harmless.

        Raises:
            TemplateRefused: its source is not allowed, it has no such version, or it holds what templates may not.
            HostUnavailable: it can't be fetched.
        """
        mirror = self._fetched(url)
        found = versions(self._tags(mirror), pattern)
        if tag is None and not found:
            raise TemplateRefused(
                f"the template at {shortened(url, 100)} has no version: no tag matches {pattern!r}",
                fix="Tag a version of it, or give another refPattern.",
            )
        if tag is not None and tag not in found:
            newest = f"; the newest one is {found[-1]}" if found else ""
            raise TemplateRefused(f"the template at {shortened(url, 100)} has no version {shortened(tag)}{newest}")
        release = Release(mirror, tag or found[-1], url)
        check_tree(release)
        return release

    def versions(self, url: str, *, pattern: str = "v*") -> list[str]:
        """Return a template's versions, oldest first, fetched now."""
        return versions(self._tags(self._fetched(url)), pattern)

    def _fetched(self, url: str) -> Path:
        from git import GitCommandError

        protocol = self._policy.protocol(url)
        mirror = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:24]}.git"
        if not (mirror / "HEAD").is_file():
            staged = mirror.with_suffix(".new")
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(parents=True)
            initialise(staged, bare=True)
            if not mirror.exists():
                staged.rename(mirror)
        access = self._access(url)
        environment = access.environment if access is not None else safe_environment(protocols=(protocol,))
        git = git_in(mirror, environment)
        command = ["git", "-C", str(mirror), "fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules"]
        try:
            git.execute([*command, "--", url, "+refs/tags/*:refs/tags/*"], kill_after_timeout=_FETCH_SECONDS)
        except GitCommandError as fault:
            raise HostUnavailable(
                f"the template at {shortened(url, 100)} can't be fetched: {said(fault)}",
                fix="See whether it is there, and whether the platform may read it.",
            ) from fault
        return mirror

    def _tags(self, mirror: Path) -> list[str]:
        return str(git_in(mirror).for_each_ref("--format=%(refname:strip=2)", "refs/tags")).splitlines()


def versions(tags: Iterable[str], pattern: str) -> list[str]:
    """Return the tags that match the pattern and are versions (PEP 440, as Copier reads them), oldest first."""
    from packaging.version import InvalidVersion, Version

    found = []
    for tag in tags:
        if fnmatch.fnmatchcase(tag, pattern):
            try:
                found.append((Version(tag.rpartition("/")[2]), tag))
            except InvalidVersion:
                continue
    return [tag for _, tag in sorted(found)]


def check_tree(release: Release) -> None:
    """Look at what a template consists of, before anything of it is checked out.

    Raises:
        TemplateRefused: it has submodules, links that leave it, names git itself uses, or is too large.
    """
    listed = git_in(release.repository).execute(
        ["git", "-C", str(release.repository), "ls-tree", "-r", "-l", "-z", f"refs/tags/{release.tag}"]
    )
    files = size = 0
    for entry in str(listed).split("\0"):
        if not entry:
            continue
        about, _, name = entry.partition("\t")
        mode, _kind, blob, length = about.split()
        files += 1
        size += int(length) if length.isdigit() else 0
        if mode == "160000" or PurePosixPath(name).name == ".gitmodules":
            raise TemplateRefused(f"the template has submodules ({shortened(name)})", fix="Put the files into it.")
        if any(part.lower() in {".git", "git~1"} for part in PurePosixPath(name).parts):
            raise TemplateRefused(f"the template has a file that would be git's own: {shortened(name)}")
        if mode == "120000" and _leaves(name, (read_blob(release.repository, blob) or b"").decode("utf-8", "replace")):
            raise TemplateRefused(f"the template has a link that leaves it: {shortened(name)}")
    if files > _MOST_FILES or size > _MOST_BYTES:
        raise TemplateRefused(
            f"the template has {files} files with {size} bytes; {_MOST_FILES} and {_MOST_BYTES} are possible"
        )


def _leaves(name: str, target: str) -> bool:
    """Say whether a link's target, as written, is outside of the repository's root."""
    if target.startswith("/"):
        return True
    depth = len(PurePosixPath(name).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
