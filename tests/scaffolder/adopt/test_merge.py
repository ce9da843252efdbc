"""Additions to files: whatever the file, every byte of it stays."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.adopt.merge import texts
from scaffolder.adopt.merge.additions import below, with_additions
from scaffolder.adopt.merge.dependencies import _into

LINES = st.lists(st.text(alphabet=st.sampled_from("ab #:-[]\t\r\x0c\u2028é"), max_size=6), max_size=8)
ENDS = st.sampled_from(["\n", "\r\n"])


def is_part(part: list[bytes], whole: list[bytes]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


@given(LINES, ENDS, st.booleans(), st.booleans(), LINES, st.data())
def test_lines_that_are_put_between_leave_the_others_as_they_are(
    lines: list[str], end: str, ended: bool, marked: bool, more: list[str], data: st.DataObject
) -> None:
    before = (("\ufeff" if marked else "") + end.join(lines) + (end if ended else "")).encode()
    text = before.decode("utf-8-sig").replace("\r\n", "\n")
    new = text.removesuffix("\n").split("\n") if text else []
    for line in more:
        new.insert(data.draw(st.integers(0, len(new))), line.removesuffix("\r"))
    after = with_additions(before, "".join(f"{line}\n" for line in new))
    assert after is not None
    assert after.startswith(b"\xef\xbb\xbf") == before.startswith(b"\xef\xbb\xbf")
    old, found = (content.removeprefix(b"\xef\xbb\xbf").split(b"\n") for content in (before, after))
    whole = old if old[-1] else old[:-1]
    assert is_part([line.rstrip(b"\r") for line in whole], [line.rstrip(b"\r") for line in found])
    if ended:
        assert is_part(whole, found)


@given(LINES, LINES)
def test_what_is_missing_or_changed_is_never_written(lines: list[str], other: list[str]) -> None:
    before = "".join(f"{line}\n" for line in lines)
    after = "".join(f"{line}\n" for line in other)
    made = with_additions(before.encode(), after)
    kept = is_part([line.encode() for line in before.split("\n")[:-1]], [line.encode() for line in after.split("\n")])
    if made is not None and "\r" not in before + after:
        assert kept
        assert made == after.encode()


def test_only_the_list_of_default_groups_may_grow() -> None:
    grown = with_additions(b'default-groups = ["dev"] # ours\r\n', 'default-groups = ["dev", "platform"] # ours\n')
    assert grown == b'default-groups = ["dev", "platform"] # ours\r\n'
    assert with_additions(b'default-groups = ["dev"]\n', 'default-groups = ["platform"]\n') is None
    assert with_additions(b'others = ["dev"]\n', 'others = ["dev", "platform"]\n') is None


@given(st.text(alphabet="ab\n \t\r", max_size=20))
def test_nothing_is_taken_away_above_of_what_is_added(text: str) -> None:
    assert below(text).startswith(text)
    assert not text or below(text).endswith("\n\n")


@pytest.mark.parametrize(
    ("before", "tracked", "merged", "hides"),
    [
        (None, [], "/build/\n*.pyc\n", []),
        ("build\n", [], "build\n\n# The platform's\n*.pyc\n", []),
        ("/build/\n*.pyc\n", [], None, []),
        ("", ["build/keep.txt"], "*.pyc\n", ["/build/"]),
        ("x", ["build/keep.txt", "a/b.pyc"], None, ["/build/", "*.pyc"]),
    ],
)
def test_ignored_files(before: str | None, tracked: list[str], merged: str | None, hides: list[str]) -> None:
    assert texts.merged_ignore(before, "# said\n/build/\n\n*.pyc\n", tracked) == (merged, hides)


def test_targets() -> None:
    text = ".PHONY: test\nVAR := a\nOTHER=b\ntest lint: setup\n\techo x: y\nclean::\n.tools/bin/uv:\n"
    assert texts.targets(text) == {"test", "lint", "clean", ".tools/bin/uv"}
    assert texts.merged_makefile("all:\n") == "all:\n\n-include platform.mk\n"
    assert texts.merged_makefile("include platform.mk\n") is None


NAV = "site_name: x\nnav:\n  - Home: index.md\n  - More:\n      - a.md\n# end\ntheme: material\n"


def test_pages_come_at_the_end_of_the_navigation() -> None:
    merged = texts.merged_nav(NAV, {"Runbook": "runbook.md", "Home": "index.md"})
    assert merged == NAV.replace("      - a.md\n# end\n", "      - a.md\n# end\n  - Runbook: runbook.md\n")
    for other in ("site_name: x\n", "nav: [index.md]\n", "nav:\n", "nav:\n  - [\n", "nav:\n  a: b\n"):
        assert texts.merged_nav(other, {"Runbook": "runbook.md"}) is None


def test_a_table_in_a_project_file() -> None:
    text = '[project]\nname = "x"\n[ tool.uv ]\nindex = []'
    assert tomllib.loads(_into(text + "\n", "tool.uv", ["a = 1"]))["tool"]["uv"] == {"index": [], "a": 1}
    assert tomllib.loads(_into(text, "tool.uv.sources", ["a = 1"]))["tool"]["uv"]["sources"] == {"a": 1}
