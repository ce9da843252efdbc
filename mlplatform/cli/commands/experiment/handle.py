"""``platform experiment list``, ``show``, ``approve``, ``stop``, ``outcomes`` and ``decide``."""

import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]
_AT_ONCE = 1000
_SHOWN = 10


@options.command(
    "List experiments, newest first.",
    examples=["platform experiment list --phase running", "platform experiment list --model wine --json"],
)
@click.option("--model", metavar="NAME", help="Only those with this model.")
@click.option("--env", "environment", metavar="NAME", help="Only those in this environment.")
@click.option(
    "--phase",
    type=click.Choice(("awaiting_approval", "starting", "running", "ended")),
    help="Only those in this phase.",
)
@click.option("--last", "most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
def list_experiments(model: str | None, environment: str | None, phase: str | None, most: int, as_json: bool) -> None:
    """Print experiments."""
    query = {"model": model, "environment": environment, "phase": phase}
    with session.connected() as client:
        items = list(client.pages("/experiments", query, most=most))

    def human() -> None:
        rows = [
            (
                one["id"],
                one["kind"],
                one["model"],
                one["environment"],
                f"v{one['challenger']} beside v{one['champion']}",
                _state(one),
                one["summary"],
            )
            for one in items
        ]
        if rows:
            output.table(("id", "kind", "model", "environment", "versions", "state", "what came of it"), rows)
        else:
            output.write("there is no experiment")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show an experiment: how far it is, its figures, and what can be done about it.",
    examples=["platform experiment show ID", "platform experiment show ID --differing 20"],
)
@click.argument("experiment")
@click.option(
    "--differing", type=click.IntRange(0, 500), default=0, help="Shadow: also the last answers that differ, so many."
)
def show(experiment: str, differing: int, as_json: bool) -> None:
    """Print an experiment."""
    with session.connected() as client:
        found = client.experiment(experiment)
        pairs = []
        if differing:
            path = f"/experiments/{found['id']}/pairs"
            pairs = list(client.pages(path, {"differing": "true"}, most=differing))
    document = {**found, "differing": pairs} if differing else found
    output.result(document, as_json=as_json, human=lambda: _show(found, pairs))


