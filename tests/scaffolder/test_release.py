"""Releasing the template: identical content is the identical commit, a change is a new tag that repositories update to."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from git import Repo

from scaffolder import release
from scaffolder.api import new_repository
from scaffolder.release import ensure_released, source_setting


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checked-in templates, to be changed."""
    copy = tmp_path / "templates"
    shutil.copytree(release.TEMPLATES, copy)
    monkeypatch.setattr(release, "TEMPLATES", copy)
    return copy


def commit_of(released: release.Release) -> str:
    return Repo(released.repository).tags[released.tag].commit.hexsha


def test_identical_content_is_the_identical_commit(home: Path, tmp_path: Path, templates: Path) -> None:
    assert commit_of(ensure_released(home)) == commit_of(ensure_released(tmp_path / "other"))


def test_first_release_has_the_version_and_nobody_s_name(tmp_path: Path, templates: Path) -> None:
    released = ensure_released(tmp_path / "home")
    commit = Repo(released.repository).tags[released.tag].commit
    assert released.tag == f"v{(templates / 'VERSION').read_text().strip()}"
    assert (commit.author.email, commit.authored_datetime.year) == ("ml-platform@localhost", 2020)
    assert not commit.parents


def test_a_change_without_a_new_version_comes_after_the_release(tmp_path: Path, templates: Path) -> None:
    home, readme = tmp_path / "home", templates / "golden-path" / "template" / "README.md.jinja"
    first = ensure_released(home)
    before = readme.read_text()
    readme.write_text(before + "\nMore.\n")
    second = ensure_released(home)
    readme.write_text(before)
    assert [second.tag, ensure_released(home).tag] == [f"{first.tag}.post1", first.tag]
    assert commit_of(first) != commit_of(second)


def test_a_lost_index_changes_nothing(tmp_path: Path, templates: Path) -> None:
    home = tmp_path / "home"
    first = ensure_released(home)
    (home / "templates" / "golden-path.json").unlink()
    assert ensure_released(home) == first


def test_several_at_once_release_one(tmp_path: Path, templates: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _number: ensure_released(tmp_path / "home"), range(4)))
    assert len(set(made)) == 1
    assert len(Repo(made[0].repository).tags) == 1


def test_copier_update_by_hand_brings_a_later_release(tmp_path: Path, templates: Path) -> None:
    home = tmp_path / "home"
    made = new_repository("churn", type="realtime", defaults=True, dest=tmp_path, home=home)
    (made.path / "src" / "churn" / "own.py").write_text('"""Mine."""\n')
    _git(made.path, "add", "--all")
    _git(made.path, "commit", "--quiet", "--message", "mine")
    readme = templates / "golden-path" / "template" / "README.md.jinja"
    readme.write_text(readme.read_text() + "\nMore.\n")
    released = ensure_released(home)

    setting, prefix = source_setting(home)
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": setting,
        "GIT_CONFIG_VALUE_0": prefix,
        "COPIER_CACHE_DIR": str(tmp_path / "cache"),
    }
    subprocess.run(
        [sys.executable, "-m", "copier", "update", "--defaults", "--quiet"],
        cwd=made.path,
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    changed = _git(made.path, "status", "--porcelain").splitlines()
    assert sorted(line[3:] for line in changed) == [".copier-answers.yml", "README.md"]
    assert f"_commit: {released.tag}" in (made.path / ".copier-answers.yml").read_text()
    assert (made.path / "README.md").read_text().endswith("\nMore.\n")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
