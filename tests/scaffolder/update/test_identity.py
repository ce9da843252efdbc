"""The tree is the one that Copier's own update leaves, byte by byte."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scaffolder.update import Outcome

from .conftest import Files, Lab

TEN = "".join(f"line {number}\n" for number in range(1, 11))


@dataclass(frozen=True)
class Case:
    """Two versions of a template, what an engineer did in between, and what comes of it."""

    name: str
    old: Files
    new: Files
    edit: Files = field(default_factory=dict)
    outcome: Outcome = Outcome.CLEAN
    holds: dict[str, str | None] = field(default_factory=dict)
    config: str = ""
    new_config: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("changed by the template only", {"a": "1\n"}, {"a": "2\n"}, holds={"a": "2\n"}),
    Case(
        "changed by the engineer only",
        {"a": "1\n", "b": "1\n"},
        {"a": "1\n", "b": "2\n"},
        {"a": "mine\n"},
        holds={"a": "mine\n"},
    ),
    Case(
        "both, in different places",
        {"a": TEN},
        {"a": TEN.replace("line 1\n", "line one\n")},
        {"a": TEN + "mine\n"},
        holds={"a": TEN.replace("line 1\n", "line one\n") + "mine\n"},
    ),
    Case(
        "both, in the same line",
        {"a": "x\n1\ny\n"},
        {"a": "x\n2\ny\n"},
        {"a": "x\n3\ny\n"},
        Outcome.CONFLICTS,
        {"a": "x\n<<<<<<< before updating\n3\n=======\n2\n>>>>>>> after updating\ny\n"},
    ),
    Case("both, the same change", {"a": TEN}, {"a": TEN + "new\n"}, {"a": TEN + "new\n"}, Outcome.UNCHANGED),
    Case("a new file", {"a": "1\n"}, {"a": "1\n", "d/b": "new\n"}, holds={"d/b": "new\n"}),
    Case("a file the template dropped", {"a": "1\n", "d/b": "1\n"}, {"a": "1\n"}, holds={"d/b": None}),
    Case(
        "a file the template dropped and the engineer changed",
        {"a": "1\n", "b": "1\n"},
        {"a": "1\n"},
        {"b": "mine\n"},
        Outcome.CONFLICTS,
        {"b": None},
    ),
    Case(
        "a file the engineer removed",
        {"a": "1\n", "b": "1\n"},
        {"a": "2\n", "b": "2\n"},
        {"b": None},
        holds={"b": None},
    ),
    Case(
        "a file both added, otherwise",
        {"a": "1\n"},
        {"a": "1\n", "b": "theirs\n"},
        {"b": "ours\n"},
        Outcome.CONFLICTS,
        {"b": "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"},
    ),
    Case(
        "a file both added, the same",
        {"a": "1\n"},
        {"a": "1\n", "b": "same\n"},
        {"b": "same\n"},
        Outcome.UNCHANGED,
    ),
    Case(
        "an engineer's own files",
        {"a": "1\n"},
        {"a": "2\n"},
        {"own/x": "mine\n", "own/big": "x" * 9000},
        holds={"own/x": "mine\n"},
    ),
    Case("made executable by the template", {"run": "1\n"}, {"run*": "1\n"}),
    Case("made executable by the engineer", {"run": TEN}, {"run": TEN + "new\n"}, {"run*": TEN}),
    Case("no newline at the end", {"a": "1\n2"}, {"a": "1\n2\n3"}, {"a": "0\n1\n2"}),
    Case("emptied by the engineer", {"a": TEN}, {"a": TEN + "new\n"}, {"a": ""}, Outcome.CONFLICTS),
    Case(
        "an empty file filled by the template",
        {"a": "", "b": ""},
        {"a": "1\n", "b": "1\n"},
        {"b": "mine\n"},
        Outcome.CONFLICTS,
    ),
    Case(
        "Windows line ends",
        {"a": "1\r\n2\r\n3\r\n"},
        {"a": "1\r\n2\r\nthree\r\n"},
        {"a": "one\r\n2\r\n3\r\n"},
        holds={"a": "one\r\n2\r\nthree\r\n"},
    ),
    Case(
        "line ends by attributes",
        {"a": TEN, ".gitattributes": "* text=auto eol=crlf\n"},
        {"a": TEN + "new\n", ".gitattributes": "* text=auto eol=crlf\n"},
        {"a": "mine\n" + TEN},
        holds={"a": "mine\n" + TEN + "new\n"},
    ),
    Case(
        "attributes that the engineer added",
        {"a": TEN},
        {"a": TEN + "new\n"},
        {"a": "mine\n" + TEN, ".gitattributes": "a -text -diff\n* filter=nothing\n"},
    ),
    Case(
        "a conflict the template's attributes call binary",
        {"a": TEN, ".gitattributes": "a binary\n"},
        {"a": TEN + "new\n", ".gitattributes": "a binary\n"},
        {"a": "mine\n" + TEN},
        Outcome.CONFLICTS,
    ),
    Case(
        "ignored by the template itself",
        {".gitignore": "out/\n*.log\n", "out/a": "1\n", "b.log": "1\n"},
        {".gitignore": "out/\n*.log\n", "out/a": "2\n", "b.log": "2\n", "c.log": "new\n"},
    ),
    Case(
        "written once",
        {"once": "1\n", "gone": "1\n"},
        {"once": "2\n", "gone": "2\n"},
        {"once": "mine\n", "gone": None},
        holds={"once": "mine\n", "gone": "2\n"},
        config="_skip_if_exists: [once, gone]\n",
    ),
    Case(
        "written once, by a pattern with an answer in it",
        {"churn.txt": "1\n"},
        {"churn.txt": "2\n"},
        {"churn.txt": "mine\n"},
        Outcome.UNCHANGED,
        config="_skip_if_exists: ['{{ name }}.txt']\n",
    ),
    Case(
        "written once, by a pattern, and another removed",
        {"churn.txt": "1\n", "b": "1\n"},
        {"churn.txt": "2\n", "b": "1\n"},
        {"churn.txt": "mine\n", "b": None},
        Outcome.CONFLICTS,
        config="_skip_if_exists: ['{{ name }}.txt']\n",
    ),
    Case(
        "excluded from now on",
        {"a": "1\n", "b": "1\n"},
        {"a": "2\n", "b": "2\n"},
        new_config="_exclude: [b, copier.yml, .git]\n",
    ),
    Case(
        "names with answers in them",
        {"{{ name }}/{{ name }}.py.jinja": "name = '{{ name }}'\n"},
        {"{{ name }}/{{ name }}.py.jinja": "name = '{{ name }}'\nmore = 1\n"},
        {"wine/wine.py": "import os\n\nname = 'wine'\n"},
        answers={"name": "wine"},
    ),
    Case(
        "an answer given for the update",
        {"{{ name }}.py.jinja": "name = '{{ name }}'\n"},
        {"{{ name }}.py.jinja": "name = '{{ name }}'\n"},
        {"churn.py": "name = 'churn'\nmine = 1\n"},
        Outcome.CONFLICTS,
        data={"name": "wine"},
    ),
    Case(
        "unusual names",
        {"a b": "1\n", "ü/ß": "1\n", 'q"t': "1\n"},
        {"a b": "2\n", "ü/ß": "2\n", 'q"t': "2\n"},
        {"a b": "3\n", "ü/ß": "3\n"},
        Outcome.CONFLICTS,
    ),
    Case(
        "a repository's own rejected patch",
        {"a": "1\n"},
        {"a": "2\n"},
        {"a": "3\n", "a.rej": "mine\n"},
        Outcome.CONFLICTS,
    ),
    Case(
        "ignoring rejected patches",
        {"a": "1\n", ".gitignore": "*.rej\n"},
        {"a": "2\n", ".gitignore": "*.rej\n"},
        {"a": "3\n"},
        Outcome.CONFLICTS,
    ),
    Case(
        "folders that Copier does not look into",
        {"tags/a": "1\n", "CVS/b": "1\n", "x": "1\n"},
        {"x": "2\n"},
        holds={"tags/a": "1\n"},
    ),
    Case(
        "a folder dropped, with an engineer's file in it",
        {"d/e/a": "1\n", "d/b": "1\n"},
        {"x": "1\n"},
        {"d/e/own": "mine\n"},
        holds={"d/e/own": "mine\n", "d/e/a": None},
    ),
    Case(
        "a link in the template",
        {"a": "1\n", "l": "-> a"},
        {"a": "1\n", "b": "1\n", "l": "-> b"},
        config="_preserve_symlinks: true\n",
    ),
    Case(
        "a link the engineer pointed elsewhere",
        {"a": "1\n", "l": "-> a"},
        {"a": "2\n", "l": "-> a"},
        {"l": "-> own"},
        config="_preserve_symlinks: true\n",
    ),
    Case(
        "a template file that became a link",
        {"a": "1\n", "l": "1\n"},
        {"a": "1\n", "l": "-> a"},
        config="_preserve_symlinks: true\n",
    ),
    Case(
        "questions that come and go",
        {"a.jinja": "{{ colour }}\n"},
        {"a.jinja": "{{ taste }}\n"},
        config="colour: red\n",
        new_config="taste: {type: str, default: sweet}\nwhy: {type: str, default: x, when: false}\n",
    ),
    Case(
        "an answer that is no longer possible",
        {"a.jinja": "{{ size }}\n"},
        {"a.jinja": "{{ size }}!\n"},
        config="size: {type: str, default: s, choices: [s, m]}\n",
        new_config="size: {type: str, default: l, choices: [l, xl]}\n",
    ),
    Case(
        "external data",
        {"a.jinja": "{{ _external_data.more.key }}\n"},
        {"a.jinja": "{{ _external_data.more.key }}!\n"},
        {"more.yml": "key: value\n"},
        config="_external_data: {more: more.yml}\n",
    ),
    Case(
        "included and imported",
        {
            "part.jinja": "{% macro m(x) %}<{{ x }}>{% endmacro %}",
            "a.jinja": "{% from 'part.jinja' import m %}{{ m(name) }}\n",
        },
        {
            "part.jinja": "{% macro m(x) %}[{{ x }}]{% endmacro %}",
            "a.jinja": "{% from 'part.jinja' import m %}{{ m(name) }}\n",
        },
        config="_exclude: [part.jinja, copier.yml, part, .git]\n",
    ),
    Case(
        "one file for each item",
        {"{% yield x from xs %}{{ x }}{% endyield %}.txt.jinja": "{{ x }}\n", "b.jinja": "{{ xs }}\n"},
        {"{% yield x from xs %}{{ x }}{% endyield %}.txt.jinja": "{{ x }}!\n", "b.jinja": "{{ xs }}!\n"},
        {"one.txt": "one\nmine\n"},
        Outcome.CONFLICTS,
        config="xs: {type: yaml, default: [one, two]}\n",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_as_copier(case: Case, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    common = "_templates_suffix: .jinja\nname: {type: str, default: churn}\n"
    lab.release("v1", case.old, common + case.config)
    lab.start(**case.answers)
    lab.edit(case.edit)
    lab.release("v2", case.new, common + (case.new_config or case.config))

    update = lab.update(**case.data)

    assert lab.tree(update.recorded_tree) == lab.copier(**case.data)
    assert update.preserved == ()
    assert update.outcome is case.outcome
    for path, content in case.holds.items():
        found = lab.tree(update.tree).get(path)
        assert (None if found is None else found[1].decode()) == content
