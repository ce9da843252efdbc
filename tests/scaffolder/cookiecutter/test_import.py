"""Importing as people do it: by the command, and with templates that others wrote."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlplatform.cli.app import run
from scaffolder.cookiecutter.api import import_template
from scaffolder.cookiecutter.process import Request, render_apart
from scaffolder.cookiecutter.report import Kind
from scaffolder.cookiecutter.source import SourcePolicy
from scaffolder.errors import ScaffoldError
from tests.scaffolder.template_repositories import pypackage_template

Template = Callable[..., Path]


@pytest.fixture
def pypackage() -> Path:
    return pypackage_template()


def test_a_template_that_we_did_not_write(pypackage: Path, tmp_path: Path) -> None:
    imported = import_template(str(pypackage), tmp_path / "out", policy=SourcePolicy(), verify=5)
    assert imported.identical
    compared = next(iter(imported.verified.values()))
    assert all(one.files > 20 for one in compared)
    report = imported.imports[0].report
    assert report.rendered > 5
    # Its hook refuses a slug that is no module's name; so does the question.
    config = yaml.safe_load((tmp_path / "out" / "copier.yml").read_text())
    name = next(name for name, question in config.items() if isinstance(question, dict) and "validator" in question)
    said = render_apart(Request("copier", tmp_path / "out", [({name: "no-module"}, tmp_path / "project")]))[0]
    assert isinstance(said, ScaffoldError)
    assert "is not a valid Python module name" in said.message


def test_the_command(template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = template(
        {"slug": "s", "kind": ["a", "b"]}, {"a.txt": "{{ cookiecutter.kind }}", "b.txt": "{{ 'x' | mine }}"}
    )
    out = tmp_path / "made"
    assert run(["templates", "import", str(source), "--out", str(out), "--verify", "0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["templates"][0]["path"] == str(out)
    findings = [finding for finding in document["templates"][0]["findings"] if finding["kind"] == "needs you"]
    assert [(finding["file"], finding["line"]) for finding in findings] == [("b.txt", 1)]
    assert run(["templates", "import", str(source), "--out", str(out)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert run(["templates", "import", "https://git.example.org/x/y", "--out", str(tmp_path / "o")]) == 1
    assert "ML_PLATFORM_TEMPLATE_SOURCES" in capsys.readouterr().err
    assert run(["templates", "import"]) == 2


def test_differences_are_told_and_fail_the_command(
    template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = template({"slug": "s"}, {"a.txt": "{{ 'Ä b' | slugify }}"})  # letters beyond ASCII are left out
    assert run(["templates", "import", str(source), "--out", str(tmp_path / "o"), "--verify", "3"]) == 1
    said = capsys.readouterr().out
    assert "a.txt differs from byte 0, in line 1" in said
    assert "different  a.txt:1: `slugify`" in said


def test_replayed_answers(template: Template, tmp_path: Path) -> None:
    source = template({"slug": "s", "class": "c", "_x": 1}, {"a.txt": "x"})
    for number, document in enumerate(
        (
            {"cookiecutter": {"slug": "t", "class": "d", "_x": 2, "gone": 1}},
            {"context": {"cookiecutter": {"slug": "t", "class": "d"}}},
        )
    ):
        replay = tmp_path / f"{number}.json"
        replay.write_text(json.dumps(document))
        out = tmp_path / f"out-{number}"
        import_template(str(source), out, policy=SourcePolicy(), replay=replay)
        assert yaml.safe_load((out / "answers.yml").read_text()) == {"slug": "t", "class_": "d"}
    bad = tmp_path / "bad.json"
    bad.write_text("[1]")
    with pytest.raises(ScaffoldError, match="no replay file"):
        import_template(str(source), tmp_path / "bad", policy=SourcePolicy(), replay=bad)
    assert not (tmp_path / "bad").exists()


def test_the_report_beside_the_template_says_what_to_do(template: Template, tmp_path: Path) -> None:
    source = template(
        {"slug": "s"}, {"a.txt": "one\n{% trans %}", "hooks/post_gen_project.py": "import os\nos.system('make')"}
    )
    imported = import_template(str(source), tmp_path / "out", policy=SourcePolicy())
    text = (tmp_path / "out" / "IMPORTED.md").read_text()
    waiting = imported.imports[0].report.of(Kind.NEEDS_YOU)
    assert len(waiting) == 2
    assert text.index("## What needs you") < text.index("## What was converted")
    assert "* `hooks/post_gen_project.py:2`: runs `make`. Run it by hand after copying." in text
