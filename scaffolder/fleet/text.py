"""What a request for a template update says, as Markdown that GitHub and GitLab both show.

Everything in it that a template or an engineer wrote is quoted: it stands in code blocks that it can't close, or has its
markup escaped, so that nothing of it mentions people, closes issues or shows pictures.
"""

import re
from collections.abc import Iterator

from scaffolder.update.models import AnswerChange, Conflict, ConflictKind, Hunk, Suggestion, Update

LENGTH = 60_000
"""Hosts take 65,536 characters."""
_HUNK, _ANSWER, _CHANGELOG = 4_000, 200, 20_000
_CUT = "\n… (cut; the branch has all of it)"
_WHAT = {
    ConflictKind.CONTENT: "both sides changed the same lines; the file has conflict markers",
    ConflictKind.DELETED: "the template no longer has the file, and it was changed here; it is gone on this branch",
    ConflictKind.OVERWRITTEN: "both sides changed a file that can't be merged by lines; this branch has the template's",
    ConflictKind.KEPT: "the template has a file where this repository has something else, which was kept",
}


def title(template: str, update: Update) -> str:
    """Return the request's title."""
    return f"Update from {template} {update.old_version} to {update.new_version}"


def commit_message(template: str, update: Update) -> str:
    """Return the message of the update's commit."""
    lines = [title(template, update), ""]
    lines += [f"Conflict: {one.path}" for one in update.conflicts]
    return "\n".join([*lines, f"Template: {template} {update.new_version}"]) + "\n"


def body(template: str, update: Update, campaign_id: str) -> str:
    """Return the request's description."""
    text = "\n\n".join(_parts(template, update))
    note = "Whoever pushes to this branch takes it over: the platform then leaves it alone."
    last = f"\n\n<sub>Campaign {campaign_id}. {note}</sub>\n"
    room = LENGTH - len(last) - len(_CUT)
    return (text if len(text) <= room else text[:room] + _CUT) + last


def _parts(template: str, update: Update) -> Iterator[str]:
    yield (
        f"The golden path's template `{template}` moved on from `{update.old_version}` to `{update.new_version}`. This request "
        "brings this repository along. What you changed in it stays; nothing else than the template's own changes is in here."
    )
    if update.conflicts:
        number = len(update.conflicts)
        yield (
            f"**{number} {'file needs' if number == 1 else 'files need'} a decision**, so this is a draft: check the branch out, "
            "resolve what is listed below, push, and mark it as ready."
        )
        yield from _conflicts(update.conflicts)
    if update.sections:
        yield "## What changed in the template"
        shown = "\n\n".join(f"### {one.version}\n\n{_harmless(one.text)}" for one in update.sections)
        yield shown if len(shown) <= _CHANGELOG else shown[:_CHANGELOG] + _CUT
    if update.answers:
        yield "## Answers that changed"
        rows = "\n".join(_answer(one) for one in update.answers)
        yield f"| question | before | now | why |\n|---|---|---|---|\n{rows}"
    if update.files:
        yield "## Files"
        shown = "\n".join(f"* {one.change}: {_code(one.path)}" for one in update.files[:200])
        yield shown + (f"\n* and {len(update.files) - 200} more" if len(update.files) > 200 else "")
    if update.preserved:
        yield "Kept as this repository has them, though Copier by itself would have put the template's back:"
        yield "\n".join(f"* {_code(path)}" for path in update.preserved[:50])


def _conflicts(conflicts: tuple[Conflict, ...]) -> Iterator[str]:
    yield "## Conflicts"
    for one in conflicts:
        where = f" (lines {', '.join(map(str, one.lines))})" if one.lines else ""
        yield f"### {_code(one.path)}\n\n{_WHAT[one.kind]}{where}."
        if one.suggestion is not None:
            yield _suggested(one.suggestion)
        for hunk in one.hunks:
            yield _hunk(hunk)


def _hunk(hunk: Hunk) -> str:
    sides = (
        ("this repository", hunk.ours),
        ("before, from the template", hunk.base),
        ("the template now", hunk.theirs),
    )
    shown = "\n\n".join(f"{name}:\n\n{_block(text)}" for name, text in sides)
    return shown + (f"\n\n{_suggested(hunk.suggestion)}" if hunk.suggestion is not None else "")


def _suggested(suggestion: Suggestion) -> str:
    text = f"**Suggested** ({suggestion.rule}): {_harmless(suggestion.reason)}"
    if suggestion.path is not None:
        text += f" It goes to {_code(suggestion.path)}."
    if suggestion.text is not None:
        text += f"\n\n{_block(suggestion.text)}"
    return text + (f"\n\nThen run {_code(suggestion.command)}." if suggestion.command is not None else "")


def _answer(one: AnswerChange) -> str:
    def shown(value: object) -> str:
        return "" if value is None else _code(str(value)[:_ANSWER]).replace("|", "\\|")

    return f"| {_code(one.question)} | {shown(one.old)} | {shown(one.new)} | {_harmless(one.why)} |".replace("\n", " ")


def _block(text: str) -> str:
    shown = text if len(text) <= _HUNK else text[:_HUNK] + _CUT
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown.rstrip(chr(10))}\n{fence}"


def _code(text: str) -> str:
    one_line = " ".join(text.split()) or " "
    longest = max((len(run) for run in re.findall(r"`+", one_line)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{one_line}{pad}{ticks}"


def _harmless(text: str) -> str:
    """Take mentions, references to issues, HTML and pictures their effect; lists, headings, links and code stay as they are."""
    text = text.replace("<", "&lt;").replace("![", "\\!\\[")
    return re.sub(r"(?<![\w`])([@#])(?=\w)", lambda found: f"{found[1]}\u2060", text)
