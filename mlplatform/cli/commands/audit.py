"""``platform audit``."""

from typing import Any

import click

from mlplatform.cli import options, output, session


@click.group(
    help="Read and verify the audit log.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  $ platform audit events --subject model:wine\n  $ platform audit verify",
)
def audit() -> None:
    """Hold the two commands."""


@options.command(
    "Show audit events, oldest first.",
    examples=[
        "platform audit events --subject model:wine",
        "platform audit events --type ml-platform.deployments.rollout.rolled_back --from 2026-01-01 --json",
    ],
)
@click.option("--subject", help="Only about this, for example model:wine, with all that belongs to it.")
@click.option("--type", "kind", help="Only of this type.")
@click.option("--actor", help="Only by this principal, for example user:default/ada.")
@click.option("--from", "since", metavar="TIME", help="Not before this time (ISO 8601).")
@click.option("--to", "until", metavar="TIME", help="Before this time (ISO 8601).")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most this many.")
def events(
    subject: str | None,
    kind: str | None,
    actor: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Read as many pages as it takes."""
    query = {"subject": subject, "type": kind, "actor": actor, "from": since, "to": until}
    with session.connected() as client:
        items = list(client.pages("/audit/events", query, most=limit))

    def human() -> None:
        output.table(("seq", "time", "event", "subject", "by"), [_row(item) for item in items])

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Verify the whole audit log: any event that was edited, removed, inserted or put in another order is named.",
    examples=["platform audit verify", "platform audit verify --json"],
)
def verify(as_json: bool) -> int:
    """Let the platform recompute the chain; exit 1 when it does not hold."""
    with session.connected() as client:
        found = client.audit_verification()

    def human() -> None:
        head = found.get("head") or {}
        word = "valid" if found["valid"] else "NOT VALID"
        text = f"{word}: {found['events']} events, head {head.get('seq', '-')} {str(head.get('hash', ''))[:12]}"
        output.write(text.rstrip())
        for fault in found.get("faults") or []:
            output.write(f"  {fault['kind']}: event {fault['seq']} ({fault['id'] or '-'}): {fault['message']}")

    output.result(found, as_json=as_json, human=human)
    return 0 if found["valid"] else 1


audit.add_command(events, "events")
audit.add_command(verify, "verify")


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    """Return an event of the log (a CloudEvent with its place in the chain) as a row of the table."""
    event = item["event"]
    when = str(event.get("time", ""))[:19].replace("T", " ")
    return item["seq"], when, event.get("type"), event.get("subject"), event.get("actor")
