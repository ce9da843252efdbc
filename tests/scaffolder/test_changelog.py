"""The template's changelog: which versions were crossed, whatever else stands in the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from scaffolder.changelog import UNRELEASED, Section, between, parse, section_of, with_section

TEXT = """# Changelog

Prose about it.

## [Unreleased]

### Added
- Not out yet.

## [0.3.0] - 2026-03-01

### Fixed
- Three.

```markdown
## [9.9.9] - this is an example
```

## 0.2.0
- Two.

## [0.1.0] - 2026-01-01
- One.
"""


def test_sections_in_the_order_of_the_file() -> None:
    assert [(one.version, one.date) for one in parse(TEXT)] == [
        (UNRELEASED, None), ("0.3.0", "2026-03-01"), ("0.2.0", None), ("0.1.0", "2026-01-01"),
    ]  # fmt: skip
    assert "9.9.9" in parse(TEXT)[1].text


@pytest.mark.parametrize(
    ("older", "newer", "found"),
    [
        ("v0.1.0", "v0.3.0", ["0.3.0", "0.2.0"]),
        ("0.2.0", "0.2.0", []),
        ("0.3.0", "0.1.0", []),
        ("v0.1.0", "v0.2.0.post1", [UNRELEASED, "0.2.0"]),
        ("0", "99", ["0.3.0", "0.2.0", "0.1.0"]),
    ],
)
def test_what_was_crossed(older: str, newer: str, found: list[str]) -> None:
    assert [one.version for one in between(parse(TEXT), older, newer)] == found


@pytest.mark.parametrize("text", ["## [one]\n", "## [1.0]\n\n## [1.0]\n", "## [1.0]\n## [v1.0]\n"])
def test_what_is_wrong_is_said_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"CHANGELOG.md:\d"):
        parse(text)


def test_no_version_is_no_version() -> None:
    with pytest.raises(ValueError, match="no version"):
        between(parse(TEXT), "main", "v1")


versions = st.builds(
    lambda parts, post: str(Version(".".join(map(str, parts)) + (f".post{post}" if post else ""))),
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)),
    st.integers(0, 3),
)
lines = st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20), max_size=4)
bodies = lines.map(lambda some: "\n".join(line for line in some if not line.startswith(("#", "`", "~", " "))).strip())


@given(st.dictionaries(versions, bodies, max_size=8))
def test_written_and_read_again_it_is_the_same(sections: dict[str, str]) -> None:
    text = "# Changelog\n"
    for version, body in sorted(sections.items(), key=lambda one: Version(one[0])):
        text = with_section(text, version, "2026-03-01", body)
    found = parse(text)
    assert [one.version for one in found] == sorted(sections, key=Version, reverse=True)
    assert {one.version: one.text for one in found} == sections


@given(st.sets(versions, max_size=8), versions, versions)
def test_each_version_is_crossed_once(known: set[str], one: str, other: str) -> None:
    sections = [Section(version, None, "x") for version in sorted(known)]
    low, high = sorted((one, other), key=Version)
    middle = max((v for v in known if Version(low) <= Version(v) <= Version(high)), key=Version, default=low)
    first = [found.version for found in between(sections, low, middle)]
    second = [found.version for found in between(sections, middle, high)]
    assert second + first == [found.version for found in between(sections, low, high)]


@given(st.text(max_size=300))
def test_whatever_the_file_holds_it_is_read_or_refused(text: str) -> None:
    try:
        sections = parse(text)
    except ValueError:
        return
    assert all(section_of(sections, one.version) in (one, None) for one in sections)
