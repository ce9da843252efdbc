"""Updates from a template of others, rendered in the box: the same as in this process, and within limits."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scaffolder.sandbox import BoxedRenderer, Limits, Sandbox
from scaffolder.update import EngineOptions, Outcome, Request, UpdateEngine, UpdateError, UpdatePool
from scaffolder.update.errors import AnswerInvalid, TemplateFault, UnsafeTemplate
from tests.scaffolder.update.conftest import CONFIG, Lab, lab, write

__all__ = ["lab"]

LINES = "".join(f"{number}\n" for number in range(10))
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("box"), Limits(wall_seconds=120)) as made:
        yield made


def engine(lab: Lab, box: Sandbox) -> UpdateEngine:
    return UpdateEngine(lab.engine.template, renderer=BoxedRenderer(box))


def fleet_of_one(lab: Lab) -> None:
    """A repository with work of its own, and a second version that meets it in one place."""
    config = CONFIG + "since: {type: yaml, default: {year: 2026}}\n"
    lab.release("v1", {"a": LINES, "b": LINES, "run.sh*": "1\n", "{{ name }}.txt.jinja": "{{ since }}\n"}, config)
    lab.start()
    lab.edit({"a": "mine\n" + LINES, "b": LINES.replace("5", "five"), "own": "mine\n"})
    more = {"a": LINES + "new\n", "b": LINES.replace("5", "FIVE"), "run.sh*": "2\n", "link": "-> a"}
    lab.release("v2", {**more, "{{ name }}.txt.jinja": "{{ since }}!\n"}, config + "more: {default: 1}\n")


def test_the_update_is_that_of_this_process(lab: Lab, box: Sandbox) -> None:
    fleet_of_one(lab)
    boxed = engine(lab, box)
    update = boxed.update(lab.repository, "main", "v2")
    assert update == lab.update()
    assert [conflict.path for conflict in update.conflicts] == ["b"]
    assert [change.question for change in update.answers] == ["more"]
    assert boxed.drift(lab.repository, "main") == lab.engine.drift(lab.repository, "main")
    assert [path.name for path in box.folder.iterdir()] == ["home"]


def test_answers_keep_their_types(lab: Lab, box: Sandbox) -> None:
    fleet_of_one(lab)
    since = {"year": 2027, "months": [1, None, True, "x"], "share": 0.5}
    update = engine(lab, box).update(lab.repository, "main", "v2", data={"since": since})
    assert {change.question: change.new for change in update.answers}["since"] == since
    assert update == lab.update("v2", since=since)


def test_external_data_is_handed_in(lab: Lab, box: Sandbox) -> None:
    config = CONFIG + "_external_data: {more: more.yml}\n"
    lab.release("v1", {"a.jinja": "1\n"}, config)
    lab.start()
    lab.edit({"more.yml": "key: from the repository\n"})
    lab.release("v2", {"a.jinja": "{{ _external_data.more.key }}\n"}, config)
    update = engine(lab, box).update(lab.repository, "main", "v2")
    assert lab.text(update, "a") == "from the repository\n"


@pytest.mark.parametrize(
    ("files", "config", "kind", "message"),
    [
        ({"a.jinja": LOOP}, CONFIG, TemplateFault, "processor time"),
        ({"a.jinja": "{{ 1 / 0 }}"}, CONFIG, TemplateFault, "division by zero"),
        ({"link": "-> /etc/passwd"}, CONFIG + "_preserve_symlinks: true\n", UpdateError, "link"),
        ({"a": ""}, CONFIG + "_tasks: ['touch /tmp/owned']\n", UnsafeTemplate, "tasks"),
        ({"a": ""}, CONFIG + "_jinja_extensions: [os.path.Evil]\n", UnsafeTemplate, "jinja_extensions"),
    ],
)
def test_what_a_new_version_may_not(
    lab: Lab, box: Sandbox, files: dict[str, str], config: str, kind: type[UpdateError], message: str
) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", files, config)
    strict = Sandbox(box.folder, replace(box.limits, cpu_seconds=1))
    with strict, pytest.raises(kind, match=message):
        engine(lab, strict).update(lab.repository, "main", "v2")


def test_an_answer_that_is_not_acceptable_names_its_question(lab: Lab, box: Sandbox) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"}, CONFIG + "size: {type: int, default: 1}\n")
    with pytest.raises(AnswerInvalid) as refused:
        engine(lab, box).update(lab.repository, "main", "v2", data={"size": "many"})
    assert refused.value.question == "size"
    with pytest.raises(AnswerInvalid, match="no question 'sise'"):
        engine(lab, box).update(lab.repository, "main", "v2", data={"sise": 2})


def test_a_pool_renders_in_boxes(lab: Lab, tmp_path: Path) -> None:
    fleet_of_one(lab)
    lab.release("v3", {"a.jinja": LOOP})
    options = EngineOptions(
        lab.template, lab.folder / "cache", box=tmp_path / "boxes", limits=Limits(cpu_seconds=1, wall_seconds=120)
    )
    requests = [Request(str(lab.repository), "main", tag) for tag in ("v2", "v3")]
    with UpdatePool(options, workers=1) as pool:
        results = {request.target: result for request, result in pool.update_all(requests)}
    assert results["v2"] == lab.update()
    assert isinstance(results["v3"], TemplateFault)
    assert "processor time" in str(results["v3"])


def test_extensions_are_refused_before_they_are_loaded(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copier's environment imports and calls what a template names; that must not happen to find out that it is not allowed."""
    write(tmp_path, {"evil_extension.py": f"open({str(tmp_path / 'owned')!r}, 'w')\n"})
    monkeypatch.syspath_prepend(str(tmp_path))
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"}, CONFIG + "_jinja_extensions: [evil_extension.Evil]\n")
    with pytest.raises(UnsafeTemplate):
        lab.update()
    assert not os.path.lexists(tmp_path / "owned")
    assert lab.update("v1").outcome is Outcome.CURRENT
