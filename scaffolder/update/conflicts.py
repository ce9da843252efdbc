"""Describe conflicts: both sides, the base, and what could be done about each."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaffolder.update.merge import BASE, MARKERS, OURS, THEIRS, Content, Merged
from scaffolder.update.models import Conflict, ConflictKind, Hunk
from scaffolder.update.plumbing import ObjectStore, Tree
from scaffolder.update.render import Renders


def find_conflicts(store: ObjectStore, project: Tree, renders: Renders, merged: Merged) -> tuple[Conflict, ...]:
    return tuple([Conflict(p, ConflictKind.CONTENT) for p in merged.conflicted]+[Conflict(p, ConflictKind.DELETED) for p in merged.deleted]+[Conflict(p, ConflictKind.OVERWRITTEN) for p in merged.overwritten]+[Conflict(p, ConflictKind.KEPT) for p in merged.kept])
