"""Release a template: put its content under a version tag in a git repository of its own.

A released template is the checked-in content plus the toolkit it carries: the wheel, the JSON Schema of ``model.yaml``, a file
of facts about both, and the sources of what is derived from ``model.yaml``. Each release is a commit on top of the one before,
with a fixed author and date: the same content after the same release is the identical commit on every machine, and an answers
file that names a tag means the same everywhere.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffolder import changelog, derived, toolkit
from scaffolder.changelog import Section
from scaffolder.errors import ScaffoldError
from scaffolder.toolkit import Toolkit

TEMPLATES = Path(__file__).parent.parent / "templates"
TEMPLATE = "golden-path"
SOURCE_URL = "mlplatform:golden-path.git"
"""The template's address in answers files; git's ``insteadOf`` says where that is on a machine (see :func:`source_setting`)."""

_IDENTITY = {
    "GIT_AUTHOR_NAME": "ML platform",
    "GIT_AUTHOR_EMAIL": "ml-platform@localhost",
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "ML platform",
    "GIT_COMMITTER_EMAIL": "ml-platform@localhost",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
}
_IGNORED = {"__pycache__", ".DS_Store", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Release:
    """A version of a template: where its repository is on this machine, the tag, and its address in answers files."""

    repository: Path
    tag: str
    url: str = SOURCE_URL


def source_setting(home: Path) -> tuple[str, str]:
    """Return the git setting that makes :data:`SOURCE_URL` point to this home's released templates."""
    return f"url.{home.absolute().as_posix()}/templates/.insteadOf", "mlplatform:"


def ensure_released(home: Path) -> Release:
    """Return the release of the present content, made now if there is none yet.

    The first content under ``templates/VERSION`` gets the tag ``v<version>``. In a checkout that changes without a new
    version, later contents get ``v<version>.post1``, ``.post2`` …: Copier orders them after the release (it would not
    update to a ``.dev`` one).
    """
    if not (TEMPLATES / TEMPLATE).is_dir():
        return newest_release(home)
    return _released(home, dev=True)[0]


def release(home: Path, *, dev: bool = False) -> tuple[Release, bool]:
    """Release the present content under ``templates/VERSION``; return the release, and whether it is a new one.

    With ``dev`` content that changed without a new version becomes a post-release of it.

    Raises:
        ScaffoldError: the version is released with other content, or is older than a release, or its changelog says nothing.
    """
    if not (TEMPLATES / TEMPLATE).is_dir():
        raise ScaffoldError(
            "the template's sources are not here, so it can't be released",
            fix="release from a checkout of the platform's repository",
        )
    if not dev:
        _check_version(repository_of(home))
        _check_changelog()
    return _released(home, dev=dev)


def current_release(home: Path) -> Release:
    """Return the newest release; where there is none yet, that of the present content."""
    return newest_release(home) if tags(repository_of(home)) else ensure_released(home)


def repository_of(home: Path) -> Path:
    """Return where the released template is."""
    return home / "templates" / f"{TEMPLATE}.git"


def tags(repository: Path) -> list[str]:
    """Return the versions that are released, oldest first."""
    from packaging.version import Version

    return sorted(_trees(repository), key=Version) if repository.is_dir() else []


def changelog_of(release: Release) -> list[Section]:
    """Return the changelog that a release came with; nothing where it came without.

    Raises:
        ScaffoldError: it can't be read.
    """
    from scaffolder.git import read_blob

    content = read_blob(release.repository, f"refs/tags/{release.tag}:{changelog.FILE}")
    try:
        return changelog.parse(content.decode("utf-8", "replace")) if content is not None else []
    except ValueError as fault:
        raise ScaffoldError(f"the changelog of {release.tag} can't be read: {fault}") from fault


def add_notes(version: str, notes: str, *, today: str) -> None:
    """Write a section for the version into the template's changelog, unless it has one."""
    file = TEMPLATES / TEMPLATE / changelog.FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if changelog.section_of(changelog.parse(text), version) is None:
        file.write_text(changelog.with_section(text, version, today, notes), encoding="utf-8")


def _released(home: Path, *, dev: bool) -> tuple[Release, bool]:
    repository = repository_of(home)
    files, sources = read_template(), toolkit.read_sources()
    key = _digest(files, sources)
    index = repository.parent / f"{TEMPLATE}.json"
    if (tag := _read_index(index).get(key)) and repository.is_dir():
        return Release(repository, tag), False
    with _locked(repository.parent):
        known = _read_index(index) if repository.is_dir() else {}
        new = key not in known
        if new:
            built = toolkit.build(sources, home / "toolkit")
            with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".release-") as temporary:
                assemble(Path(temporary), built, files, sources)
                known[key], new = _publish(Path(temporary), repository, version(), dev=dev)
            staged = index.with_suffix(".new")
            staged.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            staged.replace(index)
    return Release(repository, known[key]), new


def _check_version(repository: Path) -> None:
    from packaging.version import Version

    newest = tags(repository)[-1:]
    if newest and Version(version()) < Version(Version(newest[0]).base_version):
        raise ScaffoldError(
            f"templates/VERSION says {version()}, and {newest[0]} is released already",
            fix=f"raise it above {newest[0].removeprefix('v')}",
        )


