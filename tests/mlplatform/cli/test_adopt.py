"""``platform adopt`` as people meet it: help, the report, the JSON document, and errors that say what to do."""

import json
import os
from pathlib import Path

import pytest

from mlplatform.cli.app import run
from scaffolder.home import platform_home
from scaffolder.release import ensure_released
from tests.scaffolder.adopt.repositories import SKLEARN, Existing

pytestmark = pytest.mark.slow

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    ensure_released(folder)
    return folder


@pytest.fixture(autouse=True)
def _of_this_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_HOME", str(home))
    assert platform_home(None) == home


@pytest.fixture
def churn(tmp_path: Path) -> Existing:
    return Existing.make(tmp_path / "churn", SKLEARN)


def test_help_shows_how_to_use_it_and_how_to_take_it_back(capsys: Output) -> None:
    assert run(["adopt", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert "$ platform adopt --dry-run" in said
    assert "$ git branch -D platform/adopt" in said


def test_the_document(churn: Existing, capsys: Output) -> None:
    assert run(["adopt", str(churn.path), "--data", "classification=internal", "--no-lock", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        "branch", "base", "commit", "templateVersion", "answers", "evidence", "notes", "decisions", "check", "pullRequest",
    }  # fmt: skip
    assert (document["branch"], document["base"]) == ("platform/adopt", "main")
    assert document["commit"] == churn.git("rev-parse", "platform/adopt")
    assert document["answers"]["owner"] == "group:default/risk"
    assert document["answers"]["classification"] == "internal"
    assert document["evidence"]["target"] == {"value": "churned", "by": ["src/churn/data.py:4 TARGET"]}
    assert {"action": "added", "path": "model.yaml"}.items() <= document["decisions"][0].items()
    assert all(set(decision) == {"action", "path", "why"} for decision in document["decisions"])
    assert document["check"]["valid"] is False
    assert [fault.partition(":")[0] for fault in document["check"]["faults"]] == ["uv.lock"]
    assert document["pullRequest"]["title"] == "Put churn on the golden path"


def test_the_report_for_people(churn: Existing, capsys: Output) -> None:
    arguments = ["adopt", str(churn.path), "--no-lock", "--defaults"]
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "nothing was written (--dry-run)" in said.err
    assert churn.git("branch", "--list") == "* main"
    assert run([*arguments, "--branch", "golden"]) == 0
    said = capsys.readouterr()
    assert "src/churn/data.py:4 TARGET" in said.out
    assert "needs you  uv.lock: run `uv lock` and commit the result" in said.out
    assert "how sensitive the data is" in said.out
    assert f"golden at {churn.git('rev-parse', 'golden')[:12]}, from main; your checkout is as it was" in said.out
    assert "git branch -D golden takes it back" in said.err


def test_wrong_places_and_answers(churn: Existing, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "plain").mkdir()
    unowned = Existing.make(tmp_path / "unowned", {"a.py": ""})
    cases: list[tuple[list[str], int, str, str]] = [
        ([str(tmp_path / "plain")], 1, "is no git repository", "git init"),
        ([str(tmp_path / "nowhere")], 1, "there is no folder", ""),
        ([str(churn.path / "src")], 1, "src is a folder of the repository", "git subtree split"),
        ([str(churn.path), "--branch", "a..b"], 1, "'a..b' can't be a branch's name", ""),
        ([str(churn.path), "--data", "ownr=x"], 2, "there is no question 'ownr'", "did you mean owner?"),
        ([str(churn.path), "--data", "owner=jane"], 2, "owner", "group"),
        ([str(unowned.path)], 2, "nothing in the repository says which group owns", "--data owner=group:default/TEAM"),
        ([str(churn.path), "--data", "owner"], 2, "--data takes KEY=VALUE", ""),
        ([str(churn.path), "--type", "online"], 2, "'online' is not one of", ""),
    ]
    for arguments, status, message, fix in cases:
        assert run(["adopt", *arguments, "--no-lock", "--defaults"]) == status, arguments
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        assert message in said.err
        assert fix in said.err
        lines = [line for line in said.err.splitlines() if line.startswith("error:")]
        assert len(lines) == 1 or status == 2
    assert churn.git("branch", "--list") == "* main"


def test_an_error_is_a_document_with_json(tmp_path: Path, capsys: Output) -> None:
    assert run(["adopt", os.fspath(tmp_path), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "is no git repository" in error["message"]
    assert error["fix"].startswith("make it one")
