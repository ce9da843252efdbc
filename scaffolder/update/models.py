"""What an update is, and what is said about it. Plain values: they cross to other processes and become JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What an update comes to.

    * ``current``: the repository is at that version already; nothing was rendered.
    * ``unchanged``: the versions do not differ for this repository; its tree stays as it is.
    * ``clean``: the tree has the new version, and every change an engineer made is still there.
    * ``conflicts``: the tree has the new version, and somebody has to look at ``conflicts``.
    """

    CURRENT = "current"
    UNCHANGED = "unchanged"
    CLEAN = "clean"
    CONFLICTS = "conflicts"


class ConflictKind(StrEnum):
    """How the template and an engineer got in each other's way.

    * ``content``: both changed the same lines; the file has conflict markers.
    * ``deleted``: the template no longer has a file that an engineer changed; it is gone from the tree.
    * ``overwritten``: both changed a file that can't be merged by lines; the tree has the template's.
    * ``kept``: the repository has a link, folder or submodule where the template has a file, or the other way round; the tree
      has the repository's.
    """

    CONTENT = "content"
    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    KEPT = "kept"


@dataclass(frozen=True)
class Suggestion:
    """A way to resolve a conflict that is safe to take without a second thought.

    Attributes:
        rule: The rule that found it, for example ``higher-version``.
        reason: Why it is safe, in one sentence.
        text: What the lines, or the whole file, would be; None where a command makes it.
        command: What to run in the repository after taking ``text``.
        path: Where ``text`` goes, if not to the conflict's own path.
    """

    rule: str
    reason: str
    text: str | None = None
    command: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Hunk:
    """Lines that both sides changed.

    Attributes:
        ours: The lines in the repository before the update.
        base: The lines at the last update.
        theirs: The lines of the new version.
        suggestion: A way to resolve these lines.
    """

    ours: str
    base: str
    theirs: str
    suggestion: Suggestion | None = None


@dataclass(frozen=True)
class Conflict:
    """A file that somebody has to look at.

    Attributes:
        path: The file.
        kind: What happened.
        hunks: The lines that both sides changed, for ``content``; hunks may be wider than the markers in the file, which
            leave out what both sides have in common.
        lines: Numbers of the lines with the markers ``<<<<<<<`` in the file.
        suggestion: A way to resolve the whole file.
    """

    path: str
    kind: ConflictKind
    hunks: tuple[Hunk, ...] = ()
    lines: tuple[int, ...] = ()
    suggestion: Suggestion | None = None


class Change(StrEnum):
    """What became of an answer or a file."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class AnswerChange:
    """An answer that the update adds, changes or drops; ``why`` says what made it so."""

    question: str
    change: Change
    old: Any
    new: Any
    why: str


@dataclass(frozen=True)
class FileChange:
    """A file that the update adds, changes or removes."""

    path: str
    change: Change


@dataclass(frozen=True)
class Section:
    """What the template's changelog says about one version, as Markdown."""

    version: str
    text: str


@dataclass(frozen=True)
class Update:
    """An update that was computed: a tree in the repository's object store, on no branch yet.

    Attributes:
        outcome: What it comes to.
        head: The commit it starts from.
        old_version: The template's version then.
        new_version: The one updated to.
        tree: What the repository would hold. The same as ``head`` has for ``current`` and ``unchanged``.
        recorded_tree: The tree that Copier would leave: for ``unchanged`` it differs from ``tree`` by the answers file naming
            the new version.
        conflicts: What somebody has to look at, by path.
        sections: The template's changelog for the versions crossed, newest first.
        answers: Answers that are new, changed or dropped.
        files: Files that change.
        preserved: Files that stay as the engineer left them where Copier's own update would have put the template's back.
    """

    outcome: Outcome
    head: str
    old_version: str
    new_version: str
    tree: str
    recorded_tree: str
    conflicts: tuple[Conflict, ...] = ()
    sections: tuple[Section, ...] = ()
    answers: tuple[AnswerChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    preserved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """A file that the template owns and the repository has otherwise.

    Attributes:
        path: The file.
        change: ``changed`` or ``removed``.
        added: Lines that only the repository has.
        deleted: Lines that only the template has.
        lines: Numbers, from 1, of the repository's lines that the template does not have.
        what: In words, where it is not about lines: another mode, a link, binary content.
    """

    path: str
    change: Change
    added: int = 0
    deleted: int = 0
    lines: tuple[int, ...] = ()
    what: str = ""


@dataclass(frozen=True)
class Request:
    """One repository to update.

    Attributes:
        repository: Its path on this machine, bare or not.
        head: The commit to start from: an id, or the name of a branch or tag.
        target: The template's version to update to, a tag.
        data: Answers to give instead of the answers file's, by question.
    """

    repository: str
    head: str
    target: str
    data: Mapping[str, Any] = field(default_factory=dict)
