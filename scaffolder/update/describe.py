"""Say what an update changes: answers and files."""

from collections.abc import Mapping

from scaffolder.update.answers import public
from scaffolder.update.jobs import RenderJob, Renders
from scaffolder.update.models import AnswerChange, Change, FileChange
from scaffolder.update.plumbing import Entry, Tree


def answer_changes(job: RenderJob, renders: Renders) -> tuple[AnswerChange, ...]:
    """Compare the answers file before and after: what is new, changed or dropped, and why."""
    old, new = public(job.answers), public(renders.remembered)
    changes = []
    for question in [*new, *(question for question in old if question not in new)]:
        if question not in new:
            why = f"{job.new.ref} does not ask it, or not with these answers"
            changes.append(AnswerChange(question, Change.REMOVED, old[question], None, why))
        elif question not in old:
            why = "given for this update" if question in job.data else f"new in {job.new.ref}; this is its default"
            changes.append(AnswerChange(question, Change.ADDED, None, new[question], why))
        elif old[question] != new[question]:
            lost = f"the former answer is not acceptable to {job.new.ref}; this is its default"
            why = "given for this update" if question in job.data else lost
            changes.append(AnswerChange(question, Change.CHANGED, old[question], new[question], why))
    return tuple(changes)


def file_changes(project: Tree, changed: Mapping[str, Entry | None]) -> tuple[FileChange, ...]:
    """List the files that change, by path."""
    return tuple(
        FileChange(path, Change.REMOVED if entry is None else Change.CHANGED if path in project else Change.ADDED)
        for path, entry in sorted(changed.items())
    )
