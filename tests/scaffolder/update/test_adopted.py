"""An adopted repository takes a template's update as one that was made from the template does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaffolder import release
from scaffolder.adopt import adopt
from scaffolder.release import SOURCE_URL, Release, ensure_released, source_setting
from scaffolder.update import TemplateStore, UpdateEngine
from tests.scaffolder.adopt.repositories import FASTAPI, SKLEARN, Existing

from .conftest import git, tree_of

pytestmark = pytest.mark.slow

HOME = "home"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(release.TEMPLATES, tmp_path / "templates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "TEMPLATES", tmp_path / "templates")
        yield tmp_path


def next_release(folder: Path) -> Release:
    """Release the template with a page more and a change to one that every adopted repository got."""
    template = folder / "templates" / release.TEMPLATE / "template"
    (template / "docs" / "support.md.jinja").write_text("Owned by {{ owner }}.\n")
    runbook = template / "docs" / "runbook.md.jinja"
    text = runbook.read_text()
    assert "\n## " in text
    runbook.write_text(text.replace("\n## ", "\nAsk in office hours.\n\n## ", 1))
    return ensure_released(folder / HOME)


def test_same_as_copier_and_own_files_stay(folder: Path) -> None:
    from copier import Settings, run_update
    from plumbum import local

    repository = Existing.make(folder / "churn", {**SKLEARN, **FASTAPI})
    data = {"owner": "group:default/risk", "classification": "internal", "uri": "s3://lake/churn"}
    adopt(repository.path, data=data, with_lock=False, home=folder / HOME)
    repository.git("merge", "--quiet", "platform/adopt")
    # What an adoption merged is the team's own from there on.
    own = {"README.md": "# Ours\n", ".gitignore": (repository.path / ".gitignore").read_text() + "ours/\n"}
    repository.write(own)
    repository.commit("Our own words")
    before = tree_of(repository.path, "HEAD")

    released = next_release(folder)
    engine = UpdateEngine(TemplateStore(released.repository, cache=folder / "versions", addresses={SOURCE_URL}))
    update = engine.update(repository.path, "main", released.tag)
    after = tree_of(repository.path, update.recorded_tree)

    key, value = source_setting(folder / HOME)
    with local.env(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=key, GIT_CONFIG_VALUE_0=value):
        run_update(
            repository.path, vcs_ref=released.tag, defaults=True, overwrite=True, quiet=True, settings=Settings()
        )
    git(repository.path, "add", "--all", "--force")
    assert after == tree_of(repository.path, git(repository.path, "write-tree").strip())

    assert not update.conflicts
    assert "docs/support.md" in after
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed == {".copier-answers.yml", "docs/runbook.md"}
    assert b"Ask in office hours." in after["docs/runbook.md"][1]
