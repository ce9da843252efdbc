"""Jinja is rewritten token by token: what is not Cookiecutter's own stays as it is."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from scaffolder.cookiecutter.names import TAKEN, copier_names
from scaffolder.cookiecutter.report import Report
from scaffolder.cookiecutter.rewrite import Refused, Rewriter
from scaffolder.cookiecutter.syntax import Syntax, literal_expression, quoted

NAMES = ["name", "slug", "_private", "__computed", "range", "two words"]


def rewriter() -> Rewriter:
    return Rewriter(Syntax.of({}), copier_names(NAMES), Report("t", "s"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{{ cookiecutter.name }}", "{{ name }}"),
        ("{{cookiecutter.name|lower}}", "{{name|lower}}"),
        ("{{ cookiecutter . name }}", "{{ name }}"),
        ("{{ cookiecutter['name'] }}", "{{ name }}"),
        ('{{ cookiecutter["two words"] }}', "{{ two_words }}"),
        ("{{ cookiecutter._private.x }}", "{{ private_private.x }}"),
        ("{{ cookiecutter.__computed }}", "{{ computed_computed }}"),
        ("{{ cookiecutter.range }}", "{{ range_ }}"),
        ("{{ other.cookiecutter.name }}", "{{ other.cookiecutter.name }}"),
        ("{{ 'cookiecutter.name' }}", "{{ 'cookiecutter.name' }}"),
        ("cookiecutter.name", "cookiecutter.name"),
        ("{# cookiecutter.name #}", "{# cookiecutter.name #}"),
        ("{% raw %}{{ cookiecutter.name }}{% endraw %}", "{% raw %}{{ cookiecutter.name }}{% endraw %}"),
        ("{% for name in cookiecutter.slug %}{{ cookiecutter.name }}{% endfor %}", "{% for name in slug %}{{ cookiecutter.name }}{% endfor %}"),
        ("{{ cookiecutter.items() }}", "{{ cookiecutter.items() }}"),
        ("{{ f(cookiecutter=1) }}", "{{ f(cookiecutter=1) }}"),
        ("{{- x }}  {%- do y -%}  z", "{{- x }}  {%- set _done = y -%}  z"),
        ("{{ x | jsonify }}", "{{ x | to_nice_json }}"),
        ("{% filter jsonify %}a{% endfilter %}", "{% filter to_nice_json %}a{% endfilter %}"),
        ("{{ x.jsonify }}", "{{ x.jsonify }}"),
    ],
)  # fmt: skip
def test_rewritten(before: str, after: str) -> None:
    assert rewriter().rewrite(before, "f") == after


def test_a_default_may_refer_to_what_comes_before_it() -> None:
    assert rewriter().rewrite("{{ cookiecutter.name }}", "f", earlier=["name"]) == "{{ name }}"
    with pytest.raises(Refused, match="comes later"):
        rewriter().rewrite("{{ cookiecutter.slug }}", "f", earlier=["name"])
    assert rewriter().rewrite("{{ cookiecutter | length }}", "f", earlier=["name"]) == "{{ {'name': name} | length }}"


@given(st.text(alphabet="ab \n\t{}%#-+'\"\\|.cookieutr", max_size=60))
def test_what_has_no_reference_is_kept_byte_for_byte(text: str) -> None:
    if "cookiecutter" in text or "do" in text:
        return
    with contextlib.suppress(Refused):  # no Jinja
        assert rewriter().rewrite(text, "f") == text


@given(st.text(max_size=40))
def test_quoted_texts_come_out_as_they_went_in(text: str) -> None:
    expression = quoted(text)
    assert not set("{}%#\n\r") & set(expression)
    assert Environment().from_string("{{ " + expression + " }}").render() == text.replace("\r\n", "\r\n")  # noqa: S701


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_any_json_is_an_expression(value: object) -> None:
    text = Environment().from_string("{{ " + literal_expression(value) + " | tojson }}").render()  # noqa: S701
    assert json.loads(text) == value


@given(
    st.text(max_size=40),
    st.sampled_from([{}, {"trim_blocks": True, "lstrip_blocks": True}, {"variable_start_string": "[["}]),
)
def test_literal_texts_render_to_themselves(text: str, options: dict[str, object]) -> None:
    if "endraw" in text.replace(" ", "") or "\r" in text:
        return
    syntax = Syntax.of(options)
    assert syntax.lexing.from_string(syntax.literal(text)).render() == text


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_names_in_copier_are_usable_and_differ(names: list[str]) -> None:
    given_names = copier_names(names)
    assert list(given_names) == names
    assert len(set(given_names.values())) == len(names)
    for name in given_names.values():
        assert name.isidentifier()
        assert name.isascii()
        assert not name.startswith("_")
        assert name not in TAKEN
