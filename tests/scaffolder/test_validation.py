"""A form refuses nothing that the template would accept, and says what is wrong in the template's own words."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment
from jsonschema import Draft7Validator

from scaffolder.engine import read_questions
from scaffolder.release import Release
from scaffolder.validation import as_ecma, rules_of


def said_by_jinja(validator: str, **answers: Any) -> str:
    environment = SandboxedEnvironment()
    environment.filters["regex_search"] = lambda text, pattern: bool(re.search(pattern, text))
    return environment.from_string(validator).render(reserved_names="json os", **answers).strip()


TEXTS = ["", "churn", "group:default/risk", "x" * 400, "a\nb", "500m", "1Gi", "{{ x }}", "group:a/-", "-a", "a" * 64]


@pytest.fixture(scope="module")
def validators(released: Release) -> dict[str, str]:
    """The validators of all questions that take a text."""
    found = read_questions(released)
    return {name: one["validator"] for name, one in found.items() if one.get("validator") and one.get("type") == "str"}


@pytest.mark.slow
class TestOfTheGoldenPath:
    @pytest.mark.parametrize("text", TEXTS)
    def test_a_form_says_the_same(self, validators: dict[str, str], text: str) -> None:
        for name in ("owner", "cpu", "memory", "org", "cost_centre", "system", "description"):
            rules = Draft7Validator(rules_of(name, validators[name], {}).schema)
            assert rules.is_valid(text) is (said_by_jinja(validators[name], **{name: text}) == ""), name

    @settings(deadline=None, max_examples=40)
    @given(text=st.one_of(st.text(max_size=60), st.from_regex(r"[a-z0-9:./-]{1,20}", fullmatch=True)))
    def test_a_form_is_never_stricter(self, validators: dict[str, str], text: str) -> None:
        for name, validator in validators.items():
            if said_by_jinja(validator, **{name: text}) == "":
                assert Draft7Validator(rules_of(name, validator, {}).schema).is_valid(text), name


@pytest.mark.parametrize(
    ("validator", "schema", "message"),
    [
        ("{% if not (q | regex_search('\\\\A[a-z]+\\\\Z')) %}letters{% endif %}", {"pattern": "^[a-z]+$"}, "letters"),
        ("{% if q | length > 9 %}at most 9, this has {{ q | length }}{% endif %}", {"maxLength": 9}, "at most 9"),
        ("{% if not 1 <= q <= 20 %}between 1 and 20{% endif %}", {"minimum": 1, "maximum": 20}, "between 1 and 20"),
        ("{% if not low <= q <= 100 %}between {{ low }} and 100{% endif %}", {"maximum": 100}, None),
        ("{% if q == '' %}say something{% endif %}", {"minLength": 1}, "say something"),
        ("{% if type == 'batch' and q | length > 2 %}short{% endif %}", {}, None),
        ("{% if type == 'stream' %}never{% endif %}", {}, None),
        ("{% if other | length > 2 %}short{% endif %}", {}, None),
        ("{% if q | regex_search('(?i)a') %}no{% endif %}", {}, None),
        ("{% if q | regex_search('[\\x00-\\x1f]') %}no{% endif %}", {"not": {"pattern": "[\\u0000-\\u001f]"}}, "no"),
        ("{% if not (q | regex_search('(')) %}no{% endif %}", {}, None),
        ("{% if", {}, None),
        (None, {}, None),
    ],
)
def test_rules(validator: Any, schema: dict[str, Any], message: str | None) -> None:
    found = rules_of("q", validator, {"type": "batch"})
    assert (found.schema, found.message) == (schema, message)


def test_several_patterns_all_hold() -> None:
    text = "{% if not (q | regex_search('a')) or not (q | regex_search('b')) or q | regex_search('c') %}x{% endif %}"
    rules = Draft7Validator(rules_of("q", text, {}).schema)
    assert [word for word in ("ab", "ba", "a", "b", "abc", "") if rules.is_valid(word)] == ["ab", "ba"]


@pytest.mark.parametrize("pattern", ["(?P<a>x)", "(?i)x", r"\p{L}", r"\y"])
def test_what_browsers_don_t_know_is_left_to_the_template(pattern: str) -> None:
    assert as_ecma(pattern) is None
