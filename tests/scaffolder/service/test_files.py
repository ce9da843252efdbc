"""Files of embedded repositories over HTTP: what was pushed and nothing else, as bytes that nobody takes for a page."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from scaffolder.git import push, write_blob
from scaffolder.hosts.base import NewRepository
from scaffolder.hosts.embedded import EmbeddedHost
from tests.backend.conftest import Backend, empty_mlflow, make_settings
from tests.scaffolder.hosts.conftest import Clone

__all__ = ["empty_mlflow"]
pytestmark = pytest.mark.slow
BASE = "/git/local/models/churn"
GITHUB = {"kind": "github", "name": "theirs", "org": "acme", "token": "t", "apiUrl": "http://127.0.0.1:1"}


class Pushed:
    """A backend without its runtime, and a repository with two commits and a tag."""

    def __init__(self, folder: Path, empty_mlflow: Path, **sections: Any) -> None:
        home = folder / "home"
        (home / "mlflow").mkdir(parents=True)
        (home / "mlflow" / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
        hosts = [{"kind": "embedded"}, GITHUB]
        app = create_app(make_settings(home, f"sqlite:///{folder / 'platform.db'}", gitHosts=hosts, **sections))
        self.http = TestClient(app, raise_server_exceptions=False)
        self.backend = Backend(self.http, app.state.services)
        self.ada = self.backend.someone("ada")
        self.folder = home / "git" / "models" / "churn.git"
        clone = Clone(folder / "clone")
        host = EmbeddedHost(home / "git")
        made = host.create(NewRepository("models", "churn", "", "claim"))
        self.commits = []
        for text in (b"one\n", b"<script>\x00\xff two\n"):
            (clone.folder / "docs").mkdir(exist_ok=True)
            (clone.folder / "docs" / "a page.md").write_bytes(text)
            (clone.folder / "run.sh").write_text("#!/bin/sh\n")
            (clone.folder / "run.sh").chmod(0o755)
            clone.git("add", "--all")
            clone.git("commit", "--quiet", "--message", "change")
            self.commits.append(clone.git("rev-parse", "HEAD"))
        clone.git("tag", "v1", self.commits[0])
        push(clone.folder, host.access(made))
        push(clone.folder, host.access(made), "refs/tags/v1:refs/tags/v1")
        self.path = host.path("models", "churn")
        self.clone = clone


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Iterator[Pushed]:
    made = Pushed(tmp_path_factory.mktemp("files"), empty_mlflow, limits={"fileBytes": 1024, "archiveBytes": 1024})
    yield made
    made.backend.services.database.close()


def test_a_file_is_its_bytes(pushed: Pushed) -> None:
    answer = pushed.ada.get(f"{BASE}/files/docs/a%20page.md")
    assert (answer.status_code, answer.content) == (200, b"<script>\x00\xff two\n")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    blob = pushed.clone.git("rev-parse", "HEAD:docs/a page.md")
    assert answer.headers["etag"] == f'"{blob}"'
    for ref in ("v1", pushed.commits[0]):
        assert pushed.ada.get(f"{BASE}/files/docs/a page.md", ref=ref).content == b"one\n"


def test_an_archive_is_the_tree_in_one_folder(pushed: Pushed) -> None:
    answer = pushed.ada.get(f"{BASE}/archive")
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["etag"] == f'"{pushed.commits[1]}"'
    top = f"churn-{pushed.commits[1]}"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        files = {one.name: one for one in archive if one.isfile()}
        assert set(files) == {f"{top}/docs/a page.md", f"{top}/run.sh"}
        assert files[f"{top}/run.sh"].mode & 0o100
    assert pushed.ada.get(f"{BASE}/archive").content == answer.content, "the same commit is the same archive"
    assert pushed.ada.get(f"{BASE}/archive", ref="v1").headers["etag"] == f'"{pushed.commits[0]}"'


@pytest.mark.parametrize("path", ["archive", "files/run.sh"])
def test_what_is_known_is_not_sent_again(pushed: Pushed, path: str) -> None:
    url = f"/api/ml-platform{BASE}/{path}"
    first = pushed.ada.get(f"{BASE}/{path}")
    headers = dict(first.request.headers)
    for value, status in ((first.headers["etag"], 304), (f'"x", W/{first.headers["etag"]}', 304), ('"x"', 200)):
        answer = pushed.http.get(url, headers={**headers, "If-None-Match": value})
        assert (answer.status_code, answer.headers["etag"]) == (status, first.headers["etag"])
        assert (answer.content == b"") is (status == 304)
    assert pushed.http.get(url).status_code == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("files/../../../etc/passwd", 404),
        ("files/docs/%2e%2e/run.sh", 422),
        ("files/docs/./run.sh", 404),
        ("files//run.sh", 422),
        ("files/docs", 404),
        ("files/docs/", 422),
        ("files/nothing", 404),
        ("files/a%0Ab", 404),
        ("files/run.sh?ref=--output=x", 422),
        ("files/run.sh?ref=HEAD:docs", 422),
        ("files/run.sh?ref=main@{1}", 422),
        ("files/run.sh?ref=refs/platform/pulls/1", 404),
        ("files/run.sh?ref=platform/secret", 404),
        ("files/run.sh?ref=" + "0" * 40, 404),
        ("archive?ref=..", 422),
        ("archive?ref=nothing", 404),
    ],
)
def test_hostile_paths_and_refs(pushed: Pushed, path: str, status: int) -> None:
    pushed.clone.git("-C", str(pushed.path), "update-ref", "refs/platform/secret", pushed.commits[1])
    path, _, ref = path.partition("?ref=")
    answer = pushed.ada.get(f"{BASE}/{path}", **({"ref": ref} if ref else {}))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_what_is_too_large_names_the_setting(pushed: Pushed) -> None:
    (pushed.clone.folder / "large.bin").write_bytes(b"x" * 2000)
    pushed.clone.git("switch", "--quiet", "--create", "large")
    pushed.clone.git("add", "--all")
    pushed.clone.git("commit", "--quiet", "--message", "large")
    host = EmbeddedHost(pushed.backend.services.settings.home / "git")
    made = host.find("models", "churn")
    assert made is not None
    push(pushed.clone.folder, host.access(made), "refs/heads/large:refs/heads/large")
    for path, setting in (("files/large.bin", "fileBytes"), ("archive", "archiveBytes")):
        answer = pushed.ada.get(f"{BASE}/{path}", ref="large")
        assert answer.status_code == 422
        assert setting in answer.json()["fix"]


def test_other_hosts_are_named(pushed: Pushed, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaffolder.hosts.base import HostedRepository
    from scaffolder.hosts.github import GitHubHost

    address = "https://github.com/acme/churn"
    found = HostedRepository("theirs", "acme", "churn", "x", address)
    monkeypatch.setattr(GitHubHost, "find", lambda *_given: found)
    answer = pushed.ada.get("/git/theirs/acme/churn/archive")
    assert (answer.status_code, answer.json()["webUrl"]) == (422, address)
    assert pushed.ada.get("/git/local/models/nothing/archive").status_code == 404
    assert pushed.ada.get("/git/elsewhere/models/churn/archive").status_code == 422


def test_a_blob_by_its_id_is_no_commit(pushed: Pushed) -> None:
    blob = write_blob(pushed.path, b"kept by the platform")
    assert pushed.ada.get(f"{BASE}/archive", ref=blob).status_code == 404
