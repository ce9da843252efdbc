"""What Copier renders from a converted template is, byte for byte, what Cookiecutter renders from the original."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaffolder.cookiecutter.compare import Compared, compare, covering
from scaffolder.cookiecutter.context import read_context
from scaffolder.cookiecutter.convert import Import, convert
from scaffolder.cookiecutter.process import Request, render_apart, render_once
from scaffolder.cookiecutter.report import Kind
from scaffolder.errors import Collision, TemplateRefused

Template = Callable[..., Path]
Converted = Callable[..., Import]

EVERYTHING: dict[str, Any] = {
    "project": "Peanut Butter",
    "slug": "{{ cookiecutter.project|lower|replace(' ', '-') }}",
    "year": 2024,
    "licence": ["MIT", "Apache-2.0", "{{ cookiecutter.project }} Licence"],
    "python": [3.11, 3.12],
    "docker": True,
    "nothing": None,
    "range": "shadows a function of Jinja",
    "class": "a word of Python",
    "dashed-name": "reached by its key only",
    "braces": "100 % { of } { #hash",
    "services": {
        "web": {"port": 80, "on": True, "of": "{{ cookiecutter.slug }}"},
        "{{ cookiecutter.project }}": ["a", 1, None],
    },
    "_private": {"raw": "{{ not rendered }}", "list": [1, 2.5, None, True]},
    "_text": "{% raw text %}",
    "__computed": "{{ cookiecutter.slug }}-{{ cookiecutter._private.list[0] }}",
    "__listed": ["{{ cookiecutter.slug }}", "b"],
    "__flag": True,
    "__path": "{{ cookiecutter.slug.replace('-', '/') }}",
    "_copy_without_render": ["raw/*", "*.raw", "folder-{{cookiecutter.slug}}"],
    "_extensions": ["jinja2.ext.do", "cookiecutter.extensions.SlugifyExtension"],
    "__prompts__": {
        "project": "What is it called?",
        "licence": {
            "__prompt__": "[bold]Which licence[/]?",
            "MIT": "The MIT licence",
            "Apache-2.0": "{{ braces }} too",
        },
    },
}
FILES: dict[str, str | bytes] = {
    "README.md": "# {{ cookiecutter.project }}\n\n{{cookiecutter.range}} {{ cookiecutter['class'] }} {{ cookiecutter['dashed-name'] }}\n"
    "{{- cookiecutter.nothing }} {{ cookiecutter.braces }} {{ cookiecutter.year + '!' }}\n",
    "whitespace.txt": "a   {%- if cookiecutter.docker -%}\n\n  b {{- cookiecutter.slug -}}  \n{%- else %} c {% endif +%}\n   d\n\n\n",
    "types.txt": "{{ cookiecutter.docker is true }} {{ cookiecutter.python is string }} {{ cookiecutter.nothing is none }}\n"
    "{{ cookiecutter._private.list }} {{ cookiecutter.services.web.on }} {{ cookiecutter.services }} {{ cookiecutter.__flag }}",
    "private.txt": "{{ cookiecutter._private.raw }} {{ cookiecutter._text }} {{ cookiecutter.__computed }} {{ cookiecutter.__listed }}",
    "loops.txt": "{% for key, value in cookiecutter.services.items() %}{{ key }}={{ value }};{% endfor %}\n"
    "{% set slug = 'local' %}{{ slug }} {{ cookiecutter.slug }}\n"
    "{% set items = [] %}{% for x in 'abc' %}{% do items.append(x) %}{% endfor %}{{ items }}\n",
    "macros.txt": "{% macro twice(project) %}{{ project }}{{ project }}{{ cookiecutter.project }}{% endmacro %}{{ twice('x') }}",
    "whole.txt": "{{ cookiecutter.keys() | list | first }} {{ cookiecutter['pro' ~ 'ject'] }} {{ 'slug' in cookiecutter }} "
    "{{ cookiecutter.get('absent', 'default') }} {{ cookiecutter.absent is defined }}\n",
    "json.txt": "{{ cookiecutter.services | jsonify }}\n{{ cookiecutter._private | jsonify(2) }}\n",
    "slugs.txt": "{{ 'Hello, World: 1,000 It''s' | slugify }} {{ 'A b' | slugify(separator='_') }} {{ 'A b' | slugify(lowercase=False) }}",
    "raw.txt": "{% raw %}{{ cookiecutter.slug }} ${{ github.ref }}{% endraw %} {# a comment #}\n{{ '{{' }} \"%}\"",
    "strings.txt": "{{ \"a %} b }} c\" ~ 'cookiecutter.slug' }}",
    "windows.txt": b"one\r\n{{ cookiecutter.slug }}\r\nthree\r\n",
    "mac.txt": b"one\r{{ cookiecutter.slug }}\rthree",
    "mixed.txt": b"one\r\ntwo\n{{ cookiecutter.slug }}\rthree\n",
    "mixed-plain.txt": b"one\r\ntwo\nthree\r",
    "no-newline.txt": "{{ cookiecutter.slug }}",
    "bom.txt": "\ufeff{{ cookiecutter.slug }}\n",
    "unicode-ä.txt": "ä {{ cookiecutter.project }} 語\n",
    "empty.txt": "",
    "logo.png": b"\x89PNG\r\n\x1a\n\x00{{ cookiecutter.slug }}\xff",
    "data.bin": bytes(range(256)) * 4,
    "template.html.jinja": "{{ cookiecutter.slug }} keeps its suffix\n",
    "plain.jinja": "no Jinja here\n",
    "raw/file.txt": "{{ cookiecutter.slug }} stays\n",
    "page.raw": "{{ cookiecutter.slug }} stays too\n",
    "folder-{{cookiecutter.slug}}/{{name}}.txt": "{{ untouched }}",
    "{{ cookiecutter.slug|replace('-', '_') }}/__init__.py": "",
    "{% if cookiecutter.docker %}Dockerfile{% endif %}": "FROM {{ cookiecutter.python }}\n",
    "{{ cookiecutter.__path }}/deep.txt": "deep\n",
    "{% if cookiecutter.licence == 'MIT' %}LICENSE{% else %}LICENSE-{{ cookiecutter.licence|replace(' ', '_') }}{% endif %}": "x\n",
    "including.txt": "{% include 'partial.txt' %}|{% from 'macros.jinja' import hello %}{{ hello('x') }}|{% include 'README.md' %}",
    "extending.txt": "{% extends 'base.txt' %}{% block body %}{{ cookiecutter.project }}{% endblock %}",
    "templates/partial.txt": "partial {{ cookiecutter.slug }}",
    "templates/macros.jinja": "{% macro hello(name) %}hello {{ name }}{% endmacro %}",
    "templates/base.txt": "<{% block body %}{% endblock %}>{{ cookiecutter.slug }}",
    "LICENSE.md": "",
    "/LICENSE": "the template's own licence\n",
    "hooks/post_gen_project.py": "raise SystemExit('hooks are never run')\n",
}  # fmt: skip


def same(original: Path, made: Import, answers: list[dict[str, Any]] | None = None) -> list[Compared]:
    """Assert that both render the same for all of the answers, and that they render at all."""
    sets = answers if answers is not None else list(covering(read_context(original), 12))
    found = compare(original, made.folder, sets, made.report.renamed)
    for one in found:
        assert (one.fault, one.refused) == (None, None), one.answers
        assert one.differences == (), one.answers
        assert one.files > 0
    return found


def test_everything_that_cookiecutter_has_comes_out_the_same(template: Template, converted: Converted) -> None:
    original = template(EVERYTHING, FILES)
    made = converted(original, with_hooks=False)
    found = same(original, made)
    assert len(found) > 4
    texts = {
        "project": "Zażółć  gęślą",
        "dashed-name": "q'\"\\",
        "braces": "{{ x }} {% y",
        "year": "1",
        "docker": False,
    }
    same(original, made, [texts])
    waiting = [finding.place() for finding in made.report.of(Kind.NEEDS_YOU)]
    assert waiting == ["whole.txt:1"]  # `cookiecutter.absent` is asked for
    assert made.report.renamed["_private"] == "private_private"
    assert made.report.renamed["range"] == "range_"
    assert (made.folder / "LICENSE").read_text() == "the template's own licence\n"
    text = (made.folder / "template" / "README.md.tmpl").read_text()
    assert text.startswith("# {{ project }}\n")  # what Copier's users would write


def test_the_template_needs_no_trust_and_can_be_updated(template: Template, converted: Converted) -> None:
    made = converted(template(EVERYTHING, FILES), with_hooks=False)
    config = yaml.safe_load((made.folder / "copier.yml").read_text())
    assert not {"_tasks", "_jinja_extensions", "_migrations"} & set(config)
    assert config["_envops"]["undefined"] == "jinja2.StrictUndefined"
    assert config["project"]["help"] == "What is it called?"
    assert config["licence"]["help"] == "Which licence?"
    assert list(config["licence"]["choices"].values()) == ["MIT", "Apache-2.0", "{{ project }} Licence"]
    assert (made.folder / "template" / "{{ _copier_conf.answers_file }}.tmpl").is_file()


def test_other_delimiters_and_trimming(template: Template, converted: Converted) -> None:
    options = {
        "variable_start_string": "[[", "variable_end_string": "]]", "block_start_string": "[%", "block_end_string": "%]",
        "trim_blocks": True, "lstrip_blocks": True,
    }  # fmt: skip
    variables = {
        "name": "a b", "slug": "[[ cookiecutter.name|replace(' ', '') ]]", "__x": {"k": "[[ cookiecutter.slug ]]"},
        "_jinja2_env_vars": options,
    }  # fmt: skip
    files: dict[str, str | bytes] = {
        "[[cookiecutter.slug]]/a.txt": "  [% if cookiecutter.name %]\n  [[ cookiecutter.name ]] {{ stays }}\n  [% endif %]\nend\n",
        "[[cookiecutter.slug]]/now.txt": "[% now 'local', '%Y' %]\n[[ cookiecutter.__x.k ]]\n",
        "[[cookiecutter.slug]]/crlf.txt": b"[% if true %]\r\n[[ cookiecutter.name ]]\r\n[% endif %]\r\n",
    }
    original = template(variables, files)
    same(original, converted(original))


def test_line_ends_as_configured(template: Template, converted: Converted) -> None:
    files: dict[str, str | bytes] = {
        "a.txt": "one\n{{ cookiecutter.slug }}\n",
        "b.txt": "plain\nlines\n",
        "c.bin": b"\0\n",
    }
    original = template({"slug": "s", "_new_lines": "\r\n"}, files)
    made = converted(original)
    same(original, made)


def test_the_time_is_rendered_and_not_asked(template: Template, converted: Converted) -> None:
    variables = {"slug": "s", "year": "{% now 'local', '%Y' %}"}
    text = "{% now 'local' %} {% now 'local', '%Y/%m' %} {% now 'local' + 'days=2', '%d' %} {% now 'local' - 'weeks=1,days=1' %}"
    original = template(variables, {"a.txt": text})
    same(original, converted(original))


def test_another_time_zone_is_reported(template: Template, converted: Converted) -> None:
    original = template({"slug": "s"}, {"a.txt": "one\n{% now 'utc', '%Y' %}\n"})
    found = [finding for finding in converted(original).report.findings if finding.file == "a.txt"]
    assert [(finding.kind, finding.line) for finding in found] == [(Kind.DIFFERENT, 2)]


def test_random_values_are_made_once_and_kept(template: Template, converted: Converted, tmp_path: Path) -> None:
    variables = {"slug": "s", "secret": "{{ random_ascii_string(12) }}"}
    files: dict[str, str | bytes] = {
        "a.txt": "{{ cookiecutter.secret }} {{ random_ascii_string(20, True) }} {{ uuid4() }}"
    }
    made = converted(template(variables, files))
    answer = render_once(Request("copier", made.folder, [({}, tmp_path / "out")]))
    secret, word, uuid = (tmp_path / "out" / "a.txt").read_text().split(" ")
    assert re.fullmatch("[A-Za-z]{12}", secret)
    assert len(word) == 20
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid)
    kept = yaml.safe_load((tmp_path / "out" / ".copier-answers.yml").read_text())
    assert {secret, word, uuid} <= {value for value in kept.values() if isinstance(value, str)}
    assert answer.answers["random_uuid"] == uuid
    again = render_once(Request("copier", made.folder, [({}, tmp_path / "other")]))
    assert again.answers["random_uuid"] != uuid


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("one\n{{ 'a' | from_local }}\n", 2, "No filter named 'from_local'"),
        ("{% trans %}x{% endtrans %}", 1, "unknown tag"),
        ("a\nb\n{% for x in [1] %}{% break %}{% endfor %}", 3, "`break` is an extension"),
        ("{% now 'local' + 'months=1' %}", 1, "months"),
        ("{{ 'x' | slugify(stopwords=['a']) }}", 1, "stopwords"),
        ("{% include cookiecutter.slug %}", 1, "computes which file"),
        ("{% include 'absent.txt' %}", 1, "absent.txt"),
        ("one\n{% if %}", 2, "no valid Jinja"),
    ],
)
def test_what_has_no_counterpart_is_reported_and_the_file_is_kept(
    template: Template, converted: Converted, text: str, line: int, said: str
) -> None:
    made = converted(template({"slug": "s"}, {"bad.txt": text, "good.txt": "{{ cookiecutter.slug }}"}))
    found = made.report.of(Kind.NEEDS_YOU)
    assert [(finding.file, finding.line) for finding in found] == [("bad.txt", line)]
    assert said in found[0].message
    assert found[0].fix
    assert f"`bad.txt:{line}`" in (made.folder / "IMPORTED.md").read_text()
    assert (made.folder / "template" / "bad.txt").read_text() == text  # copied, since it lacks the suffix
    assert (made.folder / "template" / "good.txt.jinja").read_text() == "{{ slug }}"


def test_an_extension_is_named_and_what_uses_it(template: Template, converted: Converted, tmp_path: Path) -> None:
    variables = {"slug": "s", "_extensions": ["local_extensions.Shout"]}
    text = "{{ cookiecutter.slug | shout }}"
    made = converted(template(variables, {"a.txt": text, "b.txt": "{{ cookiecutter.slug }}"}))
    assert [finding.file for finding in made.report.of(Kind.NEEDS_YOU)] == ["a.txt", "cookiecutter.json"]
    render_once(Request("copier", made.folder, [({}, tmp_path / "out")]))
    assert [(tmp_path / "out" / name).read_text() for name in ("a.txt", "b.txt")] == [text, "s"]


def test_text_that_is_not_utf8_is_copied_and_reported(template: Template, converted: Converted) -> None:
    made = converted(template({"slug": "s"}, {"latin.txt": "caf\xe9 au lait, s'il vous pla\xeet\n".encode("latin-1")}))
    assert [finding.place() for finding in made.report.of(Kind.NEEDS_YOU)] == ["latin.txt"]


def test_a_choice_of_templates_becomes_several(template: Template, tmp_path: Path) -> None:
    index = {"templates": {"one": {"path": "./first", "title": "One"}, "two": {"path": "second/deep"}}}
    files: dict[str, str | bytes] = {
        "/first/cookiecutter.json": '{"slug": "a"}',
        "/first/{{cookiecutter.slug}}/a.txt": "{{ cookiecutter.slug }}",
        "/second/deep/cookiecutter.json": '{"slug": "b"}',
        "/second/deep/{{cookiecutter.slug}}/b.txt": "{{ cookiecutter.slug }}",
    }
    found = convert(template(index, files), tmp_path / "out", source="x")
    assert [one.folder.name for one in found] == ["one", "two"]
    assert (tmp_path / "out/two/template/b.txt.jinja").read_text() == "{{ slug }}"
    old = {"template": ["First thing (first)", "Second (second/deep)"]}
    found = convert(template(old, files), tmp_path / "old", source="x")
    assert [one.folder.name for one in found] == ["first", "deep"]


def test_questions_of_a_front_end_that_extends_cookiecutter(
    template: Template, converted: Converted, tmp_path: Path
) -> None:
    storage = '{"slug": "s", "storage": [{"none": "none"}, {"s3": {"bucket": "{{ cookiecutter.slug }}-b"}}]}'
    files: dict[str, str | bytes] = {
        "/front.json": storage,
        "a.txt": "{% if cookiecutter.storage.s3 %}{{ cookiecutter.storage.s3.bucket }}{% else %}-{% endif %}",
    }
    made = converted(template({"DEPRECATED": "use the front end"}, files), context_file="front.json")
    jobs = [({}, tmp_path / "a"), ({"storage_choice": "s3"}, tmp_path / "b")]
    jobs.append(({"storage_choice": "s3", "storage_s3_bucket": "mine"}, tmp_path / "c"))
    render_apart(Request("copier", made.folder, jobs))
    assert [(job[1] / "a.txt").read_text() for job in jobs] == ["-", "s-b", "mine"]


def test_links_within_the_template_are_followed_as_cookiecutter_does(template: Template, converted: Converted) -> None:
    original = template({"slug": "s"}, {"a.txt": "{{ cookiecutter.slug }}", "folder/b.txt": "b"})
    project = original / "{{cookiecutter.slug}}"
    (project / "link.txt").symlink_to("a.txt")
    (project / "linked-folder").symlink_to("folder")
    made = converted(original)
    same(original, made)
    assert [finding.file for finding in made.report.of(Kind.DIFFERENT)][-1] == "linked-folder"


def test_nothing_appears_where_something_is(template: Template, tmp_path: Path) -> None:
    original = template({"slug": "s"}, {"a.txt": "x"})
    place = tmp_path / "out"
    place.mkdir()
    (place / "mine").write_text("mine")
    with pytest.raises(Collision):
        convert(original, place, source="x")
    assert [path.name for path in place.iterdir()] == ["mine"]
    with pytest.raises(TemplateRefused):
        convert(template({"slug": "{{ cookiecutter.slug }}"}, {"a": "x"}), tmp_path / "half", source="x")
    assert not (tmp_path / "half").exists()
    assert not list(tmp_path.glob(".import-*"))
