"""``platform adopt``."""

import sys
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, rooms

_STYLES = {"added": "green", "merged": "green", "left": "dim", "not taken": "dim", "needs you": "yellow"}


@options.command(
    "Put an existing repository on the golden path, by a branch with one commit that adds what is missing and changes nothing "
    "that is there. Answers are guessed from the code, which is read and never run, and shown with what speaks for them.",
    examples=[
        "platform adopt --dry-run",
        "platform adopt ~/src/churn --data owner=group:default/risk --data classification=internal",
        "git diff main...platform/adopt",
        "git branch -D platform/adopt   # takes it back",
    ],
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--type",
    "kind",
    type=click.Choice(["realtime", "batch", "streaming"]),
    help="Which golden path, instead of a guess.",
)
@click.option("--data", "answers", metavar="KEY=VALUE", multiple=True, help="Answer that the code does not give.")
@click.option("--branch", default="platform/adopt", show_default=True, help="Branch to make.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and make no branch.")
@click.option("--lock/--no-lock", "with_lock", default=True, help="Make uv.lock (asks the package index).")
@click.option("--defaults", is_flag=True, help="Ask nothing: leave marks for what nobody says.")
def adopt(
    folder: Path,
    kind: str | None,
    answers: tuple[str, ...],
    branch: str,
    dry_run: bool,
    with_lock: bool,
    defaults: bool,
    as_json: bool,
) -> int:
    """Find out, show, commit."""
    room = rooms.scaffolder("adopt", "platform adopt")
    asks = not defaults and not as_json and sys.stdin.isatty()
    done = room.adopt(
        folder.resolve(),
        data=dict(options.pair(answer) for answer in answers),
        type=kind,
        branch=branch,
        dry_run=dry_run,
        with_lock=with_lock,
        ask=_ask if asks else None,
        progress=output.say,
    )
    output.result(_document(done), as_json=as_json, human=lambda: _show(done))
    return 0


def _ask(question: str, proposal: str | None) -> str | None:
    answer = click.prompt(
        f"{question} (Enter leaves it open)", default=proposal or "", show_default=bool(proposal), err=True
    )
    return str(answer).strip() or None


def _document(done: Any) -> dict[str, Any]:
    return {
        "branch": done.branch,
        "base": done.base,
        "commit": done.commit,
        "templateVersion": done.template_version,
        "answers": {
            **done.answers.template,
            **{key: value for key, value in done.answers.own.items() if value is not None},
        },
        "evidence": {
            name: {"value": str(guess.value), "by": list(guess.evidence)}
            for name, guess in done.survey.guesses().items()
        },
        "notes": done.survey.notes,
        "decisions": [decision.as_dict() for decision in done.decisions],
        "check": {"valid": not done.faults, "faults": done.faults},
        "pullRequest": {"title": done.title, "body": done.body},
    }


def _show(done: Any) -> None:
    rows = [(name, guess.value, "; ".join(guess.evidence[:2])) for name, guess in done.survey.guesses().items()]
    output.table(("found", "value", "by"), rows)
    for note in done.survey.notes:
        output.write(f"note: {note}")
    output.write()
    grouped = rooms.scaffolder("adopt.report", "platform adopt").grouped
    for action, style in _STYLES.items():
        for paths, why in grouped(done.decisions, action):
            output.write(f"{output.paint(f'{action:<9}', style, sys.stdout)}  {paths}: {why}")
    output.write()
    if done.faults:
        output.write("platform check will say:")
        for fault in done.faults:
            output.write(f"  {fault}")
    else:
        output.write(f"platform check {output.mark('passed')}")
    if done.commit is None:
        output.say("nothing was written (--dry-run)")
    else:
        output.write(f"{done.branch} at {done.commit[:12]}, from {done.base}; your checkout is as it was")
        output.say(
            f"next: git diff {done.base}...{done.branch}, then merge it; git branch -D {done.branch} takes it back"
        )
