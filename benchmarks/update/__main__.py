"""A template fix for a fleet: our update engine against a loop of ``copier update``, over the same repositories in one run.

The repositories are made from the golden path; a third of them is edited by hand, some so that the update conflicts. Every
result is compared: the trees have to be the same, byte by byte, and so do the conflicted files.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import report
from scaffolder import release
from scaffolder.api import new_repository
from scaffolder.git import git_in
from scaffolder.release import SOURCE_URL, Release, ensure_released, source_setting
from scaffolder.update import ConflictKind, EngineOptions, Request, Update, UpdateEngine, UpdatePool
from scaffolder.update.store import TemplateStore

CHUNK = 10
WORKERS = 2
PAIRS_UP_TO = 40
OPTIONS = {9: " --quick", 200: " --full"}
BRANCH = "platform/update"
AUTHOR = "ML platform <ml-platform@localhost>"

TEMPLATE_CHANGES = {
    "Makefile.jinja": [
        ("lock: $(UV)  ##", "lock: setup  ##"),
        ("help:\n", "clean:  ## forget what was built\n\t@rm -rf build\n\nhelp:\n"),
    ],
    "{{ github }}/workflows/ci.yml.jinja": [("name:", "# Runs on every push.\nname:")],
    "pyproject.toml.jinja": [("line-length = 120", "line-length = 110")],
    "docs/runbook.md.jinja": [("\n## ", "\nAsk in office hours when in doubt.\n\n## ")],
    "README.md.jinja": [("\n## ", "\nKept current by the platform.\n\n## ")],
}
EDITS = (
    ("src/{package}/features.py", lambda text: text + "\n\ndef own() -> int:\n    return 1\n"),
    ("Makefile", lambda text: text + "\nreport: setup\n\t@$(RUN) python -m report\n"),
    ("README.md", lambda text: text.replace("\n", "\n\nOur team's model.\n", 1)),
    ("pyproject.toml", lambda text: text.replace("line-length = 120", "line-length = 100")),
    ("Makefile", lambda text: text.replace("lock: $(UV)  ##", "lock: $(UV) test  ##")),
)


@dataclass
class Fleet:
    """Repositories as a git host has them, bare, and two clean worktrees of each for Copier."""

    root: Path
    names: list[str] = field(default_factory=list)

    def bare(self, name: str) -> Path:
        return self.root / "git" / f"{name}.git"

    def worktree(self, name: str, which: str = "one") -> Path:
        return self.root / which / name


def make_fleet(root: Path, home: Path, size: int) -> Fleet:
    fleet = Fleet(root)
    for number in range(size):
        name = f"model-{number}"
        data = {"tier": 1 + number % 3, "description": f"Predicts thing number {number}."}
        made = new_repository(name, type="realtime", data=data, defaults=True, dest=root / "one", home=home)
        if number % 3 == 0:
            edit(made.path, name.replace("-", "_"), number // 3)
        git_in(root).clone("--quiet", "--bare", str(made.path), str(fleet.bare(name)))
        shutil.copytree(made.path, fleet.worktree(name, "two"), symlinks=True)
        fleet.names.append(name)
    return fleet


def edit(folder: Path, package: str, number: int) -> None:
    """Change a repository as engineers do; every other of them in two places."""
    for path, change in [EDITS[number % len(EDITS)], EDITS[(number + 2) % len(EDITS)]][: 1 + number % 2]:
        file = folder / path.format(package=package)
        before = file.read_text()
        after = change(before)
        assert after != before, f"the edit of {path} no longer finds its place"
        file.write_text(after)
    git = git_in(folder)
    git.execute(
        [
            "git",
            "-C",
            str(folder),
            "-c",
            "user.name=E",
            "-c",
            "user.email=e@example.org",
            "commit",
            "-qam",
            "Own changes",
        ]
    )


def change_template(templates: Path) -> None:
    for path, replacements in TEMPLATE_CHANGES.items():
        file = templates / release.TEMPLATE / "template" / path
        text = file.read_text()
        for before, after in replacements:
            assert before in text, f"{path} has no {before!r} any more"
            text = text.replace(before, after, 1)
        file.write_text(text)
    new = templates / release.TEMPLATE / "template" / "docs" / "support.md.jinja"
    new.write_text("# Support\n\nOwned by {{ owner }}.\n")


def copier_update(folder: Path, tag: str, environment: dict[str, str]) -> None:
    command = ["update", "--defaults", "--conflict", "inline", "--vcs-ref", tag, "--quiet"]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "copier"), *command],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"copier update of {folder.name} ended with {done.returncode}:\n{done.stderr.strip()}")


def outcome_of(folder: Path) -> tuple[str, set[str]]:
    """What Copier left in a worktree: the tree of everything there, and the files it marked as conflicted."""
    git = git_in(folder)
    conflicted = {line.partition("\t")[2] for line in git.ls_files("--unmerged").splitlines()}
    git.add("--all", "--force")
    return str(git.write_tree()), conflicted


def compare(fleet: Fleet, results: dict[str, Update], *, worktrees: tuple[str, ...]) -> tuple[int, int]:
    """Check each result against Copier's; returns how many repositories there were and how many conflicted."""
    conflicted = 0
    for name in fleet.names:
        update = results[name]
        ours = {conflict.path for conflict in update.conflicts if conflict.kind is ConflictKind.CONTENT}
        for which in worktrees:
            tree, theirs = outcome_of(fleet.worktree(name, which))
            assert (update.recorded_tree, ours) == (tree, theirs), f"{name} differs from what Copier made of it"
        conflicted += bool(ours)
    return len(fleet.names), conflicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="9 repositories")
    size.add_argument("--full", action="store_true", help="200 repositories")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-update-") as temporary:
        measure(Path(temporary), 9 if arguments.quick else 200 if arguments.full else 40)


