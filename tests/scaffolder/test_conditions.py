"""What is said of an expression without running it is what Jinja says; what can't be said is not guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from scaffolder.conditions import Unclear, holds, rendered

KNOWN = {"type": "batch", "tier": 3, "spot": True, "name": "x"}
_atoms = st.sampled_from(["type", "tier", "spot", "name", "unknown", "'batch'", "3", "true", "['batch', 'x']", "''"])
_expressions = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "and", "or", "in", "not in", "<", ">=", "~"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda one: f"(not {one})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    ),
    max_leaves=8,
)


@given(_expressions, _expressions)
def test_what_is_said_is_what_jinja_says(first: str, second: str) -> None:
    text = f"{{% if {first} %}}yes{{% elif {second} %}}{{{{ {second} }}}}{{% else %}}no{{% endif %}}"
    try:
        said = rendered(text, KNOWN)
    except Unclear:
        return
    template = SandboxedEnvironment().from_string(text)
    for unknown in ("batch", "", 3, ["x"]):
        try:
            assert template.render({**KNOWN, "unknown": unknown}) == said
        except TypeError:  # what Jinja itself can't compare for this value
            continue


def test_one_side_may_decide_alone() -> None:
    assert holds("{{ type != 'batch' and unknown != 'none' }}", KNOWN) is False
    assert holds("{{ unknown or type == 'batch' }}", KNOWN) is True
    with pytest.raises(Unclear):
        holds("{{ type == 'batch' and unknown != 'none' }}", KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**12 }}",
        "{% for i in range(10**12) %}x{% endfor %}",
        "{{ name.__class__.__mro__ }}",
        "{{ name | upper }}",
        "{{ cycler('a').next() }}",
        "{% if",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ 1 }}" * 5000,
    ],
)
def test_what_would_have_to_be_run_is_unclear(text: str) -> None:
    with pytest.raises(Unclear):
        rendered(text, KNOWN)


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("{{ '' }}", False), ("yes", True)])
def test_conditions_are_read_as_copier_reads_them(value: object, expected: bool) -> None:
    assert holds(value, {}) is expected
