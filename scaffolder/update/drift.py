"""Find where a repository differs from what its template made."""

import re

from scaffolder.update.files import Content, path_matcher, read_folder, refuse_git_paths
from scaffolder.update.jobs import Renders
from scaffolder.update.models import Change, Drift
from scaffolder.update.plumbing import COMMIT, EXECUTABLE, LINK, Entry, ObjectStore, Tree

_HUNK = re.compile(rb"^@@ -\d+(?:,(?P<deleted>\d+))? \+(?P<start>\d+)(?:,(?P<added>\d+))? @@")
_KINDS = {LINK: "a symbolic link", COMMIT: "a submodule", EXECUTABLE: "executable"}


def find_drift(store: ObjectStore, project: Tree, renders: Renders, answers_file: str) -> list[Drift]:
    """Compare what the template rendered with what the repository holds."""
    once = path_matcher(renders.skip)
    rendered = {
        path: content for path, content in read_folder(renders.old).items() if path != answers_file and not once(path)
    }
    for path in rendered:
        refuse_git_paths(path)
    if not rendered:
        return []
    # By the render's own attributes, as an update compares.
    store.run("add", "--all", "--force", ".", index="old", work_tree=renders.old)
    template = store.indexed("old")
    changed = [path for path in rendered if path in project and project[path] != template[path]]
    numbers = _lines(store, {path: (template[path], project[path]) for path in changed}, renders)
    found = []
    for path in sorted(rendered):
        if path not in project:
            found.append(Drift(path, Change.REMOVED, deleted=_line_count(rendered[path])))
        elif path in numbers:
            found.append(_drift(path, template[path], project[path], *numbers[path]))
    return found


def _drift(path: str, template: Entry, project: Entry, added: int, deleted: int, lines: tuple[int, ...]) -> Drift:
    what = ""
    if template.mode != project.mode:
        here, there = (_KINDS.get(mode, "an ordinary file") for mode in (project.mode, template.mode))
        what = f"is {here}; the template has {there}"
    elif not (added or deleted):
        what = "has other binary content"
    return Drift(path, Change.CHANGED, added, deleted, lines, what)


def _lines(
    store: ObjectStore, pairs: dict[str, tuple[Entry, Entry]], renders: Renders
) -> dict[str, tuple[int, int, tuple[int, ...]]]:
    """Count the lines that differ, by one diff of all the files."""
    if not pairs:
        return {}
    trees = []
    for name, side in (("before", 0), ("after", 1)):
        store.fill_index(name, {path: pair[side] for path, pair in pairs.items()})
        # A submodule's commit is not among the repository's objects.
        trees.append(store.run("write-tree", "--missing-ok", index=name).out.decode().strip())
    options = ("--unified=0", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color", "-r", "-p")
    found = {}
    for path in pairs:
        patch = store.run(
            "--literal-pathspecs", "diff-tree", *options, *trees, "--", path, index="old", work_tree=renders.old
        ).out
        added, deleted = 0, 0
        lines: list[int] = []
        for match in filter(None, map(_HUNK.match, patch.split(b"\n"))):
            more, fewer = (int(match[group]) if match[group] is not None else 1 for group in ("added", "deleted"))
            lines.extend(range(int(match["start"]), int(match["start"]) + more))
            added, deleted = added + more, deleted + fewer
        found[path] = (added, deleted, tuple(lines))
    return found


def _line_count(content: Content) -> int:
    return content.data.count(b"\n") + (not content.data.endswith(b"\n") if content.data else 0)
