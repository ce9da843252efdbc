"""Rendering: the same for everybody, and nothing that needs trust."""

from pathlib import Path

import pytest
import yaml

from scaffolder import engine, release
from scaffolder.engine import render
from scaffolder.release import Release


def test_somebody_s_own_copier_settings_have_no_say(
    released: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text("defaults:\n  owner: group:default/mine\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    assert render(released, tmp_path / "out", {"name": "churn"}, defaults=True)["owner"] == "group:default/risk"


def test_answers_given_for_advanced_questions_are_remembered(released: Release, tmp_path: Path) -> None:
    given = {"name": "churn", "cost_centre": "CC-42", "tier": "1", "replicas": "3"}
    render(released, tmp_path / "out", given, defaults=True)
    answers = yaml.safe_load((tmp_path / "out" / ".copier-answers.yml").read_text())
    assert (answers["cost_centre"], answers["tier"], answers["replicas"]) == ("CC-42", 1, 3)
    assert "package" not in answers


def test_the_template_asks_five_questions_and_runs_nothing(released: Release) -> None:
    questions = engine.read_questions(released)
    asked = [
        key for key, value in questions.items() if value.get("when") is not False and value.get("ask", True) is True
    ]
    assert asked == ["type", "name", "description", "owner", "system"]
    for path in (release.TEMPLATES / release.TEMPLATE).rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in ("_tasks:", "_migrations:", "_jinja_extensions:") if word in text], path
