"""Projects straight from Cookiecutter templates: rendered apart, in a sandbox, with hooks only where they are trusted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaffolder.cookiecutter.limits import Limits
from scaffolder.cookiecutter.render import Rendered, detect_engine, render
from scaffolder.cookiecutter.source import SourcePolicy
from scaffolder.errors import Collision, InvalidAnswer, ScaffoldError, TemplateRefused

Template = Callable[..., Path]
HERE = SourcePolicy()


def made(template: Path, folder: Path, answers: dict[str, Any] | None = None, **options: Any) -> Rendered:
    return render(str(template), answers or {}, folder, **({"policy": HERE} | options))


def test_a_project_with_answers_and_defaults(template: Template, tmp_path: Path) -> None:
    variables = {
        "name": "A b",
        "slug": "{{ cookiecutter.name|lower|replace(' ', '-') }}",
        "kind": ["one", "two"],
        "flag": False,
    }
    text = "{{ cookiecutter.name }} {{ cookiecutter.kind }} {{ cookiecutter.flag }}"
    folder = tmp_path / "work" / "project"
    done = made(
        template(variables, {"a.txt": text}), folder, {"name": "{{ 7 * 7 }}", "slug": "s", "kind": "two", "flag": "yes"}
    )
    assert (folder / "a.txt").read_text() == "{{ 7 * 7 }} two True"  # an answer is a text, not a template
    assert done.answers == {"name": "{{ 7 * 7 }}", "slug": "s", "kind": "two", "flag": True}
    assert not done.hooks_ran
    assert [path.name for path in folder.parent.iterdir()] == ["project"]


@pytest.mark.parametrize("trusted", [False, True])
def test_hooks_run_where_the_source_is_trusted_and_nowhere_else(
    template: Template, tmp_path: Path, trusted: bool
) -> None:
    hook = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    source = template(
        {"slug": "s"}, {"a.txt": "x", "hooks/post_gen_project.py": hook, "hooks/pre_gen_project.py": hook}
    )
    policy = SourcePolicy(trusted=(str(source.parent),) if trusted else ())
    done = made(source, tmp_path / "out", policy=policy)
    assert (tmp_path / "ran").exists() is trusted
    assert (done.hooks, done.hooks_ran) == (("post_gen_project.py", "pre_gen_project.py"), trusted)


def test_trust_ends_at_a_folder_s_name(tmp_path: Path) -> None:
    policy = SourcePolicy(urls=("https://git.example.org/templates",), trusted=(str(tmp_path / "good"),))
    assert policy.trusts(str(tmp_path / "good" / "one"))
    assert not policy.trusts(str(tmp_path / "good-looking"))
    assert not policy.trusts(str(tmp_path / "good" / ".." / "other"))


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cookiecutter.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('touch x') }}",
        "{{ '%s'.format.__globals__ }}",
    ],
)
def test_templates_get_at_nothing_of_python(template: Template, tmp_path: Path, text: str) -> None:
    with pytest.raises(ScaffoldError, match=r"(?i)unsafe|undefined"):
        made(template({"slug": "s"}, {"a.txt": text}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_extensions_of_a_stranger_are_not_loaded(template: Template, tmp_path: Path) -> None:
    source = template(
        {"slug": "s", "_extensions": ["local.Own"]}, {"a.txt": "x", "/local.py": "raise SystemExit('imported')"}
    )
    with pytest.raises(ScaffoldError, match=r"local\.Own"):
        made(source, tmp_path / "out")


def test_jinja_that_does_not_end_is_ended(template: Template, tmp_path: Path) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateRefused, match=r"more than|more time"):
        made(template({"slug": "s"}, {"a.txt": loop}), tmp_path / "out", limits=Limits(seconds=6))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".render-*"))


@pytest.mark.parametrize("text", ["{{ 'x' * 999999999 }}", "{% for a in range(99999) %}{{ 'x' * 99999 }}{% endfor %}"])
def test_jinja_that_eats_memory_is_ended(template: Template, tmp_path: Path, text: str) -> None:
    limits = Limits(memory_bytes=700 << 20, file_bytes=8 << 20, seconds=60)
    with pytest.raises(TemplateRefused):
        made(template({"slug": "s"}, {"a.txt": text}), tmp_path / "out", limits=limits)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("variables", "answers"),
    [
        ({"slug": "../outside"}, {}),
        ({"slug": "s"}, {"slug": "../../outside"}),
        ({"slug": "s", "name": "x"}, {"name": "../../x"}),
        ({"slug": "s", "name": "x"}, {"name": "/tmp/x"}),
        ({"slug": " "}, {}),
    ],
)
def test_no_name_leads_out_of_the_project(
    template: Template, tmp_path: Path, variables: dict[str, Any], answers: dict[str, Any]
) -> None:
    files: dict[str, str | bytes] = {"{{ cookiecutter.name }}.txt" if "name" in variables else "a.txt": "x"}
    with pytest.raises(ScaffoldError, match=r"leads out|no folder's name"):
        made(template(variables, files), tmp_path / "deep" / "out", answers)
    assert not list(tmp_path.rglob("outside*"))
    assert not (tmp_path / "deep" / "out").exists()


def test_a_folder_whose_name_renders_to_nothing_is_refused(template: Template, tmp_path: Path) -> None:
    source = template(
        {"slug": "s", "docs": ["n", "y"]}, {"{% if cookiecutter.docs == 'y' %}docs{% endif %}/a.txt": "x"}
    )
    with pytest.raises(ScaffoldError, match="leads out"):  # Cookiecutter would write /a.txt
        made(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"nmae": "x"}, "did you mean name"),
        ({"name": "x" * 10_000_000}, "at most"),
        ({"kind": "three"}, "none of one, two"),
        ({"_private": "x"}, "no variable"),
    ],
)
def test_answers_are_checked_before_anything_is_rendered(
    template: Template, tmp_path: Path, answers: dict[str, Any], said: str
) -> None:
    source = template({"slug": "s", "name": "n", "kind": ["one", "two"], "_private": 1}, {"a.txt": "x"})
    with pytest.raises(InvalidAnswer) as error:
        made(source, tmp_path / "out", answers)
    assert said in f"{error.value.message} {error.value.fix}"


def test_a_place_that_is_taken_is_left_alone(template: Template, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Collision):
        made(template({"slug": "s"}, {"a.txt": "x"}), tmp_path / "out")


def test_an_undefined_variable_is_named_with_its_file(template: Template, tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match=r"a\.txt.*nmae"):
        made(template({"slug": "s"}, {"a.txt": "{{ cookiecutter.nmae }}"}), tmp_path / "out")


def test_the_engine_is_told_by_the_files(template: Template, tmp_path: Path) -> None:
    source = template({"slug": "s"}, {"a.txt": "x"})
    assert detect_engine(source) == "cookiecutter"
    (source / "copier.yml").write_text("{}")
    assert detect_engine(source) == "copier"
    with pytest.raises(ScaffoldError, match="neither"):
        detect_engine(tmp_path)
