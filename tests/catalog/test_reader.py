"""``catalog-info.yaml`` as Backstage reads it; what is wrong is said with its line, and what is hostile is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.reader import OF_REPOSITORIES, OF_THE_ORGANISATION, read_entities
from catalog.refs import full_ref, make_ref

COMPONENT = """apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: churn
  annotations: {github.com/project-slug: acme/churn, backstage.io/techdocs-ref: "dir:."}
  tags: [ml, c++]
spec:
  type: model-server
  lifecycle: production
  owner: risk
  system: lending
"""
MODEL = """apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: churn-model}
spec: {type: ai-model, owner: group:default/risk}
"""


def read(text: str, kinds: frozenset[str] = OF_REPOSITORIES) -> tuple[list[str], list[tuple[int, str, str]]]:
    """References of what is right, and (line, path, message) of what is wrong."""
    reading = read_entities("catalog-info.yaml", text.encode(), kinds=kinds)
    assert len(reading.entities) == len(reading.documents)
    return [one.ref for one in reading.entities], [(f.line, f.path, f.message) for f in reading.faults]


def test_several_entities_in_one_file() -> None:
    refs, faults = read(f"---\n{COMPONENT}---\n{MODEL}---\n")
    assert refs == ["component:default/churn", "resource:default/churn-model"]
    assert faults == []


def test_what_is_right_is_read_although_something_is_wrong() -> None:
    wrong = MODEL.replace("churn-model", "-churn")
    refs, faults = read(f"{COMPONENT}---\n{wrong}")
    assert refs == ["component:default/churn"]
    assert [(line, path) for line, path, _ in faults] == [(15, "metadata.name")]


@pytest.mark.parametrize(
    ("change", "line", "path"),
    [
        (("name: churn\n", "name: churn churn\n"), 4, "metadata.name"),
        (("name: churn\n", f"name: {'x' * 64}\n"), 4, "metadata.name"),
        (("name: churn\n", "name: churn\n  namespace: Default\n"), 5, "metadata.namespace"),
        (("[ml, c++]", "[ml, UPPER]"), 6, "metadata.tags.1"),
        (("owner: risk", "owner: a/b/c"), 10, "spec.owner"),
        (("  owner: risk\n", ""), 7, "spec.owner"),
        (("github.com/project-slug", "github.com/a/b"), 5, "metadata.annotations"),
        (("v1alpha1", "v9"), 1, "apiVersion"),
        (("  name: churn\n", "  name: churn\n  name: other\n"), 5, "metadata.name"),
    ],
)
def test_backstage_s_rules_with_their_line(change: tuple[str, str], line: int, path: str) -> None:
    assert change[0] in COMPONENT
    refs, faults = read(COMPONENT.replace(*change))
    assert refs == []
    assert faults[0][0] == line
    assert faults[0][1].startswith(path)


def test_groups_and_users_are_the_organisation_s_alone() -> None:
    group = "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: risk}\nspec: {type: team, children: []}\n"
    assert read(group)[1] == [(2, "kind", "a Group is declared by the organisation alone")]
    assert read(group, OF_THE_ORGANISATION) == (["group:default/risk"], [])
    assert read(COMPONENT, OF_THE_ORGANISATION)[1][0][2] == "a Component is declared by repositories alone"


def test_other_kinds_are_left_to_backstage() -> None:
    domain = "apiVersion: backstage.io/v1alpha1\nkind: Domain\nmetadata: {name: x}\nspec: {owner: risk}\n"
    assert read(domain) == ([], [])


def test_templates_are_the_platform_s_alone() -> None:
    template = "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: x}\nspec: {}\n"
    for kinds in (OF_REPOSITORIES, OF_THE_ORGANISATION):
        assert read(template, kinds) == ([], [(2, "kind", "a Template is declared by the platform alone")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "anchors and aliases"),
        ("a: !!python/object/apply:os.system [id]\n", "tags"),
        ("{" * 5000, "nested more than"),
        ("- " * 25_000, "n"),
        ("a: [" + "1," * 30_000 + "]", "has more than 20000 values"),
        ("--- {}\n" * 600, "more than 500 YAML documents"),
        ("a: b: c\n", "not valid YAML"),
        ("x" * (2 << 20), "larger than 1024 KiB"),
        ("just text", "is no entity"),
        ("kind: Component\n", "is missing"),
    ],
)
def test_hostile_files_end_in_a_fault(text: str, said: str) -> None:
    refs, faults = read(text)
    assert refs == []
    assert any(said in message for _, _, message in faults), faults


def test_twice_the_same_entity() -> None:
    refs, faults = read(f"{COMPONENT}---\n{COMPONENT.replace('name: churn', 'name: CHURN')}")
    assert refs == ["component:default/churn"]
    assert "declared twice" in faults[0][2]


@given(st.text(max_size=400))
def test_whatever_comes_it_ends_in_entities_or_faults(text: str) -> None:
    refs, faults = read(text)
    assert refs == [] or faults == []


words = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?\Z")


@given(words, words, words)
def test_references_have_one_canonical_form(kind: str, namespace: str, name: str) -> None:
    ref = make_ref(kind, namespace, name)
    assert full_ref(ref, kind="other") == ref
    assert full_ref(f"{namespace}/{name}", kind=kind) == ref
    assert full_ref(name, kind=kind, namespace=namespace) == ref
    assert full_ref(ref.upper(), kind="other") == ref


@pytest.mark.parametrize("text", ["", "a/b/c", "a:b:c", ":a", "a/", "/a"])
def test_no_reference_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="no entity reference"):
        full_ref(text, kind="group")