def _check_changelog() -> None:
    file = TEMPLATES / TEMPLATE / changelog.FILE
    try:
        sections = changelog.parse(file.read_text(encoding="utf-8")) if file.is_file() else []
    except ValueError as fault:
        raise ScaffoldError(f"the template's changelog can't be read: {fault}") from fault
    if changelog.section_of(sections, version()) is None:
        raise ScaffoldError(
            f"templates/{TEMPLATE}/{changelog.FILE} has no section for {version()}",
            fix="say there what it changes for a model repository, or give --notes",
        )


def version() -> str:
    """Return the version that the template's present content is released under."""
    return (TEMPLATES / "VERSION").read_text(encoding="utf-8").strip()


def read_template() -> dict[str, tuple[bytes, bool]]:
    """Return the checked-in files of the template by POSIX path: content, and whether it is executable."""
    root = TEMPLATES / TEMPLATE
    files = {
        path.relative_to(root).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _IGNORED & set(path.relative_to(root).parts)
    }
    files["VERSION"] = (f"{version()}\n".encode(), False)
    return files


def assemble(folder: Path, built: Toolkit, files: dict[str, tuple[bytes, bool]], sources: dict[str, bytes]) -> None:
    """Write what a release consists of into ``folder``."""
    content = dict(files)
    content["toolkit.yml"] = (_facts(built).encode(), False)
    content[f"template/vendor/{built.wheel.name}"] = (built.wheel.read_bytes(), False)
    content |= {name: (data, False) for name, data in derived.template_files(sources).items()}
    content["template/vendor/model.schema.json"] = (sources["spec/model.schema.json"], False)
    for name, (data, executable) in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if executable else 0o644)


def _facts(built: Toolkit) -> str:
    facts = {"toolkit_version": built.version, "toolkit_wheel": built.wheel.name, "toolkit_sha256": built.sha256}
    return "".join(f'{name}:\n  type: str\n  when: false\n  default: "{value}"\n' for name, value in facts.items())


def _publish(folder: Path, repository: Path, version: str, *, dev: bool) -> tuple[str, bool]:
    """Commit ``folder`` to the bare repository under a tag; return the tag, and whether it was not there before."""
    from git import GitCommandError

    from scaffolder.git import git_in, initialise

    try:
        initialise(folder)
        git = git_in(folder)
        git.update_environment(**_IDENTITY)
        git.execute(["git", "-C", str(folder), "-c", "core.autocrlf=false", "add", "--all", "--force", "."])
        tree = str(git.write_tree())
        if not repository.is_dir():
            staged = repository.with_suffix(".new")
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            initialise(staged, bare=True)
            staged.rename(repository)
        trees = _trees(repository)
        tag = _free_tag(trees, version, tree)
        if tag in trees:
            return tag, False
        if tag != f"v{version}" and not dev:
            raise ScaffoldError(
                f"{version} is released with other content already",
                fix="raise templates/VERSION, or use --dev for a post-release",
            )
        before = str(git_in(repository).for_each_ref("--format=%(objectname)", "refs/heads/main"))
        if before:
            git.fetch("--quiet", "--no-tags", str(repository), "refs/heads/main")
        parent = ["-p", before] if before else []
        commit = git.commit_tree("-m", f"{TEMPLATE} {tag}", *parent, tree)
        git.push("--quiet", "--no-verify", str(repository), f"{commit}:refs/tags/{tag}", f"{commit}:refs/heads/main")
    except GitCommandError as fault:
        raise ScaffoldError(f"the template could not be released: {str(fault.stderr).strip()}") from fault
    finally:
        shutil.rmtree(folder / ".git", ignore_errors=True)
    return tag, True


def _free_tag(tags: dict[str, str], version: str, tree: str) -> str:
    """Return the tag that holds this tree already, or the next one that is free."""
    tag, number = f"v{version}", 0
    while tag in tags and tags[tag] != tree:
        number += 1
        tag = f"v{version}.post{number}"
    return tag


def _trees(repository: Path) -> dict[str, str]:
    """Return the tree of each tag."""
    from scaffolder.git import git_in

    listed = git_in(repository).for_each_ref("--format=%(refname:strip=2) %(tree)", "refs/tags")
    return dict(line.split(" ") for line in str(listed).splitlines())


def newest_release(home: Path) -> Release:
    """Return the newest release.

    Raises:
        ScaffoldError: nothing has been released.
    """
    repository = repository_of(home)
    if found := tags(repository):
        return Release(repository, found[-1])
    raise ScaffoldError(
        "no template has been released to this platform", fix="release one from a checkout of the platform's repository"
    )


def _digest(files: dict[str, tuple[bytes, bool]], sources: dict[str, bytes]) -> str:
    digest = hashlib.sha256(toolkit.sources_digest(sources).encode())
    for name, (content, executable) in sorted(files.items()):
        digest.update(f"{hashlib.sha256(content).hexdigest()} {executable} {name}\n".encode())
    return digest.hexdigest()


def _read_index(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import portalocker

    folder.mkdir(parents=True, exist_ok=True)
    with portalocker.Lock(folder / ".lock", timeout=120):
        yield
