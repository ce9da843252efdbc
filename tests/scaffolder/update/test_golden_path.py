"""The golden path itself: two releases of it, and repositories with what engineers typically do to them."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaffolder import release
from scaffolder.api import new_repository
from scaffolder.engine import render
from scaffolder.release import SOURCE_URL, Release, ensure_released, source_setting
from scaffolder.update import ConflictKind, Outcome, TemplateStore, UpdateEngine

from .conftest import commit, git, tree_of

pytestmark = pytest.mark.slow

Change = Callable[[str], str]
FIXES: dict[str, Change] = {
    "Makefile.jinja": lambda text: text.replace("lock: $(UV)  ##", "lock: setup  ##"),
    "{{ github }}/workflows/ci.yml.jinja": lambda text: text.replace("timeout-minutes: 30", "timeout-minutes: 45"),
    "pyproject.toml.jinja": lambda text: text.replace("line-length = 120", "line-length = 110"),
    "docs/runbook.md.jinja": lambda text: text.replace("\n## ", "\nAsk in office hours.\n\n## ", 1),
}
EDITS: dict[str, dict[str, Change]] = {
    "untouched": {},
    "own code": {"src/churn/features.py": lambda text: f"{text}\n\ndef own() -> int:\n    return 1\n"},
    "own target": {"Makefile": lambda text: f"{text}\nreport: setup\n\t@$(RUN) python -m report\n"},
    "another line length": {"pyproject.toml": lambda text: text.replace("line-length = 120", "line-length = 100")},
    "the same fix": {"Makefile": FIXES["Makefile.jinja"]},
    "another timeout": {
        ".github/workflows/ci.yml": lambda text: text.replace("timeout-minutes: 30", "timeout-minutes: 60")
    },
    "own runbook": {"docs/runbook.md": lambda _text: "# Our runbook\n"},
}
CONFLICTS = {
    "another line length": "pyproject.toml",
    "another timeout": ".github/workflows/ci.yml",
    "own runbook": "docs/runbook.md",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Release]]:
    """One repository at the first release, and a second release of the template with fixes."""
    folder = tmp_path_factory.mktemp("fleet")
    shutil.copytree(release.TEMPLATES, folder / "templates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "TEMPLATES", folder / "templates")
        new_repository("churn", type="realtime", defaults=True, dest=folder, home=folder / "home")
        for path, fix in FIXES.items():
            file = folder / "templates" / release.TEMPLATE / "template" / path
            before = file.read_text()
            file.write_text(fix(before))
            assert file.read_text() != before, f"the fix of {path} no longer finds its place"
        (folder / "templates" / release.TEMPLATE / "template" / "docs" / "support.md.jinja").write_text(
            "Owned by {{ owner }}.\n"
        )
        yield folder, ensure_released(folder / "home")


@pytest.mark.parametrize("work", EDITS)
def test_same_as_copier(fleet: tuple[Path, Release], tmp_path: Path, work: str) -> None:
    from copier import Settings, run_update
    from plumbum import local

    folder, released = fleet
    repository = tmp_path / "churn"
    shutil.copytree(folder / "churn", repository, symlinks=True)
    for path, change in EDITS[work].items():
        before = (repository / path).read_text()
        (repository / path).write_text(change(before))
        assert (repository / path).read_text() != before
    commit(repository)

    store = TemplateStore(released.repository, cache=folder / "versions", addresses={SOURCE_URL})
    engine = UpdateEngine(store)
    update = engine.update(repository, "main", released.tag)

    key, value = source_setting(folder / "home")
    with local.env(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=key, GIT_CONFIG_VALUE_0=value):
        run_update(repository, vcs_ref=released.tag, defaults=True, overwrite=True, quiet=True, settings=Settings())
    git(repository, "add", "--all", "--force")
    assert tree_of(repository, update.recorded_tree) == tree_of(repository, git(repository, "write-tree").strip())
    conflicted = [conflict.path for conflict in update.conflicts if conflict.kind is ConflictKind.CONTENT]
    assert conflicted == ([CONFLICTS[work]] if work in CONFLICTS else [])
    assert update.outcome is (Outcome.CONFLICTS if conflicted else Outcome.CLEAN)
    assert [drift.path for drift in engine.drift(repository, update.head)] == sorted(EDITS[work])


def test_what_is_rendered_is_what_copier_renders(fleet: tuple[Path, Release], tmp_path: Path) -> None:
    """Also the second time, when everything was compiled before, and with other answers in between."""
    from copier import Settings, run_copy

    _, released = fleet
    data = {"name": "wine", "tier": 1, "system": "system:default/cellar"}
    for number, answers in enumerate(({"name": "churn"}, data, data)):
        render(released, tmp_path / f"ours-{number}", answers, defaults=True)
    options = {"vcs_ref": released.tag, "defaults": True, "quiet": True, "settings": Settings()}
    run_copy(str(released.repository), tmp_path / "copier", data=data, **options)  # type: ignore[arg-type]
    assert contents(tmp_path / "ours-2") == contents(tmp_path / "copier")
    answers = [(tmp_path / name / ".copier-answers.yml").read_text() for name in ("ours-2", "copier")]
    assert answers[0] == answers[1].replace(str(released.repository), SOURCE_URL)


def contents(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """What a render made, but for the answers file: content by path, and whether it is executable."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), os.access(path, os.X_OK))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".copier-answers.yml"
    }
