"""Making a repository: whole or not at all, wherever it is put."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from git import Git, Repo

from scaffolder.api import LocalRepository
from scaffolder.errors import Collision, InvalidAnswer, ScaffoldError
from scaffolder.names import ANSWERS_FILE
from scaffolder.release import SOURCE_URL, Release

ROOT = Path(__file__).parents[2]
New = Callable[..., LocalRepository]


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_one_clean_commit_of_everything(new: New, released: Release) -> None:
    made = new("churn")
    repository = Repo(made.path)
    assert made.path.name == "churn"
    assert repository.head.commit.hexsha == made.commit
    assert list(repository.iter_commits()) == [repository.head.commit]
    assert repository.active_branch.name == "main"
    assert not repository.is_dirty(untracked_files=True)
    assert made.template_version == released.tag


def test_answers_name_the_template_by_its_address(new: New, released: Release) -> None:
    answers = (new("churn").path / ANSWERS_FILE).read_text()
    assert f"_commit: {released.tag}\n" in answers
    assert f"_src_path: {SOURCE_URL}\n" in answers


@pytest.mark.parametrize(
    "folder", ["with space", "ümläut 模型", "quote'\"$HOME", "-dash", "{{ 7 }}", "deep/" + "x" * 200]
)
def test_any_folder_will_do(new: New, tmp_path: Path, folder: str) -> None:
    made = new("churn", dest=tmp_path / folder)
    assert made.path == tmp_path / folder / "churn"
    assert Git(made.path).status("--porcelain") == ""
    assert [path.name for path in made.path.parent.iterdir()] == ["churn"]


def test_an_empty_folder_is_taken(new: New, tmp_path: Path) -> None:
    (tmp_path / "work" / "churn").mkdir(parents=True)
    assert (new("churn").path / "model.yaml").is_file()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_left_alone(new: New, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "work" / "churn"
    place.parent.mkdir()
    if kind == "folder":
        place.mkdir()
        (place / "mine").write_text("mine")
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "elsewhere")
    before = entries(tmp_path)
    with pytest.raises(Collision, match="is there already"):
        new("churn")
    assert entries(tmp_path) == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"ownr": "group:default/risk"}, "no question 'ownr'"),
        ({"package": "../evil"}, "no question 'package'|can't be rendered"),
        ({"owner": "risk"}, "owner: a group of the catalog"),
        ({"description": "{{ 7 * 7 }}"}, "description: template expressions"),
        ({"description": "two\nlines"}, "description: one line"),
        ({"description": "x" * 10_000_000}, "10000000 characters"),
        ({"tier": "9"}, "tier"),
        ({"org": "../up"}, "org: letters, digits"),
        ({"replicas": "1000"}, "replicas: between 1 and 20"),
        ({"name": "other"}, "name is given twice"),
    ],
)
def test_a_wrong_answer_is_refused_and_leaves_nothing(
    new: New, tmp_path: Path, data: dict[str, str], message: str
) -> None:
    with pytest.raises(ScaffoldError, match=message) as refused:
        new("churn", data=data)
    assert len(refused.value.message) < 400
    assert entries(tmp_path) == []


def test_a_misspelt_question_is_recognised(new: New) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        new("churn", data={"ownr": "group:default/risk"})
    assert refused.value.fix == "did you mean owner?"


def test_an_unknown_kind_is_refused(new: New, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="no golden path 'quantum'"):
        new("churn", type="quantum")
    assert entries(tmp_path) == []


def test_a_destination_below_a_file_is_refused(new: New, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ScaffoldError):
        new("churn", dest=tmp_path / "file" / "below")
    assert entries(tmp_path) == ["file"]


def test_works_where_nobody_told_git_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("text")
    script = "import sys, pathlib, scaffolder.git; scaffolder.git.first_commit(pathlib.Path(sys.argv[1]), 'Start')"
    nobody = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([sys.executable, "-c", script, str(folder)], env=nobody, cwd=ROOT, check=True)
    author = Repo(folder).head.commit.author
    assert (author.name, author.email) == ("ML platform", "ml-platform@localhost")
