"""Suggestions: only where a rule says why they are safe, and never anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.update.conflicts import split
from scaffolder.update.models import Hunk, Suggestion
from scaffolder.update.suggest import DERIVED, regenerated, suggest, whole_file
from scaffolder.update.suggest.versions import higher_line

CASES = [
    # path, ours, base, theirs, rule, text
    ("a.py", "x = 1 \n", "x = 0\n", "x = 1\n", "same-change", "x = 1\n"),
    ("a.py", "x = 0\n\n", "x = 0\n", "x = 2\n", "cosmetic", "x = 2\n"),
    ("a.py", "# why\nx = 0\n", "x = 0\n", "x = 2\n", "cosmetic", "x = 2\n"),
    ("a.py", "x = 2\n", "x = 0\n", "# why\nx = 0\n", "cosmetic", "x = 2\n"),
    ("a.ts", "// why\nx\n", "x\n", "y\n", "cosmetic", "y\n"),
    ("a.py", "x = 0\nmine = 1\n", "x = 0\n", "x = 2\n", "added", "x = 2\nmine = 1\n"),
    ("a.py", "import os\nx = 0\n", "x = 0\n", "x = 2\n", "added", "import os\nx = 2\n"),
    ("a.py", "x = 2\n", "x = 0\n", "x = 0\nnew = 1\n", "added", "x = 2\nnew = 1\n"),
    ("Dockerfile", "FROM a:1.10\n", "FROM a:1.2\n", "FROM a:1.9\n", "higher-version", "FROM a:1.10\n"),
    (
        "ci.yml",
        f"  - uses: actions/checkout@{'a' * 40} # v5.1.0\n",
        f"  - uses: actions/checkout@{'b' * 40} # v4.0.0\n",
        f"  - uses: actions/checkout@{'c' * 40} # v6.0.0\n",
        "higher-version",
        f"  - uses: actions/checkout@{'c' * 40} # v6.0.0\n",
    ),
    (
        "pyproject.toml",
        '    "pandas>=2.1",\n    "mine",\n',
        '    "pandas>=2.0",\n    "gone",\n',
        '    "pandas>=2.2",\n    "gone",\n    "new>=1"\n',
        "dependencies",
        '    "pandas>=2.2",\n    "new>=1",\n    "mine",\n',
    ),
    (
        "pyproject.toml",
        'dependencies = ["a", "mine"]\n',
        'dependencies = ["a"]\n',
        'dependencies = ["a>=2", "new"]\n',
        "dependencies",
        'dependencies = ["a>=2", "new", "mine"]\n',
    ),
    ("requirements.txt", "a==1\nmine\n", "a==1\n", "a==2\n", "dependencies", "a==2\nmine\n"),
    (".gitignore", "a\nmine\n", "a\nb\n", "a\nb\nnew\n", "union", "a\nnew\nmine\n"),
]
NONE = [
    ("a.py", "x = 1\n", "x = 0\n", "x = 2\n"),
    ("a.py", "    x = 0\n", "x = 0\n", "x = 2\n"),
    ("a.py", "mine\n", "", "theirs\n"),
    ("a.py", "", "x\n", "y\n"),
    ("model.yaml", "minimum: 0.8\n", "minimum: 0.5\n", "minimum: 0.9\n"),
    ("params.toml", "depth = 3\n", "depth = 2\n", "depth = 4\n"),
    ("Dockerfile", "FROM a:1.3\n", "FROM b:1.2\n", "FROM b:1.4\n"),
    ("a.toml", 'x = ">=1.2,<3.1"\n', 'x = ">=1.0,<3.0"\n', 'x = ">=1.1,<3.2"\n'),
    ("pyproject.toml", '    "a>=1",\n', '    "a",\n', '    "a<2",\n'),
    ("pyproject.toml", "    \"a; os_name=='nt'\",\n", '    "a",\n', '    "b",\n'),
    (".gitignore", "!a\n", "b\n", "c\n"),
]


@pytest.mark.parametrize(("path", "ours", "base", "theirs", "rule", "text"), CASES)
def test_safe(path: str, ours: str, base: str, theirs: str, rule: str, text: str) -> None:
    suggestion = suggest(path, Hunk(ours, base, theirs))
    assert suggestion is not None
    assert (suggestion.rule, suggestion.text) == (rule, text)
    assert suggestion.reason.endswith(".")


@pytest.mark.parametrize(("path", "ours", "base", "theirs"), NONE)
def test_not_safe(path: str, ours: str, base: str, theirs: str) -> None:
    assert suggest(path, Hunk(ours, base, theirs)) is None


def test_derived_files_are_made_again() -> None:
    suggestion = regenerated("sub/uv.lock", "theirs\n", DERIVED)
    assert suggestion is not None
    assert (suggestion.command, suggestion.text) == ("uv lock", "theirs\n")
    assert regenerated("uv.lock.md", None, DERIVED) is None


def test_a_whole_file_needs_a_suggestion_for_every_hunk() -> None:
    good = Hunk("a\n", "b\n", "c\n", Suggestion("rule", "Reason.", text="d\n"))
    assert whole_file(["x\n", good, "y\n", good], 100) == Suggestion("rule", "Reason.", text="x\nd\ny\nd\n")
    assert whole_file(["x\n", good, Hunk("a\n", "b\n", "c\n")], 100) is None
    assert whole_file(["x\n"], 100) is None


def test_conflicts_are_split_where_git_marks_them() -> None:
    merged = b"a\n<<<<<<< before updating\nours\n||||||| last update\nbase\n=======\ntheirs\n>>>>>>> after updating\nb\n=======\n"
    assert split(merged) == ["a\n", Hunk("ours\n", "base\n", "theirs\n"), "b\n=======\n"]


LINES = st.lists(
    st.sampled_from(["x = 1\n", "x = 2\n", "# c\n", "\n", '"a>=1",\n', '"a>=2",\n', '"b",\n', "  y\n"]), max_size=4
).map("".join)


@given(path=st.sampled_from(["a.py", "pyproject.toml", ".gitignore", "x"]), ours=LINES, base=LINES, theirs=LINES)
def test_what_only_one_side_wrote_is_never_left_out(path: str, ours: str, base: str, theirs: str) -> None:
    """Whatever rule applies: lines that are new on one side and no comment are in the suggestion, or a higher version is."""
    suggestion = suggest(path, Hunk(ours, base, theirs))
    if suggestion is None or suggestion.text is None or suggestion.rule in ("cosmetic", "same-change"):
        return
    written = {line.strip().rstrip(",") for line in suggestion.text.splitlines()}
    for side in (ours, theirs):
        for line in side.splitlines():
            bare = line.strip().rstrip(",")
            if line not in base.splitlines() and bare and not bare.startswith("#"):
                assert bare in written or (">=" in bare and any(higher_line(bare, other) == other for other in written))
