"""Random templates, random versions of them, random work by engineers: nothing anybody wrote is lost, and Copier agrees."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaffolder.update import ConflictKind, Outcome, Update

from .conftest import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PATHS = ["a.txt", "b.cfg", "d/c.txt", "d/e/f.txt", "{{ name }}.txt", "d/{{ name }}/g.txt"]
CONFIG = "_templates_suffix: .jinja\nname: {type: str, default: churn}\nflag: {type: bool, default: false}\n"
ONCE = "_skip_if_exists: ['b.cfg', '{{ name }}.txt']\n"
HARD = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

CONDITION = "{% if flag %}on\n{% else %}off\n{% endif %}"
LINE = st.sampled_from([*(f"t{number}\n" for number in range(6)), "\n", CONDITION, "{{ name }}\n"])
PLAIN_LINE = LINE.filter(lambda line: "%" not in line)
TEXT = st.lists(LINE, min_size=0, max_size=14).map("".join)
FILES = st.dictionaries(st.sampled_from(PATHS), TEXT, min_size=1, max_size=4)


@dataclass(frozen=True)
class Edit:
    """What an engineer does to one file: new lines at places, template lines changed or removed, or the file removed."""

    added: tuple[tuple[int, str], ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]
    gone: bool
    executable: bool

    def apply(self, text: str) -> str:
        lines = text.splitlines(keepends=True)
        for number in self.changed:
            if number < len(lines):
                lines[number] = f"changed {lines[number]}"
        lines = [line for number, line in enumerate(lines) if number not in self.removed]
        for place, line in self.added:
            lines.insert(min(place, len(lines)), line)
        return "".join(lines)


PLACES = st.integers(0, 14)
OWN = st.integers(0, 99).map(lambda number: f"own {number}\n")
INSERTIONS = st.lists(st.tuples(PLACES, OWN), max_size=3).map(tuple)
NOTHING = st.just(())
ADDING = st.builds(Edit, INSERTIONS, NOTHING, NOTHING, st.just(False), st.booleans())
ANYTHING = st.builds(
    Edit,
    INSERTIONS,
    st.lists(PLACES, max_size=2).map(tuple),
    st.lists(PLACES, max_size=2).map(tuple),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
)


def edits(kind: st.SearchStrategy[Edit]) -> st.SearchStrategy[dict[int, Edit]]:
    """Edits by the number of the file they are for."""
    return st.dictionaries(st.integers(0, 4), kind, max_size=3)


@st.composite
def later(draw: st.DrawFn, files: dict[str, str]) -> dict[str, str]:
    """A later version: lines and files changed, added, removed, and one file moved."""
    new = {}
    for path, text in files.items():
        what = draw(st.sampled_from(["same", "edit", "edit", "rewrite", "drop"]))
        if what == "edit":
            lines = text.splitlines(keepends=True)
            if "{%" not in text:
                for _ in range(draw(st.integers(1, 3))):
                    place = draw(st.integers(0, len(lines)))
                    lines[place : place + draw(st.integers(0, 1))] = draw(st.lists(PLAIN_LINE, max_size=2))
            new[path] = "".join(lines)
        elif what == "rewrite":
            new[path] = draw(TEXT)
        elif what == "same":
            new[path] = text
    if new and draw(st.booleans()):
        moved = draw(st.sampled_from(sorted(new)))
        new[f"moved-{Path(moved).name}"] = new.pop(moved)
    new.update(draw(st.dictionaries(st.sampled_from(PATHS), TEXT, max_size=1)))
    return new


@contextmanager
def fresh() -> Iterator[Lab]:
    folder = Path(tempfile.mkdtemp(prefix="property-"))
    try:
        yield Lab(folder)
    finally:
        shutil.rmtree(folder)


def templated(files: Mapping[str, str]) -> dict[str, str]:
    return {f"{path}.jinja": text for path, text in files.items()}


def work(lab: Lab, done: Mapping[int, Edit], own: Mapping[str, str]) -> dict[str, set[str]]:
    """Do an engineer's work, and return the lines that they wrote by file."""
    paths = sorted(
        path.relative_to(lab.repository).as_posix()
        for path in lab.repository.rglob("*")
        if path.is_file() and ".git" not in path.parts and path.name != ".copier-answers.yml"
    )
    written: dict[str, set[str]] = {}
    changes: dict[str, str | None] = {}
    for number, edit in done.items():
        if number < len(paths):
            path = paths[number]
            text = edit.apply((lab.repository / path).read_text())
            changes[path + "*" * edit.executable] = None if edit.gone else text
            if edit.gone:
                changes = {name: content for name, content in changes.items() if name.rstrip("*") != path} | {
                    path: None
                }
            else:
                written[path] = {line for _, line in edit.added}
    for path, text in own.items():
        if not any(path == each or each.startswith(f"{path}/") or path.startswith(f"{each}/") for each in paths):
            changes[path] = text
            written[path] = set(text.splitlines(keepends=True))
    lab.edit(changes)
    return written


