"""A repository that means harm: nothing of it is run, read outside of it, or written through."""

import os
from pathlib import Path

import pytest

from scaffolder.update import ConflictKind, Outcome
from scaffolder.update.errors import TemplateFault
from scaffolder.update.merge import LARGEST_FILE

from .conftest import CONFIG, Lab, git, write

TEN = "".join(f"{number}\n" for number in range(10))


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """A file that must not come to be."""
    return tmp_path / "owned"


def test_hooks_filters_and_monitors_of_the_repository_do_not_run(lab: Lab, owned: Path) -> None:
    lab.release("v1", {"a": TEN})
    lab.start()
    lab.edit({"a": "mine\n" + TEN, ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    lab.release("v2", {"a": TEN + "new\n"})
    script = lab.folder / "evil.sh"
    write(lab.folder, {"evil.sh*": f"#!/bin/sh\ntouch {owned}\ncat\n"})
    settings = {
        "filter.evil.clean": script,
        "filter.evil.smudge": script,
        "filter.evil.process": script,
        "diff.evil.command": script,
        "diff.evil.textconv": script,
        "merge.evil.driver": script,
        "diff.external": script,
        "core.fsmonitor": script,
        "core.hooksPath": lab.folder / "hooks",
        "core.sshCommand": script,
        "core.pager": script,
        "core.editor": script,
        "remote.origin.url": f"ext::{script}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
    }
    for key, value in settings.items():
        git(lab.repository, "config", key, str(value))
    for hook in ("reference-transaction", "pre-commit", "post-commit", "post-checkout", "post-index-change"):
        write(lab.folder / "hooks", {f"{hook}*": f"#!/bin/sh\ntouch {owned}\n"})
    update = lab.update()
    lab.engine.commit(lab.repository, update, branch="u", message="m", author="a <a@example.org>")
    lab.engine.drift(lab.repository, "main")
    assert lab.text(update, "a") == "mine\n" + TEN + "new\n"
    assert not owned.exists()


def test_links_out_of_the_repository_are_neither_read_nor_written(lab: Lab, owned: Path) -> None:
    owned.write_text(TEN)
    lab.release("v1", {"a": TEN, "d/b": TEN, "c": "1\n"})
    lab.start()
    write(lab.repository, {"d": None})
    lab.edit({"a": f"-> {owned}", "d": f"-> {owned.parent}", ".gitattributes": f"-> {owned}", "c": "2\n"})
    lab.release("v2", {"a": TEN + "new\n", "d/b": TEN + "new\n", "c": "3\n"})
    update = lab.update()
    assert owned.read_text() == TEN
    kinds = {conflict.path: conflict.kind for conflict in update.conflicts}
    assert kinds == {"a": ConflictKind.KEPT, "d/b": ConflictKind.KEPT, "c": ConflictKind.CONTENT}
    assert lab.tree(update.tree)["a"] == ("120000", os.fsencode(owned))
    assert {each.path: each.what for each in lab.engine.drift(lab.repository, "main")}["a"].startswith(
        "is a symbolic link"
    )


def test_a_submodule_in_the_place_of_a_file_is_kept(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n", "x": "1\n"})
    head = lab.start()
    git(lab.repository, "rm", "--quiet", "a")
    git(lab.repository, "update-index", "--add", "--cacheinfo", f"160000,{head},a")
    git(lab.repository, "commit", "--quiet", "--message", "submodule")
    lab.release("v2", {"a": "2\n", "x": "2\n"})
    update = lab.update()
    assert [(conflict.path, conflict.kind) for conflict in update.conflicts] == [("a", ConflictKind.KEPT)]
    assert lab.tree(update.tree)["a"][0] == "160000"
    assert lab.engine.drift(lab.repository, "main")[0].what.startswith("is a submodule")


def test_a_huge_file_costs_nothing_unless_it_is_the_template_s(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n", "b": "1\n"})
    lab.start()
    lab.edit({"data.bin": b"\0" * (LARGEST_FILE + 1)})
    lab.release("v2", {"a": "2\n", "b": "1\n"})
    assert lab.update().outcome is Outcome.CLEAN
    lab.edit({"a": b"\0" * (LARGEST_FILE + 1)})
    with pytest.raises(TemplateFault, match="a has 33554433 bytes"):
        lab.update()


def test_answers_are_values_and_never_templates(lab: Lab) -> None:
    lab.release("v1", {"a.jinja": "{{ name }}\n"})
    lab.start()
    evil = "{{ ''.__class__.__mro__ }}{% raw %}"
    lab.edit({"a": f"{evil}\n", ".copier-answers.yml": f'_commit: v1\n_src_path: {lab.template}\nname: "{evil}"\n'})
    lab.release("v2", {"a.jinja": "{{ name }}!\n"})
    assert lab.text(lab.update(), "a") == f"{evil}!\n"


def test_answers_do_not_lead_out_of_the_folder(lab: Lab) -> None:
    lab.release("v1", {"{{ name }}/a": "1\n"})
    lab.start()
    lab.edit({".copier-answers.yml": f"_commit: v1\n_src_path: {lab.template}\nname: ../../../up\n"})
    lab.release("v2", {"{{ name }}/a": "2\n"})
    with pytest.raises(TemplateFault, match="forbidden"):
        lab.update()


def test_external_data_is_read_from_the_commit_only(lab: Lab, owned: Path) -> None:
    owned.write_text("key: secret\n")
    config = CONFIG + "_external_data: {more: '{{ name }}'}\n"
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a.jinja": "{{ _external_data.more.key }}\n"}, config)
    for path in (str(owned), "../owned"):
        with pytest.raises(TemplateFault):
            lab.update(name=path)
    lab.edit({"link.yml": f"-> {owned}"})
    assert lab.text(lab.update(name="link.yml"), "a") == "\n"
