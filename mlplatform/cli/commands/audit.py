"""``platform audit``."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.following import until
from mlplatform.cli.errors import CliError


@click.group(
    help="Read, verify and seal the audit log.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  $ platform audit events --subject model:wine\n  $ platform audit verify",
)
def audit() -> None:
    """Hold the commands."""


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
    "Verify the whole audit log: any event that was edited, removed, inserted or put in another order is named. With an earlier "
    "checkpoint that was kept elsewhere, a log that was rewritten or cut off since is found, whoever did it.",
    examples=[
        "platform audit verify",
        "platform audit verify --checkpoint january.checkpoint",
        "platform audit verify --json",
    ],
)
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Earlier checkpoint from a second place; may be repeated.",
)
def verify(checkpoints: tuple[Path, ...], as_json: bool) -> int:
    """Let the platform recompute the chain and the tree; exit 1 when they do not hold."""
    notes = [_note(file) for file in checkpoints]
    with session.connected() as client:
        found = client.audit_verification(notes)

    def human() -> None:
        head = found.get("head") or {}
        word = "valid" if found["valid"] else "NOT VALID"
        within = f" ({found['sealed']} in {found['segments']} sealed segments)" if found.get("segments") else ""
        text = f"{word}: {found['events']} events{within}, head {head.get('seq', '-')} {str(head.get('hash', ''))[:12]}"
        output.write(text.rstrip())
        if notes and found["valid"]:
            output.write(f"goes on from {len(notes)} checkpoint{'s' if len(notes) != 1 else ''} from elsewhere")
        for warning in found.get("warnings") or []:
            output.write(f"  warning: {warning['message']}")
        for fault in found.get("faults") or []:
            output.write(f"  {fault['kind']}: event {fault['seq']} ({fault['id'] or '-'}): {fault['message']}")

    output.result(found, as_json=as_json, human=human)
    return 0 if found["valid"] else 1


@options.command(
    "Print the log's signed checkpoint (C2SP tlog-checkpoint): how many events there are, and the root of the tree over them. "
    "Keep it where the platform can't reach it.",
    examples=["platform audit checkpoint > january.checkpoint", "platform audit checkpoint --size 5120 --json"],
)
@click.option("--size", type=click.IntRange(1), metavar="N", help="As the log was with N events.")
def checkpoint(size: int | None, as_json: bool) -> None:
    """Print the note as it is."""
    with session.connected() as client:
        found = client.audit_checkpoint(size)
    output.result(found, as_json=as_json, human=lambda: output.write(str(found["checkpoint"]).removesuffix("\n")))


@options.command(
    "Print a proof (RFC 6962): that an event is in the log, or that the log only grew from one size to another.",
    examples=["platform audit prove --seq 214", "platform audit prove --from 1000 --to 5120 --json"],
)
@click.option("--seq", type=click.IntRange(1), metavar="N", help="Number of the event to prove.")
@click.option(
    "--size", type=click.IntRange(1), metavar="N", help="Size of the log to prove it for; the present one if left out."
)
@click.option("--from", "old", type=click.IntRange(1), metavar="N", help="Size of the log then.")
@click.option(
    "--to", "new", type=click.IntRange(1), metavar="N", help="Size of the log later; the present one if left out."
)
def prove(seq: int | None, size: int | None, old: int | None, new: int | None, as_json: bool) -> None:
    """Ask for one of the two proofs."""
    if (seq is None) == (old is None) or (seq is None and size is not None) or (old is None and new is not None):
        raise click.UsageError("Give --seq with an optional --size, or --from with an optional --to.")
    with session.connected() as client:
        found = client.audit_inclusion(seq, size) if seq is not None else client.audit_consistency(old, new)

    def human() -> None:
        if seq is not None:
            output.write(f"event {seq} is in the log of {found['size']} events with root {found['root']}")
        else:
            output.write(f"the log of {found['to']} events (root {found['toRoot']})")
            output.write(f"goes on from that of {found['from']} events (root {found['fromRoot']})")
        for one in found["proof"]:
            output.write(f"  {one}")

    output.result(found, as_json=as_json, human=human)


@options.command(
    "Show the sealed segments, newest first: parts of the log whose events lie in files instead of the database.",
    examples=["platform audit segments", "platform audit segments --json"],
)
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most this many.")
def segments(limit: int, as_json: bool) -> None:
    """Read as many pages as it takes."""
    with session.connected() as client:
        items = list(client.pages("/audit/segments", {}, most=limit))

    def human() -> None:
        if not items:
            output.write("no events are sealed")
            return
        rows = [
            (
                one["name"],
                one["earliest"][:10],
                one["latest"][:10],
                one["bytes"],
                one["sha256"][:12],
                f"deleted {one['removedAt'][:10]}" if one["removedAt"] else "",
            )
            for one in items
        ]
        output.table(("segment", "from", "to", "bytes", "sha256", ""), rows)
        output.write(f"in {items[0]['place']}")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Seal what is older than the setting `mlPlatform.audit.sealing.keep`: whole segments of the log go from the database to "
    "signed files, which are read and verified as before. The platform does so by itself when its schedule says.",
    examples=["platform audit seal --dry-run", "platform audit seal"],
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sealed.")
@options.timeout_option
def seal(dry_run: bool, timeout: timedelta, as_json: bool) -> int:
    """Ask for a sealing, and wait for it."""
    with session.connected() as client:
        if dry_run:
            return _planned(client.audit_sealing_plan(), as_json=as_json)
        asked = client.seal_audit()
        done = until(lambda: client.audit_sealing(asked["id"]), ("done", "held", "failed"), timeout, "sealing")

    def human() -> None:
        output.write(f"{done['state']}: {done['events']} events in {done['segments']} segments, {done['bytes']} bytes")
        if done["reason"]:
            output.warn(done["reason"])

    output.result(done, as_json=as_json, human=human)
    return 0 if done["state"] == "done" else 1


def _planned(plan: dict[str, Any], *, as_json: bool) -> int:
    def human() -> None:
        if plan["held"]:
            output.warn(f"nothing would be sealed: {plan['held']}")
        if not plan["events"]:
            output.write(f"nothing is to be sealed: fewer than 256 events are from before {plan['before'][:10]}")
            return
        output.write(f"{plan['events']} events ({plan['first']} to {plan['last']}) would go to {plan['store']}:")
        for name in plan["segments"]:
            output.write(f"  {name}")

    output.result(plan, as_json=as_json, human=human)
    return 0


audit.add_command(events, "events")
audit.add_command(verify, "verify")
audit.add_command(checkpoint, "checkpoint")
audit.add_command(prove, "prove")
audit.add_command(segments, "segments")
audit.add_command(seal, "seal")


def _note(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CliError(
            f"{file} is no checkpoint: it is no text", "give a file that `platform audit checkpoint` wrote"
        ) from None


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    """Return an event of the log (a CloudEvent with its place in the chain) as a row of the table."""
    event = item["event"]
    when = str(event.get("time", ""))[:19].replace("T", " ")
    return item["seq"], when, event.get("type"), event.get("subject"), event.get("actor")
