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
from scaffolder.errors import ScaffoldError
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


class TestReleasing:
    """What a maintainer says is released: with a version of its own, and a word about what it changes."""

    def version(self, templates: Path, version: str, section: str | None = "- It is better.") -> None:
        (templates / "VERSION").write_text(f"{version}\n")
        changelog = templates / "golden-path" / "CHANGELOG.md"
        text = changelog.read_text() if changelog.exists() else ""
        if section is not None and f"[{version}]" not in text:
            changelog.write_text(f"## [{version}] - 2026-03-02\n\n{section}\n\n{text}")

    def change(self, templates: Path) -> None:
        readme = templates / "golden-path" / "template" / "README.md.jinja"
        readme.write_text(readme.read_text() + "\nMore.\n")

    def test_history_is_a_line_and_the_same_everywhere(self, tmp_path: Path, templates: Path) -> None:
        heads = []
        first, _ = release.release(tmp_path / "one")
        release.release(tmp_path / "two")
        self.change(templates)
        self.version(templates, "0.2.0")
        for home in ("one", "two"):
            made, new = release.release(tmp_path / home)
            assert (made.tag, new) == ("v0.2.0", True)
            repository = Repo(made.repository)
            assert [one.hexsha for one in repository.heads["main"].commit.parents] == [
                repository.tags[first.tag].commit.hexsha
            ]
            heads.append(repository.heads["main"].commit.hexsha)
        assert heads[0] == heads[1]
        again, new = release.release(tmp_path / "one")
        assert (again.tag, new) == ("v0.2.0", False)
        assert [one.version for one in release.changelog_of(made)][:2] == ["0.2.0", "Unreleased"]

    def test_a_change_under_a_released_version_is_refused(self, tmp_path: Path, templates: Path) -> None:
        first, _ = release.release(tmp_path / "home")
        self.change(templates)
        with pytest.raises(ScaffoldError, match="released with other content") as refused:
            release.release(tmp_path / "home")
        assert "--dev" in str(refused.value.fix)
        made, _ = release.release(tmp_path / "home", dev=True)
        assert made.tag == f"{first.tag}.post1"

    def test_an_older_version_is_refused(self, tmp_path: Path, templates: Path) -> None:
        release.release(tmp_path / "home")
        self.change(templates)
        self.version(templates, "0.0.9")
        with pytest.raises(ScaffoldError, match="released already"):
            release.release(tmp_path / "home")

    def test_a_version_without_a_word_is_refused(self, tmp_path: Path, templates: Path) -> None:
        self.version(templates, "0.2.0", None)
        with pytest.raises(ScaffoldError, match=r"no section for 0\.2\.0"):
            release.release(tmp_path / "home")
        release.add_notes("0.2.0", "- It is better.", today="2026-03-02")
        release.add_notes("0.2.0", "- Not written twice.", today="2026-03-02")
        assert release.release(tmp_path / "home")[0].tag == "v0.2.0"
        text = (templates / "golden-path" / "CHANGELOG.md").read_text()
        assert text.index("[Unreleased]") < text.index("[0.2.0] - 2026-03-02") < text.index("[0.1.0]")
        assert "twice" not in text


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
