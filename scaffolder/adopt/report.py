"""What an adoption decided about each file, for the commit's message and the pull request's body."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from scaffolder.adopt.survey.facts import Survey


class Action(StrEnum):
    """What happened to a file."""

    ADDED = "added"
    MERGED = "merged"
    """Something was added to a file that was there; nothing in it was changed."""
    LEFT = "left"
    """Yours is kept as it is."""
    NOT_TAKEN = "not taken"
    """The template has it, this repository does not need it."""
    NEEDS_YOU = "needs you"


@dataclass(frozen=True)
class Decision:
    """What was decided about one file, and why."""

    action: Action
    path: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as it goes into ``--json`` output."""
        return asdict(self)


_TITLES = {
    Action.NEEDS_YOU: "Needs you",
    Action.ADDED: "Added",
    Action.MERGED: "Merged into your files",
    Action.LEFT: "Left as they are",
    Action.NOT_TAKEN: "Not taken from the template",
}


def grouped(decisions: Sequence[Decision], action: Action) -> list[tuple[str, str]]:
    """Return the paths and the reason of decisions, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for decision in decisions:
        if decision.action == action:
            by_reason.setdefault(decision.why, []).append(decision.path)
    return [(", ".join(paths), why) for why, paths in by_reason.items()]


def as_markdown(survey: Survey, decisions: Sequence[Decision], faults: Sequence[str], template: str) -> str:
    """Return the report: what was found out, what was decided, what ``platform check`` says."""
    lines = [
        f"This puts the repository on the golden path (template {template}). It adds what is missing and changes nothing that "
        "is there; take it back by deleting the branch.",
        "",
        "## What was found out",
        "",
        "| | | by |",
        "|---|---|---|",
    ]
    for name, guess in survey.guesses().items():
        lines.append(f"| {name} | {_cell(str(guess.value))} | {_cell('; '.join(guess.evidence[:3]))} |")
    lines += [*(f"\n* {note}" for note in survey.notes), ""]
    for action, title in _TITLES.items():
        if found := grouped(decisions, action):
            lines += [f"## {title}", "", *(f"* {paths}: {why}" for paths, why in found), ""]
    lines += ["## platform check", ""]
    lines += [f"    {line}" for fault in faults for line in fault.splitlines()] or ["passes."]
    return "\n".join(lines) + "\n"


def commit_message(title: str, decisions: Sequence[Decision]) -> str:
    """Return the commit's message: every decision is in its body."""
    lines = [title, "", "Adds what is missing and changes nothing that is there."]
    for action, heading in _TITLES.items():
        if found := grouped(decisions, action):
            lines += ["", f"{heading}:", *(f"- {paths}: {why}" for paths, why in found)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
