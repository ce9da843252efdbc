"""Where Cookiecutter templates may come from, and how one is fetched: a folder, or a git URL on the allow-list."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused
from scaffolder.git import safe_environment
from scaffolder.names import shortened

SOURCES_VARIABLE = "ML_PLATFORM_TEMPLATE_SOURCES"
TRUSTED_VARIABLE = "ML_PLATFORM_TRUSTED_TEMPLATE_SOURCES"
CONTEXT_FILE = "cookiecutter.json"
_URL = re.compile(r"^(?P<scheme>https|ssh)://(?P<rest>[^\s@/]+(?:@[^\s@/]+)?/\S+)$")
_SCP = re.compile(r"^(?P<user>[A-Za-z0-9_.-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/\s][^\s]*)$")
_REF = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$")
_PROTOCOLS = ("https", "ssh")
_SETTINGS = (("core.symlinks", "true"),)


@dataclass(frozen=True)
class SourcePolicy:
    """What templates may come from where.

    ``urls`` are prefixes of git URLs, cut at a ``/`` (``https://git.example.org/templates``); with ``roots`` a folder must
    lie under one of them, with ``None`` any folder of this machine will do. Hooks and Jinja extensions of a template run
    only where its URL or folder is under ``trusted``.
    """

    urls: Sequence[str] = ()
    roots: Sequence[Path] | None = None
    trusted: Sequence[str] = ()

    @classmethod
    def of_this_user(cls) -> "SourcePolicy":
        """Return the policy of somebody at a terminal: any folder, and the URLs that the environment lists."""
        return cls(urls=_listed(SOURCES_VARIABLE), trusted=_listed(TRUSTED_VARIABLE))

    def trusts(self, source: str) -> bool:
        """Say whether code that this source brings may run."""
        name = source if is_url(source) else str(Path(source).resolve())
        return any(_under(name, prefix) for prefix in self.trusted)


@dataclass(frozen=True)
class Fetched:
    """A template's repository on this machine."""

    folder: Path
    name: str
    commit: str | None
    """The commit that was fetched; nothing for a folder."""


def is_url(source: str) -> bool:
    """Say whether a source is meant as a URL; a remote helper (``ext::``) or another protocol is one too."""
    return "://" in source or "::" in source or (_SCP.match(source) is not None and not Path(source).exists())


@contextmanager
def fetched(
    source: str, policy: SourcePolicy, *, checkout: str | None = None, limits: Limits = DEFAULT
) -> Iterator[Fetched]:
    """Hold the template's repository for the time of the context; a clone goes away afterwards.

    Raises:
        TemplateRefused: the source is not on the allow-list, or the tree has something that no template may have.
        InvalidAnswer: ``source`` or ``checkout`` is nothing of the kind.
        ScaffoldError: it could not be fetched.
    """
    if not source or "\0" in source or source.startswith("-"):
        raise InvalidAnswer(f"{shortened(source)} is neither a folder nor a git URL")
    if is_url(source):
        _check_url(source, policy)
        if checkout is not None and (not _REF.match(checkout) or ".." in checkout):
            raise InvalidAnswer(f"{shortened(checkout)} can't be a branch, tag or commit")
        with tempfile.TemporaryDirectory(prefix="template-") as temporary:
            folder = Path(temporary, "repository")
            commit = _clone(source, folder, checkout, limits)
            check_tree(folder, limits)
            yield Fetched(folder, _name(source), commit)
        return
    if checkout is not None:
        raise InvalidAnswer("a folder is taken as it is; --checkout is for git URLs")
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise ScaffoldError(f"there is no folder {source}", fix="name a folder, or a git URL that is on the allow-list")
    folder = folder.resolve()
    if policy.roots is not None and not any(folder.is_relative_to(root.resolve()) for root in policy.roots):
        raise TemplateRefused(f"{source} is not under a folder that templates may come from")
    check_tree(folder, limits)
    yield Fetched(folder, folder.name, None)


def template_folder(repository: Path, directory: str | None) -> Path:
    """Return the folder of the repository that holds the template.

    Raises:
        InvalidAnswer: ``directory`` leads out of the repository.
        ScaffoldError: there is no such folder.
    """
    folder = (repository / directory).resolve() if directory else repository
    if not folder.is_relative_to(repository.resolve()):
        raise InvalidAnswer(f"{shortened(str(directory))} leads out of the template's repository")
    if not folder.is_dir():
        raise ScaffoldError(f"the template's repository has no folder {shortened(str(directory))}")
    return folder


def check_tree(root: Path, limits: Limits = DEFAULT) -> None:
    """Refuse a tree that is too large, or that has links out of itself or anything but files and folders.

    Raises:
        TemplateRefused: with the file that is at fault.
    """
    files = total = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not (Path(folder) == root and name == ".git")]
        place = Path(folder).relative_to(root)
        if len(place.parts) > limits.depth:
            raise TemplateRefused(f"{place} lies more than {limits.depth} folders deep")
        for name in (*folders, *names):
            path = Path(folder, name)
            shown = path.relative_to(root)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                _check_link(path, shown, root)
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise TemplateRefused(f"{shown} is neither a file nor a folder")
        for name in names:
            size = Path(folder, name).lstat().st_size
            files, total = files + 1, total + size
            if size > limits.file_bytes:
                raise TemplateRefused(f"{place / name} has {size} bytes; at most {limits.file_bytes} are possible")
        if files > limits.files or total > limits.total_bytes:
            raise TemplateRefused(
                f"the template has more than {limits.files} files or {limits.total_bytes} bytes",
                fix="import a repository that holds the template alone, or clone it and remove what is not part of it",
            )


