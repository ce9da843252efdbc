import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaffolder.hosts import EmbeddedHost, GitHost
from scaffolder.hosts.base import HostedRepository, NewRepository
from scaffolder.hosts.github import GitHubApi, GitHubHost
from scaffolder.hosts.gitlab import GitLabApi, GitLabHost
from scaffolder.hosts.retry import RetryBudget

from . import github, gitlab
from .server import HostServer

CLAIM = "0198c0de-0000-7000-8000-000000000001"
NEW = NewRepository("acme", "churn", "Who leaves, and why.", CLAIM)


@dataclass
class Place:
    """A host, the server behind it, and how long its client has waited."""

    host: GitHost
    server: HostServer | None
    pauses: list[float]

    def made(self, new: NewRepository = NEW) -> HostedRepository:
        return self.host.create(new)


def github_place(folder: Path, pauses: list[float], *, app: bool = False, **options: object) -> Place:
    server = github.GitHubServer(folder)
    credentials = {"app_id": github.APP_ID, "private_key": server.private_key} if app else {"token": github.TOKEN}
    api = GitHubApi("hub", api_url=server.url, sleep=pauses.append, **credentials, **options)  # type: ignore[arg-type]
    return Place(GitHubHost(api, org="acme"), server, pauses)


def gitlab_place(folder: Path, pauses: list[float], **options: object) -> Place:
    server = gitlab.GitLabServer(folder)
    api = GitLabApi("lab", url=server.root, token=gitlab.TOKEN, sleep=pauses.append, **options)  # type: ignore[arg-type]
    return Place(GitLabHost(api, org="acme"), server, pauses)


def embedded_place(folder: Path, pauses: list[float], **_options: object) -> Place:
    return Place(EmbeddedHost(folder / "git", org="acme"), None, pauses)


PLACES: dict[str, Callable[..., Place]] = {
    "embedded": embedded_place,
    "github": github_place,
    "github-app": lambda *given, **options: github_place(*given, app=True, **options),
    "gitlab": gitlab_place,
}


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A host of the parametrised kind; whatever its stand-in found wrong about our requests fails the test."""
    made = PLACES[request.param](tmp_path, [], budget=RetryBudget(seconds=1000), timeout=2.0)
    yield made
    if made.server is not None:
        made.server.close()
        assert made.server.invalid == []


every = pytest.mark.parametrize("place", list(PLACES), indirect=True)
remote = pytest.mark.parametrize("place", ["github", "gitlab"], indirect=True)


class Clone:
    """A working copy, for pushing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, check: bool = True) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(
            ["git", *names, *arguments],
            cwd=self.folder,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return (done.stdout + done.stderr).strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        self.git("switch", "--quiet", "--create", name)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "clone")
    made.commit(readme="first", **{".copier-answers.yml": "_commit: v1\n"})
    return made
