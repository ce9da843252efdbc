"""Hostile templates stay in their box, and the answer names what they ran into."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.errors import InvalidAnswer
from scaffolder.sandbox import Limits, RenderRefused, Sandbox
from scaffolder.sandbox.limits import OutputRefused, check_answers, check_output
from tests.scaffolder.template_repositories import make_template

SMALL = Limits(cpu_seconds=1, wall_seconds=90, memory_bytes=700 << 20, output_bytes=4 << 20, output_files=200)
QUESTIONS = "name:\n  type: str\n  default: churn\n"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    os.environ["SECRET_OF_THE_PLATFORM"] = "hunter2"
    with Sandbox(tmp_path_factory.mktemp("box"), SMALL) as made:
        yield made
    del os.environ["SECRET_OF_THE_PLATFORM"]


def left(box: Sandbox) -> list[str]:
    return sorted(path.name for path in box.folder.iterdir() if path.name != "home")


def test_a_template_is_rendered(box: Sandbox, tmp_path: Path) -> None:
    files = {"copier.yml": QUESTIONS, "{{ name }}.txt.jinja": "hello {{ name }}", "run.sh": "#!/bin/sh\n"}
    made = box.render(make_template(tmp_path / "template", files), {"name": "wine"}, tmp_path / "out")
    assert (made.folder / "wine.txt").read_text() == "hello wine"
    answers = yaml.safe_load((made.folder / ".copier-answers.yml").read_text())
    assert answers == {"_commit": "v1.0.0", "_src_path": "https://templates.example.org/template.git", "name": "wine"}
    assert made.answers["name"] == "wine"
    assert left(box) == []


def test_questions_and_answers_without_a_folder(box: Sandbox, tmp_path: Path) -> None:
    template = make_template(tmp_path / "template", {"copier.yml": QUESTIONS})
    assert box.questions(template)["name"]["default"] == "churn"
    assert box.answers(template, {})["name"] == "churn"
    assert left(box) == []


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="namespaces are Linux's")
def test_there_is_no_network_where_the_system_can(box: Sandbox, tmp_path: Path) -> None:
    box.answers(make_template(tmp_path / "template", {"copier.yml": QUESTIONS}), {})
    assert box.isolated is not None


HOSTILE = {
    "loops for ever": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "cpuSeconds"),
    "counts too far": ("{{ 9 ** 999999999 }}", "cpuSeconds"),
    "eats memory": ("{{ ('x' * 900000000) | length }}", "memoryBytes"),
    "eats memory slowly": (
        "{% set ns = namespace(x='0123456789') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "memoryBytes",
    ),
    "writes a large file": ("{{ 'x' * 9000000 }}", "outputBytes"),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_what_uses_too_much_is_stopped_and_named(
    box: Sandbox, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, limit = HOSTILE[what]
    if limit != "cpuSeconds":  # on a busy machine, filling memory takes its time
        monkeypatch.setattr(box, "limits", replace(SMALL, cpu_seconds=60))
    template = make_template(tmp_path / "template", {"copier.yml": QUESTIONS, "file.jinja": text})
    with pytest.raises(RenderRefused) as refused:
        box.render(template, {}, tmp_path / "out")
    assert refused.value.limit == limit, refused.value.message
    assert f"mlPlatform.sandbox.{limit}" in str(refused.value.fix)
    assert not (tmp_path / "out").exists()
    assert left(box) == []


def test_a_question_that_loops_is_stopped_too(box: Sandbox, tmp_path: Path) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template = make_template(tmp_path / "template", {"copier.yml": f"name:\n  type: str\n  default: '{loop}'\n"})
    with pytest.raises(RenderRefused, match="processor time"):
        box.answers(template, {})


def test_many_files_are_stopped(box: Sandbox, tmp_path: Path) -> None:
    files = {"copier.yml": QUESTIONS, "{% yield n from range(3000) %}{{ n }}{% endyield %}.txt.jinja": "x"}
    with pytest.raises(RenderRefused) as refused:
        box.render(make_template(tmp_path / "template", files), {}, tmp_path / "out")
    assert refused.value.limit == "outputFiles"


def test_sleeping_counts_too(tmp_path: Path) -> None:
    """Time passes also where no processor time does: here, while the process waits for the disk or is stopped."""
    limits = Limits(cpu_seconds=30, wall_seconds=0.0)
    template = make_template(tmp_path / "template", {"copier.yml": QUESTIONS, "f.jinja": "x"})
    with Sandbox(tmp_path / "box", limits) as box, pytest.raises(RenderRefused) as refused:
        box.render(template, {}, tmp_path / "out")
    assert refused.value.limit == "wallSeconds"


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("_tasks: ['touch /tmp/owned']\n", "task"),
        ("_migrations: [{version: v1.0.0, command: id}]\n", "migration"),
        ("_jinja_extensions: [os.path.Evil]\n", "jinja"),
    ],
)
def test_what_needs_trust_is_refused(box: Sandbox, tmp_path: Path, extra: str, named: str) -> None:
    template = make_template(tmp_path / "template", {"copier.yml": extra + QUESTIONS})
    with pytest.raises(RenderRefused) as refused:
        box.render(template, {}, tmp_path / "out")
    assert named in refused.value.message.lower()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd", "/proc/self/environ"])
@pytest.mark.parametrize("preserved", [True, False])
def test_links_out_of_the_template_are_refused(box: Sandbox, tmp_path: Path, target: str, preserved: bool) -> None:
    settings = f"_preserve_symlinks: {str(preserved).lower()}\n"
    template = make_template(tmp_path / "t", {"copier.yml": settings + QUESTIONS}, links={"leak": target})
    with pytest.raises(RenderRefused):
        box.render(template, {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../../evil", "../evil", "/tmp/evil", "a/../../evil", ".."])
def test_an_answer_is_no_way_out(box: Sandbox, tmp_path: Path, name: str) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": QUESTIONS, "{{ name }}": "owned"})
    inside = tmp_path / "deep" / "out"
    inside.parent.mkdir()
    with pytest.raises((RenderRefused, InvalidAnswer)):
        box.render(template, {"name": name}, inside)
    assert not list(tmp_path.rglob("evil"))
    assert left(box) == []


@pytest.mark.parametrize("name", [".git/hooks/post-checkout", "x/.git/config", ".GIT/config"])
def test_no_git_repository_comes_with_it(box: Sandbox, tmp_path: Path, name: str) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": "_exclude: []\n" + QUESTIONS, "{{ name }}": "owned"})
    with pytest.raises(RenderRefused, match="git repository"):
        box.render(template, {"name": name}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{% include '/etc/passwd' %}", "{% include '../../../etc/passwd' %}"])
def test_files_beside_the_template_are_not_read(box: Sandbox, tmp_path: Path, text: str) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": QUESTIONS, "file.jinja": text})
    with pytest.raises(RenderRefused):
        box.render(template, {}, tmp_path / "out")


@pytest.mark.parametrize("text", ["!include " + "../" * 30 + "etc/passwd", "!include /etc/passwd"])
def test_questions_from_beside_the_template_are_not_read(box: Sandbox, tmp_path: Path, text: str) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": f"{QUESTIONS}---\n{text}\n"})
    with pytest.raises((RenderRefused, InvalidAnswer)) as refused:
        box.render(template, {}, tmp_path / "out")
    assert "root:" not in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ _copier_conf.__class__.__init__.__globals__['os'].environ }}",
        "{{ cycler.__init__.__globals__.os.environ }}",
    ],
)
def test_python_is_out_of_reach(box: Sandbox, tmp_path: Path, text: str) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": QUESTIONS, "file.jinja": text})
    try:
        made = box.render(template, {}, tmp_path / "out")
    except RenderRefused:
        return
    assert "hunter2" not in (made.folder / "file").read_text()
    assert "class" not in (made.folder / "file").read_text()


def test_the_box_goes_on_after_its_process_was_killed(box: Sandbox, tmp_path: Path) -> None:
    template = make_template(tmp_path / "t", {"copier.yml": QUESTIONS})
    box.answers(template, {})
    assert box._process is not None
    box._process.kill()
    box._process.wait()
    assert box.answers(template, {})["name"] == "churn"


class TestAnswers:
    def test_ten_megabytes_are_refused_at_once(self, box: Sandbox, tmp_path: Path) -> None:
        template = make_template(tmp_path / "t", {"copier.yml": QUESTIONS})
        started = time.process_time()
        with pytest.raises(InvalidAnswer, match="10000000 characters"):
            box.render(template, {"name": "x" * 10_000_000}, tmp_path / "out")
        assert time.process_time() - started < 1

    def test_deep_and_many_ones_are_refused(self) -> None:
        deep: object = "x"
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(InvalidAnswer, match="8 levels deep"):
            check_answers({"name": deep}, Limits())
        with pytest.raises(InvalidAnswer, match="at most 200"):
            check_answers({str(number): 1 for number in range(201)}, Limits())

    @given(
        st.recursive(
            st.text(max_size=50) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=5), max_leaves=40
        )
    )
    def test_whatever_comes_it_ends_well(self, value: object) -> None:
        said = ""
        try:
            check_answers({"name": value}, Limits(answers_bytes=400, answers_depth=3))
        except InvalidAnswer as refused:
            said = refused.message
        assert len(said) < 300


def test_output_that_links_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "fine").symlink_to("other")
    check_output(folder, SMALL)
    (folder / "leak").symlink_to("../outside")
    with pytest.raises(OutputRefused, match="leak"):
        check_output(folder, SMALL)
