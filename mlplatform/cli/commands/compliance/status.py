"""``platform compliance status`` and ``platform compliance evaluate``."""

import time
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

_POLL_SECONDS = 0.5

framework_option = click.option(
    "--framework", metavar="NAME", default="soc2", show_default=True, help="Framework of controls."
)


@options.command(
    "Show how the controls of a framework stand, with what is not as they demand. Exit status 1 when one fails.",
    examples=[
        "platform compliance status",
        "platform compliance status --model churn",
        "platform compliance status --framework eu-ai-act --json",
    ],
)
@framework_option
@click.option("--model", metavar="NAME", help="Examine one model now, by the controls that models can be asked about.")
@click.option("--control", "wanted", metavar="ID", help="Only this control, with everything that its checks found.")
def status(framework: str, model: str | None, wanted: str | None, as_json: bool) -> int:
    """Print the controls."""
    with session.connected() as client:
        found = client.model_compliance(model, framework)["controls"] if model else client.controls(framework)
    controls = [one for one in found if wanted in (None, one["id"])]
    if wanted is not None and not controls:
        known = ", ".join(one["id"] for one in found)
        raise CliError(f"{framework} has no control {wanted}", f"it has {known}")
    output.result(
        {"framework": framework, "controls": controls},
        as_json=as_json,
        human=lambda: _show(controls, whole=wanted is not None),
    )
    return 1 if any(one["state"] == "failing" for one in controls) else 0


@options.command(
    "Have every check run now instead of when it is due; for platform administrators.",
    examples=["platform compliance evaluate"],
)
@options.timeout_option
def evaluate(timeout: Any, as_json: bool) -> int:
    """Ask for an evaluation and wait for it."""
    with session.connected() as client, output.working("checking"):
        row = client.evaluate_controls()
        until = time.monotonic() + timeout.total_seconds()
        while row["finishedAt"] is None and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            row = client.evaluation(row["id"])

    def human() -> None:
        if row["reason"]:
            output.write(f"the evaluation came to nothing: {row['reason']}")
        elif row["finishedAt"] is None:
            output.write(f"evaluation {row['id']} goes on")
        else:
            output.write(f"{row['evaluated']} checks were run; `platform compliance status` shows what they came to")

    output.result(row, as_json=as_json, human=human)
    return 1 if row["reason"] else 0


def _show(controls: list[Json], *, whole: bool) -> None:
    width = max((len(one["id"]) for one in controls), default=0)
    for control in controls:
        output.write(f"{control['id']:<{width}}  {output.mark(control['state'], 13)}  {control['title']}")
        if control["outside"]:
            output.write(f"{'':<{width}}  {control['outside']}")
        for check in control["checks"]:
            if whole or check["state"] == "failing":
                output.write(f"{'':<{width}}  {output.mark(check['state'], 13)}  {check['id']}: {check['summary']}")
            for deviation in check["exceptions"] if whole else ():
                output.write(f"{'':<{width}}  {'':<13}    {deviation['subject']}: {deviation['message']}")
    counts = {
        state: sum(one["state"] == state for one in controls) for state in ("passing", "failing", "not_evaluated")
    }
    output.write(", ".join(f"{number} {state.replace('_', ' ')}" for state, number in counts.items()))
