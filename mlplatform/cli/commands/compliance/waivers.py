"""``platform compliance waive``, ``waivers``, ``decide`` and ``revoke``: letting a finding pass for a time."""

from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

_GATES = ("schema", "thresholds", "pii", "sbom", "vulnerabilities", "provenance")


@options.command(
    "Ask that named findings of a gate may pass for a time. Somebody else decides, and it ends by itself.",
    examples=[
        "platform compliance waive --gate vulnerabilities --check vulnerabilities.GHSA-xxxx-yyyy-zzzz --for 14d "
        '--reason "not reachable: the parser is never called"'
    ],
)
@options.directory_option
@options.model_option
@click.option("--gate", type=click.Choice(_GATES), required=True, help="Gate that found it.")
@click.option(
    "--check",
    "checks",
    metavar="NAME",
    multiple=True,
    required=True,
    help="Name of the failed check, as often as needed.",
)
@click.option(
    "--env", "environments", metavar="NAME", multiple=True, help="Where it is to hold; everywhere if not given."
)
@click.option("--for", "duration", type=options.DurationType(), required=True, help="How long, such as 14d.")
@click.option("--reason", required=True, help="Why it may pass; for whoever decides, and for auditors.")
def waive(
    directory: Path,
    model: str | None,
    gate: str,
    checks: tuple[str, ...],
    environments: tuple[str, ...],
    duration: Any,
    reason: str,
    as_json: bool,
) -> None:
    """Send the wish."""
    name = session.model_name(directory, model)
    wish = {
        "model": name,
        "gate": gate,
        "checks": list(checks),
        "environments": list(environments),
        "reason": reason,
        "duration": f"{int(duration.total_seconds())}s",
    }
    with session.connected() as client:
        answer = client.request_waiver(wish)
    said = f"waiver {answer['id']} waits for a decision; `platform compliance decide {answer['id']}` takes it"
    output.result(answer, as_json=as_json, human=lambda: output.write(said))


@options.command(
    "List waivers, newest first.",
    examples=["platform compliance waivers", "platform compliance waivers --model churn --json"],
)
@click.option("--model", metavar="NAME", help="Only those of this model.")
def waivers(model: str | None, as_json: bool) -> None:
    """Print the waivers."""
    with session.connected() as client:
        items = list(client.pages("/compliance/waivers", {"model": model}))
    rows = [
        (
            one["id"],
            one["state"],
            one["model"],
            one["gate"],
            " ".join(one["checks"]),
            one["expiresAt"][:10],
            one["requestedBy"],
            one["decidedBy"] or "-",
        )
        for one in items
    ]
    header = ("id", "state", "model", "gate", "checks", "until", "asked by", "decided by")

    def human() -> None:
        if rows:
            output.table(header, rows)
        else:
            output.write("there is no waiver")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Approve a waiver that waits, or turn it down with --reject. Whoever asked for it can't.",
    examples=['platform compliance decide ID --comment "seen, and the fix is planned"'],
)
@click.argument("waiver")
@click.option("--reject", is_flag=True, help="Turn it down.")
@click.option("--comment", default="", help="Why; it goes into the audit log.")
def decide(waiver: str, reject: bool, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        answer = client.decide_waiver(waiver, "reject" if reject else "approve", comment)
    output.result(answer, as_json=as_json, human=lambda: _told(answer))


@options.command(
    "End a waiver before its time. What was admitted by it stays where it is, and fails its control.",
    examples=['platform compliance revoke ID --reason "the package was replaced"'],
)
@click.argument("waiver")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def revoke(waiver: str, reason: str, as_json: bool) -> None:
    """Send the revocation."""
    with session.connected() as client:
        answer = client.revoke_waiver(waiver, reason)
    output.result(answer, as_json=as_json, human=lambda: _told(answer))


def _told(waiver: Json) -> None:
    until = f" until {waiver['expiresAt'][:10]}" if waiver["state"] == "active" else ""
    output.write(f"the waiver of {waiver['gate']} for {waiver['model']} is {waiver['state']}{until}")