@options.command(
    "Approve an A/B experiment that waits for it, or turn it down with --reject. Where the policy says so, the author can't.",
    examples=["platform experiment approve ID", 'platform experiment approve ID --reject --comment "after the sale"'],
)
@click.argument("experiment")
@click.option("--reject", is_flag=True, help="Turn it down.")
@click.option("--comment", default="", help="Why; it goes into the audit log.")
def approve(experiment: str, reject: bool, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.approve_experiment(experiment, "reject" if reject else "approve", comment)
    output.result(found, as_json=as_json, human=lambda: output.write(f"experiment {found['id']} is {_state(found)}"))


@options.command(
    "End an experiment: everybody meets the live version again.",
    examples=['platform experiment stop ID --reason "the sale begins"'],
)
@click.argument("experiment")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def stop(experiment: str, reason: str, as_json: bool) -> None:
    """Send the wish."""
    with session.connected() as client:
        found = client.stop_experiment(experiment, reason)
    said = f"experiment {found['id']} is over: {found['summary']}"
    output.result(found, as_json=as_json, human=lambda: output.write(said))


@options.command(
    "Report what came of predictions: a CSV file with the columns prediction_id (the answer's header x-prediction-id) and value. "
    "Sent again it changes nothing. Exit status 1 when predictions are unknown or had another outcome before.",
    examples=["platform experiment outcomes ID clicks.csv", "platform experiment outcomes ID - < clicks.csv"],
)
@click.argument("experiment")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def outcomes(experiment: str, file: Path, as_json: bool) -> int:
    """Send the outcomes, in pieces."""
    rows = list(_read(file))
    sums: Json = {"taken": 0, "further": 0, "repeated": 0, "late": 0, "unknown": [], "conflicting": []}
    with session.connected() as client:
        for first in range(0, len(rows), _AT_ONCE):
            told = client.report_outcomes(experiment, rows[first : first + _AT_ONCE])
            sums = {name: value + told[name] for name, value in sums.items()}
            sums_experiment = told["experiment"]

    def human() -> None:
        output.write(f"{sums['taken']} new, {sums['repeated']} known already, {sums['late']} after the decision")
        for name, meaning in (("unknown", "no prediction of this experiment"), ("conflicting", "had another outcome")):
            if sums[name]:
                shown = ", ".join(sums[name][:_SHOWN]) + (", …" if len(sums[name]) > _SHOWN else "")
                output.write(f"{len(sums[name])} {meaning}: {shown}")
        output.write(sums_experiment["summary"])

    output.result({**sums, "experiment": sums_experiment}, as_json=as_json, human=human)
    return 1 if sums["unknown"] or sums["conflicting"] else 0


@options.command(
    "Put on record what follows from an experiment, and end it. `promote` asks for an ordinary deployment of the challenger, "
    "with admission, approval and rollout; `keep` leaves what is live.",
    examples=[
        'platform experiment decide ID promote --reason "two percent more clicks"',
        'platform experiment decide ID keep --reason "no difference that matters"',
    ],
)
@click.argument("experiment")
@click.argument("decision", type=click.Choice(("promote", "keep")))
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def decide(experiment: str, decision: str, reason: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_experiment(experiment, decision, reason)

    def human() -> None:
        output.write(f"experiment {found['id']}: {found['decision']}, {found['decisionReason']}")
        if found["deployment"]:
            output.write(f"v{found['challenger']} is being deployed: deployment {found['deployment']}")

    output.result(found, as_json=as_json, human=human)


def _read(file: Path) -> Iterator[Json]:
    if str(file) == "-":
        yield from _rows(sys.stdin, "standard input")
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from _rows(stream, str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(
            f"{file} can't be read: {getattr(error, 'strerror', None) or error}", "name a CSV file"
        ) from None


def _rows(stream: TextIO, name: str) -> Iterator[Json]:
    reader = csv.DictReader(stream)
    if not {"prediction_id", "value"} <= set(reader.fieldnames or ()):
        raise CliError(f"{name} lacks the columns prediction_id and value", "give them in its first line")
    count = 0
    for row in reader:
        count += 1
        try:
            value = float(row["value"])
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value) or not row["prediction_id"]:
            raise CliError(f"{name}, line {reader.line_num}: needs an id and a number", "correct the line")
        yield {"predictionId": row["prediction_id"].strip(), "value": value}
    if not count:
        raise CliError(f"{name} holds no outcome", "give a line for each")


def _show(one: Json, pairs: list[Json]) -> None:
    figures = one["figures"]
    share = (
        "copies of {} % of the requests" if one["kind"] == "shadow" else "{} % of the keys in " + str(one["keyHeader"])
    )
    output.write(
        f"v{one['challenger']} of {one['model']} beside v{one['champion']} in {one['environment']}, "
        f"{share.format(one['percent'])}: {_state(one)}"
    )
    output.write(one["summary"])
    output.write(f"  {one['reason']}")
    if one["kind"] == "ab":
        keys, outcomes = figures["keys"], figures["outcomes"]
        output.write(f"keys: {keys['champion']} and {keys['challenger']}, {figures['withoutKey']} requests without one")
        output.write(f"outcomes: {outcomes['taken']}, of {figures['predictions']} predictions")
        if figures["split"]["mismatch"]:
            output.write(
                "keys are NOT split as asked: whatever made the split wrong may have made the outcomes so, too"
            )
    else:
        took = figures["milliseconds"]
        output.write(
            f"answers took {took['champion']:.1f} ms and {took['challenger']:.1f} ms; server errors: "
            f"{figures['errors']['champion']} and {figures['errors']['challenger']}; {figures['unpaired']} without a pair"
        )
    for pair in pairs:
        output.write(f"  {_time(pair['at'])}  {pair['request']}  {pair['where']}")
    if one["endsAt"] and one["phase"] == "running":
        output.write(f"ends at {_time(one['endsAt'])} UTC at the latest")
    if one["decision"]:
        output.write(f"{one['decidedBy']} decided to {one['decision']}: {one['decisionReason']}")
    elif one["phase"] == "ended" and one["startedAt"]:
        output.write(f"decide:  platform experiment decide {one['id']} promote|keep --reason ...")


def _state(one: Json) -> str:
    said = one["phase"].replace("_", " ")
    return f"{said} ({one['outcome'].replace('_', ' ')})" if one["outcome"] else said


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
