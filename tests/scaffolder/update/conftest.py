"""A small template with versions, a repository made from it, and both ways of updating it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from scaffolder.update import TemplateStore, Update, UpdateEngine
from scaffolder.update.plumbing import ENVIRONMENT
from scaffolder.update.render import InProcessRenderer

ADDRESS = "lab:template.git"
CONFIG = "_templates_suffix: .jinja\nname: {type: str, default: churn}\n"
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
ANSWERS_TEXT = "{{ _copier_answers|to_nice_yaml }}"
Files = Mapping[str, "str | bytes | None"]


@pytest.fixture(scope="session", autouse=True)
def _git_without_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Copier's own update, too, run on a machine where nobody has set up git."""
    from plumbum import local

    cache = tmp_path_factory.mktemp("copier-cache")
    plain = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "COPIER_CACHE_DIR": str(cache),
        "HOME": str(cache),
    }
    with local.env(**plain):
        yield


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder), *arguments]
    environment = {**os.environ, **ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "file"}
    return subprocess.run(command, check=True, capture_output=True, input=stdin, env=environment).stdout.decode(
        errors="replace"
    )


def write(folder: Path, files: Files) -> None:
    """Write files; ``None`` deletes, ``-> x`` makes a link to x, a name that ends with ``*`` is executable."""
    for name, content in files.items():
        path = folder / name.rstrip("*")
        if content is None:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        if isinstance(content, str) and content.startswith("-> "):
            path.unlink(missing_ok=True)
            path.symlink_to(content.removeprefix("-> "))
            continue
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755 if name.endswith("*") else 0o644)


def commit(folder: Path) -> str:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "change")
    return git(folder, "rev-parse", "HEAD").strip()


def tree_of(folder: Path, tree: str) -> dict[str, tuple[str, bytes]]:
    """Everything below a tree: mode and content by path."""
    found = {}
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-tree", "-r", "-z", "--full-tree", tree], check=True, capture_output=True
    ).stdout
    for line in filter(None, listed.split(b"\0")):
        facts, _, path = line.partition(b"\t")
        mode, kind, oid = facts.decode().split(" ")
        blob = subprocess.run(["git", "-C", str(folder), "cat-file", kind, oid], capture_output=True).stdout
        found[os.fsdecode(path)] = (mode, blob)
    return found


@dataclass
class Lab:
    """A template and one repository made from it, in ``folder``."""

    folder: Path
    config: str = CONFIG
    answers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.template = self.folder / "template"
        self.repository = self.folder / "project"
        self.template.mkdir(parents=True)
        git(self.template, "init", "--quiet", "--initial-branch=main")

    def release(self, tag: str, files: Files, config: str | None = None) -> None:
        """Release these files, and no others, as a version of the template."""
        for path in self.template.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        write(self.template, {"copier.yml": dedent(config or self.config), ANSWERS: ANSWERS_TEXT, **files})
        commit(self.template)
        git(self.template, "tag", tag)

    def start(self, tag: str = "v1", **answers: Any) -> str:
        """Make the repository from a version, and return its first commit."""
        version = TemplateStore(self.template, cache=self.folder / "cache").version(tag)
        InProcessRenderer().render(version, self.repository, answers, source=str(self.template), defaults=True)
        git(self.repository, "init", "--quiet", "--initial-branch=main")
        return commit(self.repository)

    def edit(self, files: Files) -> str:
        """Change the repository by hand, and return the commit."""
        write(self.repository, files)
        return commit(self.repository)

    @property
    def engine(self) -> UpdateEngine:
        return UpdateEngine(TemplateStore(self.template, cache=self.folder / "cache", addresses={ADDRESS}))

    def update(self, tag: str = "v2", **data: Any) -> Update:
        return self.engine.update(self.repository, "main", tag, data=data)

    def tree(self, tree: str) -> dict[str, tuple[str, bytes]]:
        return tree_of(self.repository, tree)

    def text(self, update: Update, path: str) -> str:
        """What an update leaves at a path."""
        return self.tree(update.recorded_tree)[path][1].decode()

    def copier(self, tag: str = "v2", **data: Any) -> dict[str, tuple[str, bytes]]:
        """What Copier's own update leaves in a clean clone."""
        from copier import Settings, run_update

        clone = self.folder / "clone"
        git(self.folder, "clone", "--quiet", str(self.repository), str(clone))
        try:
            run_update(clone, data=data, vcs_ref=tag, defaults=True, overwrite=True, quiet=True, settings=Settings())
            # Its index has stages where there are conflicts.
            git(clone, "add", "--all", "--force")
            return tree_of(clone, git(clone, "write-tree").strip())
        finally:
            shutil.rmtree(clone)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
