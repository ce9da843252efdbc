"""The git side: which repositories are refused, and what a commit may hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scaffolder.adopt.errors import AdoptionRefused
from scaffolder.adopt.repository import Repository
from scaffolder.errors import ScaffoldError
from tests.scaffolder.adopt.repositories import Existing

Make = Callable[..., Existing]


def refused(folder: Path, message: str, fix: str) -> None:
    with pytest.raises(AdoptionRefused, match=message) as caught:
        Repository.open(folder)
    assert fix in (caught.value.fix or "")


def test_what_is_no_repository(existing: Make, tmp_path: Path) -> None:
    with pytest.raises(AdoptionRefused, match="there is no folder"):
        Repository.open(tmp_path / "nowhere")
    (tmp_path / "plain").mkdir()
    refused(tmp_path / "plain", "is no git repository", "git init")
    repository = existing({"models/churn/a.py": ""})
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    refused(tmp_path / "bare", "is a bare repository", "clone it")
    refused(repository.path / "models" / "churn", "models/churn is a folder of the repository", "--prefix=models/churn")
    (tmp_path / "empty").mkdir()
    Existing(tmp_path / "empty").git("init", "--quiet")
    refused(tmp_path / "empty", "has no commit yet", "commit what you have")


@pytest.mark.parametrize("change", ["a.txt", "new.txt"])
def test_a_checkout_with_changes(existing: Make, change: str) -> None:
    repository = existing({"a.txt": "a"})
    repository.write({change: "b"})
    refused(repository.path, f"not committed: {change}", "commit or stash them")


def test_a_submodule_with_changes(existing: Make) -> None:
    other, repository = existing({"a.txt": "a"}, "other"), existing({"b.txt": "b"})
    repository.git("submodule", "--quiet", "add", str(other.path), "libs/other")
    repository.commit("with a submodule")
    opened = Repository.open(repository.path)
    assert opened.submodules == ["libs/other"]
    assert not {"libs/other/a.txt", "a.txt"} & set(opened.entries)
    (repository.path / "libs/other/a.txt").write_text("changed")
    refused(repository.path, "not committed: libs/other", "commit")


def test_what_is_ignored_is_no_change(existing: Make) -> None:
    repository = existing({".gitignore": "data/\n"})
    repository.write({"data/large.bin": b"\0" * 100})
    assert set(Repository.open(repository.path).entries) == {".gitignore"}


@pytest.mark.parametrize(
    ("place", "what"), [("MERGE_HEAD", "a merge"), ("rebase-merge/head", "a rebase"), ("BISECT_LOG", "a bisection")]
)
def test_something_under_way(existing: Make, place: str, what: str) -> None:
    repository = existing({"a.txt": "a"})
    repository.write({f".git/{place}": repository.git("rev-parse", "HEAD") + "\n"})
    refused(repository.path, f"{what} is under way", "finish or abort")


def test_no_branch(existing: Make) -> None:
    repository = existing({"a.txt": "a"})
    repository.git("checkout", "--quiet", "--detach")
    refused(repository.path, "detached HEAD", "git switch")


def test_a_worktree_is_a_repository(existing: Make, tmp_path: Path) -> None:
    repository = existing({"a.txt": "a"})
    repository.git("worktree", "add", "--quiet", str(tmp_path / "other"), "-b", "beside")
    opened = Repository.open(tmp_path / "other")
    assert opened.branch == "beside"
    commit = opened.commit("adoption", {"b.txt": (b"b", False)}, "add b")
    assert repository.git("rev-parse", "adoption") == commit


@pytest.mark.parametrize("name", ["", "-x", "a b", "a..b", "a.lock", "refs/heads/a~1", "@{-1}", "ends/"])
def test_names_that_no_branch_has(existing: Make, name: str) -> None:
    with pytest.raises(AdoptionRefused, match="can't be a branch's name"):
        Repository.open(existing({"a.txt": "a"}).path).check_branch(name)


def test_branches_in_the_way(existing: Make) -> None:
    repository = existing({"a.txt": "a"})
    opened = Repository.open(repository.path)
    repository.git("branch", "platform")
    with pytest.raises(ScaffoldError, match="'refs/heads/platform' exists"):
        opened.commit("platform/adopt", {"b.txt": (b"", False)}, "x")
    with pytest.raises(AdoptionRefused, match="there is a branch platform already"):
        opened.commit("platform", {"b.txt": (b"", False)}, "x")
    assert repository.git("branch", "--format=%(refname:short)").split() == ["main", "platform"]


@pytest.mark.parametrize("path", ["../up", "/root", "a/../../b", ".git/hooks/pre-commit", "x/.GIT/config", ""])
def test_places_that_no_commit_holds(existing: Make, path: str) -> None:
    repository = existing({"a.txt": "a"})
    with pytest.raises(ScaffoldError, match="is no place in a repository"):
        Repository.open(repository.path).commit("b", {path: (b"", False)}, "x")
    assert repository.git("branch", "--list") == "* main"


def test_a_commit_is_by_who_git_knows_and_keeps_modes(existing: Make) -> None:
    repository = existing({"run.sh": "#!/bin/sh\n", "ünïcode file.txt": "x"}, executable=("run.sh",))
    repository.git("config", "user.name", "Grace")
    repository.git("config", "user.email", "grace@example.org")
    Repository.open(repository.path).commit("made", {"bin/x": (b"\0\r\n", True)}, "Add it\n\nbody\n")
    assert repository.git("log", "-1", "--format=%an %ae %s", "made") == "Grace grace@example.org Add it"
    tree = repository.tree("made")
    assert (tree["bin/x"][0], tree["run.sh"][0]) == ("100755", "100755")
    assert repository.raw("cat-file", "blob", "made:bin/x") == b"\0\r\n"
    assert "ünïcode file.txt" in tree


def test_texts(existing: Make) -> None:
    repository = existing(
        {"bom": b"\xef\xbb\xbfa\r\nb", "binary": b"a\0b", "latin": b"\xe9", "large": b"a" * ((1 << 20) + 1)},
        links={"link": "bom"},
    )
    opened = Repository.open(repository.path)
    assert opened.text("bom") == "a\nb"
    assert [opened.text(name) for name in ("binary", "latin", "large", "link", "nothing")] == [None] * 5
    assert len(opened.text("large", most=2 << 20) or "") == (1 << 20) + 1


def test_an_environment_that_means_another_repository(existing: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = existing({"a.txt": "a"})
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    refused(repository.path, "GIT_DIR is set", "unset GIT_DIR")
