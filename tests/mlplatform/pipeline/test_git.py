"""Which repository a model comes from."""

from pathlib import Path

import pytest

from mlplatform.pipeline.git import canonical_remote, git_state, repository_id
from tests.mlplatform.repositories import Repository


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("https://github.com/acme/wine.git", "github.com/acme/wine"),
        ("https://ada:token@github.com/acme/wine", "github.com/acme/wine"),
        ("git@github.com:acme/wine.git", "github.com/acme/wine"),
        ("ssh://git@GitHub.com:22/acme/wine.git/", "github.com/acme/wine"),
        ("github.com:acme/wine", "github.com/acme/wine"),
        ("https://gitlab.example.org/group/sub/wine.git", "gitlab.example.org/group/sub/wine"),
        ("/srv/platform/git/models/wine.git", "local/wine"),
        ("file:///srv/platform/git/models/wine.git", "local/wine"),
        ("../wine.git", "local/wine"),
        ("/srv/mes modèles.git", "local/mes-mod-les"),
    ],
)
def test_a_remote_has_one_identity_however_it_is_written(remote: str, identity: str) -> None:
    assert canonical_remote(remote) == identity


def test_without_a_remote_the_folder_names_it(repository: Repository) -> None:
    assert repository_id(repository.path) == "local/wine"
    assert repository_id(repository.path / "src") == "local/wine"
    repository.git("remote", "add", "origin", "git@github.com:acme/wine.git")
    assert repository_id(repository.path) == "github.com/acme/wine"


def test_changes_are_seen_and_ignored_files_are_not(repository: Repository) -> None:
    state = git_state(repository.path)
    assert (state.commit, state.dirty) == (repository.git("rev-parse", "HEAD"), False)
    assert state.committed_at is not None
    assert str(int(state.committed_at.timestamp())) == repository.git("log", "-1", "--format=%ct")
    assert state.author == repository.git("log", "-1", "--format=%ae")
    repository.write("build/something", "x")
    assert not git_state(repository.path).dirty
    repository.write("new.txt", "x")
    assert git_state(repository.path).dirty


def test_outside_of_git(tmp_path: Path) -> None:
    state = git_state(tmp_path)
    assert (state.commit, state.dirty, state.committed_at) == (None, True, None)
    assert state.repository == f"local/{tmp_path.name}"
