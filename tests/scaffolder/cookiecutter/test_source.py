"""Templates come from folders and allowed URLs only, and what is no template is told so with the place of the fault."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffolder.cookiecutter.context import Asked, read_context
from scaffolder.cookiecutter.convert import convert
from scaffolder.cookiecutter.limits import Limits
from scaffolder.cookiecutter.source import SourcePolicy, check_tree, fetched, template_folder
from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused

Template = Callable[..., Path]
LISTED = SourcePolicy(urls=("https://git.example.org/templates", "git@git.example.org:templates"))


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c touch% x",
        "file:///etc",
        "http://git.example.org/templates/x",
        "https://user:secret@git.example.org/templates/x",
        "https://git.example.org/templates/../other/x",
        "https://git.example.org/templates-of-others/x",
        "https://evil.example.org/https://git.example.org/templates",
        "git@evil.example.org:templates/x",
        "ssh://-oProxyCommand=x/y",
        "fd::17/x",
    ],
)
def test_urls_that_are_not_allowed(source: str) -> None:
    with pytest.raises(TemplateRefused) as error, fetched(source, LISTED):
        pass
    assert "secret" not in f"{error.value.message}{error.value.fix}"


@pytest.mark.parametrize("source", ["", "--upload-pack=x", "a\0b"])
def test_what_is_no_source_at_all(source: str) -> None:
    with pytest.raises(InvalidAnswer), fetched(source, LISTED):
        pass


@pytest.mark.parametrize("checkout", ["--orphan", "a..b", "-x", "a b", "x" * 300])
def test_refs_that_are_none(checkout: str) -> None:
    with pytest.raises(InvalidAnswer), fetched("https://git.example.org/templates/x", LISTED, checkout=checkout):
        pass


def test_folders_lie_under_the_roots(tmp_path: Path) -> None:
    (tmp_path / "in" / "t").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    policy = SourcePolicy(roots=(tmp_path / "in",))
    with fetched(str(tmp_path / "in" / "t"), policy) as repository:
        assert repository.name == "t"
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    for place in (tmp_path / "out", tmp_path / "in" / ".." / "out", tmp_path / "in" / "link"):
        with pytest.raises(TemplateRefused), fetched(str(place), policy):
            pass


def test_a_clone_from_an_allowed_place(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    """git's own server side is what is cloned from; the protocol that it takes here is not one that is allowed otherwise."""
    source = template({"slug": "s"}, {"a.txt": "x"})
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    subprocess.run(["git", "-C", str(source), "tag", "v1"], check=True)
    from scaffolder.cookiecutter import source as room

    rewrite = (f"url.file://{source.parent}/.insteadOf", "https://git.example.org/templates/")
    monkeypatch.setattr(room, "_PROTOCOLS", ("file",))
    monkeypatch.setattr(room, "_SETTINGS", (*room._SETTINGS, rewrite))
    with fetched("https://git.example.org/templates/original", LISTED, checkout="v1") as repository:
        assert (repository.folder / "cookiecutter.json").is_file()
        assert repository.name == "original"
        assert repository.commit is not None
        kept = repository.folder
    assert not kept.exists()
    with (
        pytest.raises(ScaffoldError, match="could not be fetched"),
        fetched("https://git.example.org/templates/none", LISTED),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "object of variables"),
        ("{}", "no variables"),
        ('{"a": 1,\n "b": }', "cookiecutter.json:2:7 is no JSON"),
        ('{"a": "x", "a": "y"}', "'a' twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": []}', "choice of nothing"),
        (
            '{"a": "{{ cookiecutter.b }}", "b": "{{ cookiecutter.a }}"}',
            "cookiecutter.json:1: a refers to `b`, which comes later",
        ),
        ('{"slug": "s",\n "a": "{{ cookiecutter.a }}"}', "cookiecutter.json:2: a refers to `a`"),
        ('{"slug": "s", "a": "{{ oops"}', "no valid Jinja"),
        ('{"slug": "s", "_copy_without_render": "x"}', "_copy_without_render"),
        ('{"slug": "s", "_extensions": [1]}', "_extensions"),
        ('{"slug": "s", "_new_lines": "x"}', "_new_lines"),
        ('{"slug": "s", "_jinja2_env_vars": {"block_start_string": "{{"}}', "_jinja2_env_vars"),
        ('{"templates": {"x": {"path": "../.."}}}', "leads out"),
        ('{"templates": {"x": {"path": "."}}}', "over and over"),
        ('{"template": ["no path"]}', "parentheses"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "can't be read"),
        (json.dumps({"a": "x" * 2_000_000}), "bytes"),
        (json.dumps({f"v{number}": "x" for number in range(2_000)}), "2000 variables"),
    ],
)
def test_a_context_file_that_is_wrong(template: Template, tmp_path: Path, text: str, said: str) -> None:
    source = template(text, {"a.txt": "x"})
    with pytest.raises(TemplateRefused) as error:
        convert(source, tmp_path / "out", source="x")
    assert said in error.value.message
    assert not (tmp_path / "out").exists()