def check_survival(lab: Lab, update: Update, written: Mapping[str, set[str]]) -> None:
    """Every line an engineer wrote is still in its file; where the template dropped the file, that is said."""
    tree = lab.tree(update.tree)
    deleted = {conflict.path for conflict in update.conflicts if conflict.kind is ConflictKind.DELETED}
    for path, lines in written.items():
        if path in tree:
            assert lines <= set(tree[path][1].decode().splitlines(keepends=True)), path
        else:
            assert not lines or path in deleted, path


OWN_PATH = st.sampled_from(["own.txt", "d/own.txt", "a.txt", "moved-a.txt"])
OWN_FILES = st.dictionaries(OWN_PATH, st.lists(OWN).map("".join), max_size=2)


@settings(HARD, max_examples=15)
@given(data=st.data(), files=FILES, done=edits(ADDING), own=OWN_FILES)
def test_what_engineers_write_survives(
    data: st.DataObject, files: dict[str, str], done: dict[int, Edit], own: dict[str, str]
) -> None:
    with fresh() as lab:
        lab.release("v1", templated(files), CONFIG)
        lab.start(flag=data.draw(st.booleans()))
        written = work(lab, done, own)
        lab.release("v2", templated(data.draw(later(files))), CONFIG)
        check_survival(lab, lab.update(), written)


@settings(HARD, max_examples=10)
@given(files=FILES, done=edits(ANYTHING), own=OWN_FILES, flag=st.booleans())
def test_no_change_of_the_template_is_an_empty_diff(
    files: dict[str, str], done: dict[int, Edit], own: dict[str, str], flag: bool
) -> None:
    with fresh() as lab:
        lab.release("v1", {**templated(files), "~notes": "1\n"}, CONFIG)
        lab.start(flag=flag)
        work(lab, done, own)
        lab.release("v2", {**templated(files), "~notes": "2\n"}, CONFIG)
        update = lab.update()
        assert update.outcome is Outcome.UNCHANGED
        assert update.tree == lab.update("v1").tree


@settings(HARD, max_examples=15)
@given(data=st.data(), files=FILES, done=edits(ANYTHING), own=OWN_FILES, once=st.booleans())
def test_same_as_copier(
    data: st.DataObject, files: dict[str, str], done: dict[int, Edit], own: dict[str, str], once: bool
) -> None:
    config = CONFIG + ONCE * once
    with fresh() as lab:
        lab.release("v1", templated(files), config)
        lab.start(flag=data.draw(st.booleans()))
        work(lab, done, own)
        lab.release("v2", templated(data.draw(later(files))), config)
        given_now = data.draw(st.sampled_from([{}, {}, {"flag": True}, {"name": "wine"}]))
        update = lab.update(**given_now)
        tree = lab.copier(**given_now)
        assert lab.tree(update.recorded_tree) == tree
        marked = {path for path, (_, content) in tree.items() if b"<<<<<<< before updating" in content}
        assert {conflict.path for conflict in update.conflicts if conflict.kind is ConflictKind.CONTENT} == marked