def measure(root: Path, size: int) -> None:
    home, templates = root / "home", root / "templates"
    shutil.copytree(release.TEMPLATES, templates)
    release.TEMPLATES = templates
    ensure_released(home)
    fleet = make_fleet(root, home, size)
    change_template(templates)
    released = ensure_released(home)
    pairs = size <= PAIRS_UP_TO
    seconds, results = run(root, home, fleet, released, pairs=pairs)
    checked, conflicted = compare(fleet, results, worktrees=("one", "two") if pairs else ("one",))
    base = seconds["a loop of `copier update`"]
    report.write(
        "update",
        title="Updating a fleet to a template fix",
        command=f"python -m benchmarks.update{OPTIONS.get(size, '')}",
        header=("way", f"{size} repositories", "one", "a loop of `copier update` takes"),
        rows=[
            (way, f"{value:.1f} s", f"{1000 * value / size:.0f} ms", f"{base / value:.1f}×")
            for way, value in seconds.items()
        ],
        notes=(
            f"In chunks of {CHUNK}, the ways in turn. All {checked} results were compared with Copier's in the run: the "
            f"same trees byte by byte, the same conflicted files ({conflicted} repositories). Ours starts its processes and "
            f"checks both versions out within the time, and ends with a commit on a branch of the bare repository."
        ),
        raw={
            "seconds": seconds,
            "repositories": size,
            "conflicted": conflicted,
            "identical": checked,
        },
    )


def run(
    root: Path, home: Path, fleet: Fleet, released: Release, *, pairs: bool
) -> tuple[dict[str, float], dict[str, Update]]:
    setting, prefix = source_setting(home)
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": setting,
        "GIT_CONFIG_VALUE_0": prefix,
        "COPIER_CACHE_DIR": str(root / "copier"),
    }
    cache, addresses = root / "versions", frozenset({SOURCE_URL})
    engine = UpdateEngine(TemplateStore(released.repository, cache=cache, addresses=addresses))
    loop, pair, ours = (
        "a loop of `copier update`",
        "`copier update`, two at a time",
        f"`UpdatePool`, {WORKERS} processes",
    )
    seconds = {loop: 0.0, **({pair: 0.0} if pairs else {}), ours: 0.0}
    results: dict[str, Update] = {}
    start = time.perf_counter()
    with UpdatePool(EngineOptions(released.repository, cache, addresses), workers=WORKERS) as pool:
        seconds[ours] += time.perf_counter() - start
        for first in range(0, len(fleet.names), CHUNK):
            chunk = fleet.names[first : first + CHUNK]
            start = time.perf_counter()
            paths = {str(fleet.bare(name)): name for name in chunk}
            for request, update in pool.update_all(Request(path, "main", released.tag) for path in paths):
                assert isinstance(update, Update), update
                repository = Path(request.repository)
                engine.commit(repository, update, branch=BRANCH, message=f"Update to {released.tag}", author=AUTHOR)
                results[paths[request.repository]] = update
            seconds[ours] += time.perf_counter() - start
            start = time.perf_counter()
            for name in chunk:
                copier_update(fleet.worktree(name), released.tag, environment)
            seconds[loop] += time.perf_counter() - start
            if not pairs:
                continue
            start = time.perf_counter()
            with ThreadPoolExecutor(WORKERS) as threads:
                list(
                    threads.map(
                        lambda name: copier_update(fleet.worktree(name, "two"), released.tag, environment), chunk
                    )
                )
            seconds[pair] += time.perf_counter() - start
    return seconds, results


if __name__ == "__main__":
    main()