def test_what_is_no_template_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="no Cookiecutter template") as error:
        convert(tmp_path, tmp_path / "out", source="x")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "cookiecutter.json").write_text("{}")
    with pytest.raises(ScaffoldError) as error:
        convert(tmp_path, tmp_path / "out", source="x")
    assert error.value.fix == "name the folder with --directory: one"
    (tmp_path / "copier.yml").write_text("{}")
    (tmp_path / "one" / "cookiecutter.json").unlink()
    with pytest.raises(ScaffoldError) as error:
        convert(tmp_path, tmp_path / "out", source="x")
    assert error.value.fix == "it is a Copier template already"


def test_a_template_without_a_project_folder(tmp_path: Path) -> None:
    (tmp_path / "cookiecutter.json").write_text('{"a": "b"}')
    with pytest.raises(TemplateRefused, match="project folder"):
        convert(tmp_path, tmp_path / "out", source="x")


def test_links_out_of_the_tree_and_things_that_are_no_files(tmp_path: Path) -> None:
    for number, target in enumerate(("/etc/passwd", "../outside", "nothing", ".")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (tmp_path / "outside").write_text("x")
        (folder / "link").symlink_to(target)
        with pytest.raises(TemplateRefused, match="link"):
            check_tree(folder)
    folder = tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with pytest.raises(TemplateRefused, match="neither a file nor a folder"):
        check_tree(folder)


def test_a_tree_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with pytest.raises(TemplateRefused, match="a has 100 bytes"):
        check_tree(tmp_path, Limits(file_bytes=10))
    with pytest.raises(TemplateRefused, match="more than"):
        check_tree(tmp_path, Limits(files=0))
    (tmp_path / "b/c/d").mkdir(parents=True)
    with pytest.raises(TemplateRefused, match="deep"):
        check_tree(tmp_path, Limits(depth=2))


def test_a_folder_of_the_repository_stays_in_it(tmp_path: Path) -> None:
    (tmp_path / "r" / "t").mkdir(parents=True)
    assert template_folder(tmp_path / "r", "t").name == "t"
    for directory in ("..", "/etc", "t/../../x"):
        with pytest.raises(InvalidAnswer):
            template_folder(tmp_path / "r", directory)


def test_prompts_and_kinds_of_variables(template: Template) -> None:
    variables = {
        "a": "x", "b": ["x"], "c": True, "d": {}, "_e": 1, "__f": "x", "g": None, "h": [{"x": 1}, {"y": 2}],
        "__prompts__": {"a": "[red]A[/red]?", "b": {"__prompt__": "B?", "x": "The X"}},
    }  # fmt: skip
    context = read_context(template(variables, {"a.txt": "x"}))
    kinds = {variable.name: variable.asked for variable in context.variables}
    assert kinds == {
        "a": Asked.TEXT, "b": Asked.CHOICE, "c": Asked.YES_NO, "d": Asked.MAPPING, "_e": Asked.RAW, "__f": Asked.RENDERED,
        "g": Asked.TEXT, "h": Asked.CHOICE,
    }  # fmt: skip
    assert [variable.prompt for variable in context.variables[:2]] == ["A?", "B?"]
    assert context.variables[1].labels == {"x": "The X"}
    assert [variable.line for variable in context.variables][:2] == [2, 3]
