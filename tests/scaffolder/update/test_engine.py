"""What an update says, and what it leaves alone."""

from pathlib import Path

import pytest

from scaffolder.update import ConflictKind, Outcome
from scaffolder.update.errors import Moved, RepositoryFault
from scaffolder.update.models import AnswerChange, Change, FileChange, Section

from .conftest import ADDRESS, Lab, git, write

AUTHOR = "Fleet <fleet@example.org>"


def test_already_there(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    head = lab.start()
    update = lab.update("v1")
    assert (update.outcome, update.head) == (Outcome.CURRENT, head)
    assert update.tree == update.recorded_tree == git(lab.repository, "rev-parse", "HEAD^{tree}").strip()


def test_no_change_for_this_repository_is_an_empty_diff(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n", "b.jinja": "{% if name == 'wine' %}1{% endif %}\n"})
    lab.start()
    lab.edit({"a": "mine\n", "own": "mine\n"})
    lab.release("v2", {"a": "1\n", "b.jinja": "{% if name == 'wine' %}2{% endif %}\n"})
    update = lab.update()
    assert update.outcome is Outcome.UNCHANGED
    assert update.tree == git(lab.repository, "rev-parse", "HEAD^{tree}").strip()
    assert (update.files, update.conflicts, update.answers) == ((), (), ())
    # What Copier would leave differs by the version in the answers file alone.
    before, after = lab.tree(update.tree), lab.tree(update.recorded_tree)
    assert {path for path in before if before[path] != after[path]} == {".copier-answers.yml"}


def test_answers_and_files_and_changelog_are_described(lab: Lab) -> None:
    lab.release("v1", {"a.jinja": "{{ size }}\n", "b": "1\n"}, "size: {type: str, default: s}\ncolour: red\n")
    lab.start()
    changelog = (
        "# Changelog\n\n## [2.0.0]\n\n- Two.\n\n## 1.5\n\n- One and a half.\n\n```\n## 1.2\n```\n\n## [1]\n\n- One.\n"
    )
    lab.release(
        "v2",
        {"a.jinja": "{{ size }}!\n", "c": "1\n", "CHANGELOG.md": changelog},
        "_exclude: [CHANGELOG.md, copier.yml]\nsize: {type: str, default: l, choices: [l, xl]}\ntaste: sweet\n",
    )
    update = lab.update()
    assert (update.old_version, update.new_version) == ("v1", "v2")
    assert update.answers == (
        AnswerChange(
            "size", Change.CHANGED, "s", "l", "the former answer is not acceptable to v2; this is its default"
        ),
        AnswerChange("taste", Change.ADDED, None, "sweet", "new in v2; this is its default"),
        AnswerChange("colour", Change.REMOVED, "red", None, "v2 does not ask it, or not with these answers"),
    )
    assert update.files == (
        FileChange(".copier-answers.yml", Change.CHANGED),
        FileChange("a", Change.CHANGED),
        FileChange("b", Change.REMOVED),
        FileChange("c", Change.ADDED),
    )
    assert update.sections == (Section("2.0.0", "- Two."), Section("1.5", "- One and a half.\n\n```\n## 1.2\n```"))


def test_a_conflict_has_both_sides_and_the_base(lab: Lab) -> None:
    lab.release("v1", {"a": "top\nold\nend\n"})
    lab.start()
    lab.edit({"a": "top\nours\nend\n"})
    lab.release("v2", {"a": "top\ntheirs\nend\n"})
    update = lab.update()
    (conflict,) = update.conflicts
    (hunk,) = conflict.hunks
    assert (conflict.path, conflict.kind, conflict.lines) == ("a", ConflictKind.CONTENT, (2,))
    assert (hunk.ours, hunk.base, hunk.theirs, hunk.suggestion) == ("ours\n", "old\n", "theirs\n", None)
    assert "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n" in lab.text(update, "a")


def test_a_suggestion_is_said_and_not_applied(lab: Lab) -> None:
    pin = "FROM python:{}-slim\nRUN true\n"
    lab.release("v1", {"Dockerfile": pin.format("3.11.1")})
    lab.start()
    lab.edit({"Dockerfile": pin.format("3.12.2")})
    lab.release("v2", {"Dockerfile": pin.format("3.11.9")})
    update = lab.update()
    (conflict,) = update.conflicts
    assert conflict.suggestion is not None
    assert (conflict.suggestion.rule, conflict.suggestion.text) == ("higher-version", pin.format("3.12.2"))
    assert "<<<<<<<" in lab.text(update, "Dockerfile")


def test_changes_to_a_file_that_moved_are_carried_there(lab: Lab) -> None:
    body = "".join(f"def f{number}(): ...\n" for number in range(9))
    lab.release("v1", {"old.py": body})
    lab.start()
    lab.edit({"old.py": body + "def mine(): ...\n"})
    lab.release("v2", {"pkg/new.py": "import os\n" + body})
    (conflict,) = lab.update().conflicts
    assert (conflict.path, conflict.kind) == ("old.py", ConflictKind.DELETED)
    assert conflict.suggestion is not None
    assert (conflict.suggestion.rule, conflict.suggestion.path) == ("moved", "pkg/new.py")
    assert conflict.suggestion.text == "import os\n" + body + "def mine(): ...\n"


def test_what_the_template_left_alone_stays_though_copier_would_reset_it(lab: Lab) -> None:
    old = {"logo.png": b"\0old", "kept.log": "1\n", ".gitignore": "*.log\n", "a": "1\n"}
    lab.release("v1", old)
    lab.start()
    lab.edit({"logo.png": b"\0mine", "kept.log": "mine\n"})
    lab.release("v2", {**old, "a": "2\n"})
    update = lab.update()
    tree = lab.tree(update.tree)
    assert update.outcome is Outcome.CLEAN
    assert sorted(update.preserved) == ["kept.log", "logo.png"]
    assert (tree["logo.png"][1], tree["kept.log"][1]) == (b"\0mine", b"mine\n")


def test_binary_content_that_both_changed_is_reported(lab: Lab) -> None:
    lab.release("v1", {"logo.png": b"\0old"})
    lab.start()
    lab.edit({"logo.png": b"\0mine"})
    lab.release("v2", {"logo.png": b"\0new"})
    update = lab.update()
    assert [(conflict.path, conflict.kind) for conflict in update.conflicts] == [("logo.png", ConflictKind.OVERWRITTEN)]
    assert lab.tree(update.tree)["logo.png"][1] == b"\0new"


def test_bytes_that_are_no_text_survive(lab: Lab) -> None:
    lab.release("v1", {"a": "".join(f"{number}\n" for number in range(10))})
    lab.start()
    lab.edit({"a": b"caf\xe9\n" + "".join(f"{number}\n" for number in range(10)).encode()})
    lab.release("v2", {"a": "".join(f"{number}\n" for number in range(11))})
    update = lab.update()
    assert lab.tree(update.tree)["a"][1] == b"caf\xe9\n" + "".join(f"{number}\n" for number in range(11)).encode()
    assert update.preserved == ("a",)


@pytest.mark.parametrize(
    "edit",
    [
        {"d": None, "d/": "", "other/a": "mine\n"},
        {"d": "-> other", "other/a": "mine\n"},
        {"d": "a file\n"},
    ],
    ids=["removed", "link", "file"],
)
def test_nothing_is_written_through_a_link_or_over_another_kind(lab: Lab, edit: dict[str, str | None]) -> None:
    lab.release("v1", {"d/a": "1\n", "x": "1\n"})
    lab.start()
    write(lab.repository, {"d": None})
    lab.edit({path: content for path, content in edit.items() if content and path != "d/"})
    lab.release("v2", {"d/a": "2\n", "d/new": "1\n", "x": "2\n"})
    update = lab.update()
    tree = lab.tree(update.tree)
    assert tree["x"][1] == b"2\n"
    if "other/a" in edit:
        assert tree["other/a"][1] == b"mine\n"
    kept = [conflict.path for conflict in update.conflicts if conflict.kind is ConflictKind.KEPT]
    assert kept == (["d/a", "d/new"] if edit.get("d") else [])


def test_only_objects_are_written(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"})
    before = git(lab.repository, "for-each-ref"), git(lab.repository, "status", "--porcelain")
    update = lab.update()
    assert (git(lab.repository, "for-each-ref"), git(lab.repository, "status", "--porcelain")) == before
    assert git(lab.repository, "cat-file", "-t", update.tree).strip() == "tree"


def test_a_bare_repository_is_as_good(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"})
    bare = lab.folder / 'b "a$HOME:re.git'
    git(lab.folder, "clone", "--quiet", "--bare", str(lab.repository), str(bare))
    update = lab.engine.update(bare, "main", "v2")
    assert update.tree == lab.update().tree
    assert git(bare, "show", f"{update.tree}:a") == "2\n"


def test_the_template_may_be_known_by_its_address(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    answers = lab.repository / ".copier-answers.yml"
    lab.edit({".copier-answers.yml": answers.read_text().replace(str(lab.template), ADDRESS)})
    lab.release("v2", {"a": "2\n"})
    assert f"_src_path: {ADDRESS}\n" in lab.text(lab.update(), ".copier-answers.yml")


class TestCommit:
    def test_goes_to_a_branch_and_touches_no_worktree(self, lab: Lab) -> None:
        lab.release("v1", {"a": "1\n"})
        head = lab.start()
        lab.release("v2", {"a": "2\n"})
        update = lab.update()
        made = lab.engine.commit(
            lab.repository, update, branch="update/v2", message="Update to v2\n\nMore.", author=AUTHOR
        )
        shown = git(lab.repository, "show", "-s", "--format=%H %P %T %an %ae%n%B", "update/v2")
        assert shown.strip() == f"{made} {head} {update.tree} Fleet fleet@example.org\nUpdate to v2\n\nMore."
        assert (lab.repository / "a").read_text() == "1\n"
        assert git(lab.repository, "status", "--porcelain") == ""

    def test_a_branch_that_moved_is_left_alone(self, lab: Lab) -> None:
        lab.release("v1", {"a": "1\n"})
        head = lab.start()
        lab.release("v2", {"a": "2\n"})
        update = lab.update()
        engine = lab.engine
        first = engine.commit(lab.repository, update, branch="u", message="one", author=AUTHOR)
        for expected in (None, head):
            with pytest.raises(Moved):
                engine.commit(lab.repository, update, branch="u", message="two", author=AUTHOR, expected=expected)
        assert git(lab.repository, "rev-parse", "u").strip() == first
        engine.commit(lab.repository, update, branch="u", message="two", author=AUTHOR, expected=first)

    @pytest.mark.parametrize("branch", ["main", "-f", "../up", "a b", "x..y", "", "a\nb"])
    def test_some_names_are_refused(self, lab: Lab, branch: str) -> None:
        lab.release("v1", {"a": "1\n"})
        lab.start()
        update = lab.update("v1")
        with pytest.raises(RepositoryFault):
            lab.engine.commit(lab.repository, update, branch=branch, message="m", author=AUTHOR)


class TestDrift:
    def test_lines_and_files_of_the_template_that_differ(self, lab: Lab) -> None:
        old = {"a": "1\n2\n3\n", "b": "1\n", "run": "1\n", "same": "1\n", "once": "1\n", "logo": b"\0"}
        lab.release("v1", old, "_skip_if_exists: [once]\n")
        lab.start()
        lab.edit(
            {"a": "1\ntwo\n3\n4\n", "b": None, "run*": "1\n", "once": "mine\n", "own": "mine\n", "logo": b"\0mine"}
        )
        drift = {each.path: each for each in lab.engine.drift(lab.repository, "main")}
        assert sorted(drift) == ["a", "b", "logo", "run"]
        assert (drift["a"].change, drift["a"].added, drift["a"].deleted, drift["a"].lines) == (
            Change.CHANGED,
            2,
            1,
            (2, 4),
        )
        assert (drift["b"].change, drift["b"].deleted) == (Change.REMOVED, 1)
        assert "executable" in drift["run"].what
        assert "binary" in drift["logo"].what

    def test_none_where_nothing_was_touched(self, lab: Lab) -> None:
        lab.release("v1", {"a": "1\n"})
        lab.start()
        assert lab.engine.drift(lab.repository, "main") == []


def test_a_state_in_a_macro_does_not_reach_the_next_repository(lab: Lab, tmp_path: Path) -> None:
    macro = "{% set seen = [] %}{% macro m(x) %}{{ seen.append(x) or seen | join(',') }}{% endmacro %}"
    files = {"m.part": macro, "a.jinja": "{% from 'm.part' import m %}{{ m(name) }}\n"}
    lab.release("v1", files)
    lab.start(name="one")
    lab.release("v2", {**files, "b": "1\n"})
    engine = lab.engine
    assert engine.update(lab.repository, "main", "v2").outcome is Outcome.CLEAN
    assert engine.update(lab.repository, "main", "v2").files[-1].path == "b"
    assert [change.path for change in engine.update(lab.repository, "main", "v2").files] == [".copier-answers.yml", "b"]
