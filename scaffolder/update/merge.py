"""Merge a new render of a template into a repository's files, as Copier's update does it in a worktree.

The steps and their order are Copier's (``Worker._apply_update``); the commands that decide what the result looks like are
the same: ``git add`` with the ignore and attribute files of the render, ``git diff`` with three lines of context, ``git apply
--reject`` and ``git merge-file``. What differs is where they run: only the files that the template has to do with are checked
out, in a folder of our own, and nothing is committed on the way.

Three things differ in the result, each because Copier would lose what an engineer wrote:

* What the template did not change stays as it is in the repository. Copier puts the template's file back where the engineer's
  can't be expressed as a text patch (binary content) or is ignored by the render's own ``.gitignore``.
* Text that isn't UTF-8 keeps its bytes. Copier drops those it can't decode.
* Nothing is written through a symbolic link, or over a folder where the template has a file, and the other way round. The
  repository's stays and is reported. Copier writes through the link, or ends with a traceback.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from filecmp import dircmp
from pathlib import Path

from scaffolder.update.errors import TemplateFault
from scaffolder.update.files import (
    Content,
    folders_of,
    parents,
    path_matcher,
    read_content,
    read_folder,
    refuse_git_paths,
    write_content,
)
from scaffolder.update.jobs import Renders
from scaffolder.update.plumbing import EXECUTABLE, FILE, Entry, ObjectStore, Tree

OURS, BASE, THEIRS = "before updating", "last update", "after updating"
MARKERS = (f"<<<<<<< {OURS}".encode(), f">>>>>>> {THEIRS}".encode())
LARGEST_FILE = 32 * 1024 * 1024
_CONTEXT_LINES = 3
LABELS = ("-L", OURS, "-L", BASE, "-L", THEIRS)


@dataclass
class Merged:
    """What a merge came to.

    Attributes:
        tree: All that the repository holds afterwards.
        conflicted: Files with conflict markers.
        kept: Files of the repository that stay although the template has something else there now.
        overwritten: Files that an engineer changed and the template replaced, where no merge is possible.
        deleted: Files that an engineer changed and the template no longer has.
        preserved: Files where Copier's own update would have lost what an engineer wrote.
        old: What the old version rendered, by path.
        new: What the new version rendered, by path.
    """

    tree: dict[str, Entry]
    conflicted: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    preserved: list[str] = field(default_factory=list)
    old: dict[str, Content] = field(default_factory=dict)
    new: dict[str, Content] = field(default_factory=dict)


class Merge:
    """One merge, in a folder that is thrown away afterwards.

    Args:
        store: A git directory that sees the repository's objects.
        project: What the repository holds.
        renders: The template's renders; files that can't be merged are taken out of them.
        work_tree: An empty folder for the checked-out files.
        into: The objects directory where what the result consists of is written.
    """

    def __init__(self, store: ObjectStore, project: Tree, renders: Renders, work_tree: Path, into: Path) -> None:
        self._store = store
        self._project = project
        self._renders = renders
        self._work_tree = work_tree
        self._into = into
        self._skip_current = self._skip = path_matcher(renders.skip)
        self._old = read_folder(renders.old)
        self._current = read_folder(renders.current)
        self._new = dict(self._current) if renders.new == renders.current else read_folder(renders.new)
        self._base: dict[str, Entry] = {}
        self._other_bytes: list[str] = []

    def run(self) -> Merged:
        """Merge, and return the result.

        Raises:
            TemplateFault: the template renders something that no repository can hold.
        """
        merged = Merged(dict(self._project), old=dict(self._old), new=dict(self._new))
        merged.kept = self._set_aside()
        ours = self._check_out()
        self._base = base = self._add("old", self._renders.old, self._old)
        removed = self._removed(base)
        self._lay_over(removed)
        theirs = self._add("new", self._renders.new, self._new)
        self._add_empty(base, theirs)
        rejected = self._apply(base)
        merged.conflicted = self._merge_rejected(rejected)
        self._remove_old()
        after = self._result()
        for path in ours.keys() | after.keys():
            if path in after:
                merged.tree[path] = after[path]
            else:
                del merged.tree[path]
        merged.preserved = self._other_bytes
        self._restore_unchanged(merged)
        self._find_losses(merged, set(rejected))
        return merged

    def _set_aside(self) -> list[str]:
        """Take out of the renders what has no file to be merged with, and say where the template had something new."""
        kept = []
        folders = folders_of(self._project)
        for path in sorted(self._old.keys() | self._current.keys() | self._new.keys()):
            refuse_git_paths(path)
            if not self._is_odd(path, folders):
                continue
            old, new = self._old.get(path), self._current.get(path)
            if new is not None and new != old:
                kept.append(path)
            for rendered, folder in (
                (self._old, self._renders.old),
                (self._current, self._renders.current),
                (self._new, self._renders.new),
            ):
                if rendered.pop(path, None) is not None:
                    (folder / path).unlink(missing_ok=True)  # one folder may be both renders of the new version
        return kept

    def _is_odd(self, path: str, folders: set[str]) -> bool:
        """Say whether the repository has something at this path that the template's file can't be merged with."""
        if path in folders or any(parent in self._project for parent in parents(path)):
            return True
        entry = self._project.get(path)
        if entry is None:
            return False
        rendered = [each for each in (self._old.get(path), self._current.get(path)) if each is not None]
        if all(mode in (FILE, EXECUTABLE) for mode in (entry.mode, *(each.mode for each in rendered))):
            return False
        old = self._old.get(path)
        return old is None or entry != self._entry(old)

    def _entry(self, content: Content) -> Entry:
        import hashlib

        header = f"blob {len(content.data)}\0".encode()
        return Entry(content.mode, hashlib.sha1(header + content.data, usedforsecurity=False).hexdigest())

    def _check_out(self) -> dict[str, Entry]:
        """Check out the repository's files that the template has to do with, and return them."""
        concerned = self._old.keys() | self._current.keys() | self._new.keys()
        above = {parent for path in concerned for parent in parents(path)} | {""}
        attributes = {f"{parent}/.gitattributes".lstrip("/") for parent in above}
        entries = {path: self._project[path] for path in concerned | attributes if path in self._project}
        sizes = self._store.sizes(entry.oid for entry in entries.values())
        for path, entry in entries.items():
            if sizes[entry.oid] > LARGEST_FILE:
                raise TemplateFault(
                    f"{path} has {sizes[entry.oid]} bytes here; files of the template are merged up to {LARGEST_FILE}",
                    fix="move the data elsewhere and put the template's file back",
                )
        self._store.fill_index("project", entries)
        self._store.run("checkout-index", "--all", "--force", index="project", work_tree=self._work_tree)
        return entries

    def _add(self, index: str, folder: Path, rendered: Mapping[str, Content]) -> dict[str, Entry]:
        """Let git add a render to an index, by the render's own ignore and attribute files."""
        if not rendered:
            return {}
        self._store.run("add", ".", index=index, work_tree=folder)
        return self._store.indexed(index)

    def _removed(self, base: Tree) -> list[str]:
        """Find the files that were removed from the repository on purpose.

        Copier looks at the patterns of files to leave alone as soon as it sees the first such file, which is before it asked
        anything, and doesn't look again.
        """
        gone = [path for path in base if path not in self._project]
        if gone and self._renders.skip_unanswered is not None:
            self._skip = path_matcher(self._renders.skip_unanswered)
        return [path for path in gone if not self._skip(path)]

    def _lay_over(self, removed: Iterable[str]) -> None:
        """Write the new version over the checked-out files, as Copier's render into a repository does."""
        for path, content in self._current.items():
            place = self._work_tree / path
            there = read_content(place)
            if there == content or (there is not None and self._skip_current(path)):
                continue
            write_content(place, content)
        for path in removed:
            (self._work_tree / path).unlink(missing_ok=True)
            (self._renders.new / path).unlink(missing_ok=True)
            self._new.pop(path, None)

    def _add_empty(self, base: dict[str, Entry], theirs: Tree) -> None:
        """Give files that both sides added an empty base, so that neither side's content is thrown away."""
        both = sorted((self._project.keys() - base.keys()) & (theirs.keys() - base.keys()))
        for path in both:
            place = self._renders.old / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch((self._work_tree / path).stat().st_mode)
        if both:
            names = b"".join(os.fsencode(path) + b"\0" for path in both)
            self._store.run(
                "--literal-pathspecs",
                "add",
                "--force",
                "--pathspec-from-file=-",
                "--pathspec-file-nul",
                stdin=names,
                index="old",
                work_tree=self._renders.old,
            )
            base.update(self._store.indexed("old"))

    def _apply(self, base: Tree) -> list[str]:
        """Apply what engineers changed since the last update to the new files, and return those where it did not fit."""
        changed = [path for path, entry in base.items() if path in self._project and self._project[path] != entry]
        if not changed:
            return self._rejections(())
        before, after = (
            self._store.run("write-tree", index=index).out.decode().strip() for index in ("old", "project")
        )
        # With the render's work tree and index, so that its attribute files say what is text.
        patch = self._store.run(
            "diff-tree",
            "--diff-filter=M",
            "--no-ext-diff",
            "--no-textconv",
            f"--unified={_CONTEXT_LINES}",
            "--inter-hunk-context=-1",
            before,
            after,
            index="old",
            work_tree=self._renders.old,
        ).out
        self._other_bytes = self._not_text(patch, changed)
        skipped = [f"--exclude={_escaped(path)}" for path in changed if self._skip(path)]
        self._store.run(
            "apply",
            "--reject",
            f"--exclude={self._renders.answers_path}",
            *skipped,
            stdin=patch,
            index="project",
            work_tree=self._work_tree,
            check=False,
        )
        return self._rejections(changed)

    def _not_text(self, patch: bytes, changed: Iterable[str]) -> list[str]:
        """Find the files that make a patch something else than UTF-8."""
        if _is_utf8(patch):
            return []
        blobs = self._store.blobs(self._project[path].oid for path in changed)
        return [
            path
            for path in changed
            if not (_is_utf8(blobs[self._project[path].oid]) and _is_utf8((self._renders.old / path).read_bytes()))
        ]

    def _rejections(self, changed: Iterable[str]) -> list[str]:
        """Find what Copier takes for rejected patches: ``.rej`` files that are not in the repository."""
        candidates = {f"{path}.rej" for path in changed} | {path for path in self._current if path.endswith(".rej")}
        folders = folders_of(self._project) | {""}
        return [
            rejection.removesuffix(".rej")
            for rejection in sorted(candidates)
            if rejection not in self._project
            and (self._work_tree / rejection).is_file()
            and rejection.rpartition("/")[0] in folders
        ]

    def _merge_rejected(self, rejected: Iterable[str]) -> list[str]:
        """Merge files whose patch did not fit line by line, and return those that have conflict markers now."""
        conflicted = []
        for path in rejected:
            place = self._work_tree / path
            if path not in self._project or read_content(self._renders.old / path) is None:
                raise TemplateFault(f"the template has a file {path}.rej, which Copier takes for a rejected patch")
            self._store.run("checkout-index", "--force", "--", path, index="project", work_tree=self._work_tree)
            if (self._renders.new / path).is_file():
                self._store.run(
                    "merge-file",
                    *LABELS,
                    "--",
                    path,
                    str(self._renders.old / path),
                    str(self._renders.new / path),
                    work_tree=self._work_tree,
                    check=False,
                )
            Path(f"{place}.rej").unlink()
            if has_markers(place.read_bytes()):
                conflicted.append(path)
        return conflicted

    def _remove_old(self) -> None:
        """Remove what the template no longer has, by Copier's own rules."""
        from copier._main import _remove_old_files

        _remove_old_files(self._work_tree, dircmp(self._renders.old, self._renders.new))

    def _result(self) -> dict[str, Entry]:
        """Put everything that lies in the work tree into the repository's object store, and return it."""
        self._store.run("add", "--all", "--force", ".", index="project", work_tree=self._work_tree, into=self._into)
        return self._store.indexed("project")

    def _restore_unchanged(self, merged: Merged) -> None:
        """Leave files as they are in the repository that the template did not change between the versions."""
        for path, entry in self._project.items():
            old, new = self._old.get(path), self._new.get(path)
            if old is not None and old == new and path != self._renders.answers_path and merged.tree.get(path) != entry:
                merged.tree[path] = entry
                merged.preserved.append(path)
                if path in merged.conflicted:
                    merged.conflicted.remove(path)

    def _find_losses(self, merged: Merged, rejected: set[str]) -> None:
        """Find files where what an engineer changed is gone without a conflict marker."""
        for path, old in self._old.items():
            entry = self._project.get(path)
            if entry is None or path == self._renders.answers_path or self._skip(path):
                continue
            if entry == self._base.get(path, self._entry(old)):
                continue
            if path not in merged.tree:
                merged.deleted.append(path)
            elif path not in rejected and merged.tree[path] != entry and self._is_current(path, merged.tree[path]):
                merged.overwritten.append(path)

    def _is_current(self, path: str, entry: Entry) -> bool:
        """Say whether a file is just what the new version wrote, without anything of the engineer's change."""
        content = self._current.get(path)
        return content is not None and entry == self._entry(content)


def has_markers(content: bytes) -> bool:
    """Say whether a file has conflict markers of an update."""
    return any(line.rstrip() in MARKERS for line in content.splitlines())


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _escaped(path: str) -> str:
    from copier._tools import escape_git_path

    return escape_git_path(path)
