"""Describe conflicts: both sides and the base of each, and what can safely be done about it."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from scaffolder.update.files import Content
from scaffolder.update.jobs import Renders
from scaffolder.update.merge import BASE, LABELS, OURS, THEIRS, Merged
from scaffolder.update.models import Conflict, ConflictKind, Hunk, Suggestion
from scaffolder.update.plumbing import EXECUTABLE, FILE, ObjectStore, Tree
from scaffolder.update.suggest import regenerated, suggest, whole_file
from scaffolder.update.suggest.lines import cosmetic_only

_START, _MIDDLE, _SPLIT, _END = (f"<<<<<<< {OURS}", f"||||||| {BASE}", "=======", f">>>>>>> {THEIRS}")
LONGEST_TEXT = 64 * 1024
"""Longest side of a hunk, and longest suggestion, that is described; in characters."""
_ALIKE = 0.5


def find_conflicts(
    store: ObjectStore, project: Tree, renders: Renders, merged: Merged, derived: Mapping[str, str]
) -> tuple[Conflict, ...]:
    """Return everything of a merge that somebody has to look at, by path.

    Args:
        store: Where the merge's objects are.
        project: What the repository held before.
        renders: The template's renders.
        merged: What the merge came to.
        derived: Commands that make files again, by pattern of their path.
    """
    describer = _Describer(store, project, renders, merged, derived)
    found = [describer.content(path) for path in merged.conflicted]
    found += [describer.deleted(path) for path in merged.deleted]
    for kind, paths in ((ConflictKind.OVERWRITTEN, merged.overwritten), (ConflictKind.KEPT, merged.kept)):
        found += [Conflict(path, kind, suggestion=regenerated(path, None, derived)) for path in paths]
    return tuple(sorted(found, key=lambda conflict: conflict.path))


class _Describer:
    """Describes the conflicts of one merge."""

    def __init__(
        self, store: ObjectStore, project: Tree, renders: Renders, merged: Merged, derived: Mapping[str, str]
    ) -> None:
        self._store = store
        self._project = project
        self._renders = renders
        self._merged = merged
        self._derived = derived

    def content(self, path: str) -> Conflict:
        """Describe a file with conflict markers."""
        ours = self._ours(path)
        parts = split(self._merge_with_base(ours, path, self._renders.new / path))
        resolved = [part if isinstance(part, str) else _with_suggestion(path, part) for part in parts]
        hunks = tuple(_shortened(part) for part in resolved if isinstance(part, Hunk))
        theirs = self._merged.new.get(path)
        suggestion = regenerated(path, None if theirs is None else _text(theirs.data), self._derived)
        return Conflict(
            path, ConflictKind.CONTENT, hunks, self._markers(path), suggestion or whole_file(resolved, LONGEST_TEXT)
        )

    def deleted(self, path: str) -> Conflict:
        """Describe a changed file that the template no longer has."""
        ours, old = self._ours(path), self._merged.old[path]
        suggestion = self._moved(path, ours, old)
        before, after = _text(old.data), _text(ours)
        if suggestion is None and before is not None and after is not None and cosmetic_only(path, before, after):
            suggestion = Suggestion(
                "cosmetic",
                "Only white space or comments were changed here, so nothing is lost with the file.",
                text=None,
            )
        return Conflict(path, ConflictKind.DELETED, suggestion=suggestion)

    def _moved(self, path: str, ours: bytes, old: Content) -> Suggestion | None:
        """Look for the file that the template has instead now, and try the engineer's changes on it."""
        target = self._likeliest_move(path, old)
        if target is None:
            return None
        merged = self._merge_with_base(ours, path, self._renders.new / target)
        text = _text(merged)
        if text is None or len(text) > LONGEST_TEXT or any(isinstance(part, Hunk) for part in split(merged)):
            return None
        reason = f"The template has it as {target} now, and the changes made here fit in there without a conflict."
        return Suggestion("moved", reason, text=text, path=target)

    def _likeliest_move(self, path: str, old: Content) -> str | None:
        before = _text(old.data)
        if before is None or len(before) > LONGEST_TEXT:
            return None
        best, likeness = None, _ALIKE
        for candidate, content in sorted(self._merged.new.items()):
            if candidate in self._merged.old or candidate in self._project or content.mode not in (FILE, EXECUTABLE):
                continue
            text = _text(content.data)
            if text is None or len(text) > LONGEST_TEXT:
                continue
            matcher = difflib.SequenceMatcher(None, before.splitlines(), text.splitlines(), autojunk=False)
            if (
                matcher.real_quick_ratio() > likeness
                and matcher.quick_ratio() > likeness
                and matcher.ratio() > likeness
            ):
                best, likeness = candidate, matcher.ratio()
        return best

    def _merge_with_base(self, ours: bytes, path: str, theirs: Path) -> bytes:
        place = self._store.folder / "ours"
        place.write_bytes(ours)
        old = self._renders.old / path
        return self._store.run(
            "merge-file", "-p", "--diff3", *LABELS, "--", str(place), str(old), str(theirs), check=False
        ).out

    def _ours(self, path: str) -> bytes:
        oid = self._project[path].oid
        return self._store.blobs([oid])[oid]

    def _markers(self, path: str) -> tuple[int, ...]:
        entry = self._merged.tree[path]
        lines = self._store.blobs([entry.oid])[entry.oid].splitlines()
        return tuple(number for number, line in enumerate(lines, 1) if line.rstrip() == _START.encode())


def split(merged: bytes) -> list[str | Hunk]:
    """Split what ``git merge-file --diff3`` says into text that both sides agree on and hunks."""
    parts: list[str | Hunk] = []
    sides: dict[str, list[str]] = {}
    side = ""
    plain: list[str] = []
    for line in merged.decode(errors="replace").splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if bare == _START and not side:
            if plain:
                parts.append("".join(plain))
            plain, sides, side = [], {"ours": [], "base": [], "theirs": []}, "ours"
        elif bare == _MIDDLE and side == "ours":
            side = "base"
        elif bare == _SPLIT and side == "base":
            side = "theirs"
        elif bare == _END and side == "theirs":
            ours, base, theirs = ("".join(sides[name]) for name in ("ours", "base", "theirs"))
            parts.append(Hunk(ours, base, theirs))
            side = ""
        else:
            (sides[side] if side else plain).append(line)
    if plain:
        parts.append("".join(plain))
    return parts


def _with_suggestion(path: str, hunk: Hunk) -> Hunk:
    if any("\ufffd" in side or len(side) > LONGEST_TEXT for side in (hunk.ours, hunk.base, hunk.theirs)):
        return hunk
    return Hunk(hunk.ours, hunk.base, hunk.theirs, suggest(path, hunk))


def _shortened(hunk: Hunk) -> Hunk:
    def cut(text: str) -> str:
        left = len(text) - LONGEST_TEXT
        return text if left <= 0 else f"{text[:LONGEST_TEXT]}\n... {left} more characters\n"

    return Hunk(cut(hunk.ours), cut(hunk.base), cut(hunk.theirs), hunk.suggestion)


def _text(content: bytes) -> str | None:
    """Return content as text; None where it is none."""
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