def _check_link(path: Path, shown: Path, root: Path) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise TemplateRefused(f"{shown} is a link to nothing") from None
    if not target.is_relative_to(root.resolve()):
        raise TemplateRefused(f"{shown} is a link out of the template's folder")
    if path.parent.resolve().is_relative_to(target):
        raise TemplateRefused(f"{shown} is a link to a folder around itself")


def _check_url(source: str, policy: SourcePolicy) -> None:
    if not (_URL.match(source) or ("://" not in source and "::" not in source and _SCP.match(source))):
        raise TemplateRefused(
            f"{shortened(source)} is no address that templates may come from: https, ssh, or user@host:path",
        )
    if re.search(r"/\.\.?(/|$)", source) or re.match(r"^https://[^/]*@", source):
        raise TemplateRefused(
            f"{shortened(re.sub(r'//[^/]*@', '//...@', source))} has credentials or `..` in it",
            fix="leave them out; git's own credential store is not asked either: the templates are public to the platform",
        )
    if not any(_under(source, prefix) for prefix in policy.urls):
        raise TemplateRefused(
            f"{shortened(source)} is not on the list of sources that templates may come from",
            fix=f"add its beginning to {SOURCES_VARIABLE}, or clone it yourself, read it, and name the folder",
        )


def _under(name: str, prefix: str) -> bool:
    """Say whether an address is at or below another; a name that merely begins alike is not."""
    cut = prefix.rstrip("/")
    return bool(cut) and (name in {cut, f"{cut}.git"} or name.startswith((f"{cut}/", f"{cut}:")))


def _clone(source: str, folder: Path, checkout: str | None, limits: Limits) -> str:
    from git import Git, GitCommandError

    git = Git()
    git.update_environment(**safe_environment(protocols=_PROTOCOLS, settings=_SETTINGS))
    command = ["git", "clone", "--quiet", "--no-recurse-submodules"]
    if checkout is None or not re.fullmatch(r"[0-9a-f]{40}", checkout):
        command += ["--depth", "1", *(["--branch", checkout] if checkout else [])]
    try:
        git.execute([*command, "--", source, str(folder)], kill_after_timeout=limits.seconds)
        if checkout is not None and re.fullmatch(r"[0-9a-f]{40}", checkout):
            git.execute(["git", "-C", str(folder), "checkout", "--quiet", "--detach", checkout])
        return str(git.execute(["git", "-C", str(folder), "rev-parse", "HEAD"]))
    except GitCommandError as fault:
        said = " ".join(str(fault.stderr or "").split())[:300] or f"git ended with {fault.status}"
        raise ScaffoldError(f"{source} could not be fetched: {said}") from fault


def _name(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git") or "template"


def _listed(variable: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in os.environ.get(variable, "").split(",") if part.strip())
