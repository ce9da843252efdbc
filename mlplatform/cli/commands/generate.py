"""``platform generate``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlplatform.cli import options, output, session

if TYPE_CHECKING:
    from mlplatform.generate.repository import Derived, State


@options.command(
    "Write what is derived from model.yaml: API document, objectives, alerts, dashboard and manifests.",
    examples=[
        "platform generate",
        "platform generate --check        # in CI: changes nothing, fails if a file is stale",
        "platform generate -C ../wine --json",
    ],
)
@options.directory_option
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a file is stale, missing or left over.")
def generate(directory: Path, check: bool, as_json: bool) -> int:
    """Write the stale files and name them, or only name them."""
    from mlplatform.generate.repository import FIX, compare, write

    workspace = session.repository_workspace(directory)
    derived = compare(workspace.path, workspace.spec)
    if not check:
        write(derived)
    document = {
        "model": workspace.spec.name,
        "current": not derived.stale or not check,
        "written": not check,
        "files": [{"path": file.path, "state": file.state.value} for file in derived.files],
        "excluded": list(derived.excluded),
        "notes": list(derived.notes),
    }
    output.result(document, as_json=as_json, human=lambda: _tell(derived, check=check))
    if check and derived.stale:
        output.error(
            [_count(len(derived.stale), "derived file is", "derived files are") + " not as model.yaml says", FIX]
        )
        return 1
    return 0


def _tell(derived: "Derived", *, check: bool) -> None:
    for file in derived.stale:
        output.write(f"{_word(file.state, check=check):<10} {file.path}")
    for note in derived.notes:
        output.say(f"note: {note}")
    for path in derived.excluded:
        output.say(f"note: {path} is excluded in pyproject.toml")
    if not derived.stale:
        output.write(f"all {len(derived.files)} derived files are current")


def _word(state: "State", *, check: bool) -> str:
    """Say what is wrong with a file, or what was done about it."""
    from mlplatform.generate.repository import State

    done = {State.CHANGED: "changed", State.MISSING: "created", State.LEFT_OVER: "removed"}
    return (
        {State.CHANGED: "stale", State.MISSING: "missing", State.LEFT_OVER: "left over"}[state]
        if check
        else done[state]
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
