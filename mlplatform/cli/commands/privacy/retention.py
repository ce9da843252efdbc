"""``platform retention``."""

from datetime import timedelta
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.following import until

_OVER = ("done", "failed")


@options.command(
    "Show how long each kind of thing is kept, and what says so.",
    examples=["platform retention show", "platform retention show --json"],
)
def show(as_json: bool) -> None:
    """Ask for the policies."""
    with session.connected() as client:
        found = client.retention_policies()

    def human() -> None:
        rows = [(one["kind"], one["scope"], one["keep"] or "for ever", one["source"]) for one in found]
        output.table(("kind", "of", "kept", "by"), rows)

    output.result({"items": found}, as_json=as_json, human=human)


@options.command(
    "Delete what is over and under no legal hold, and sign a certificate of what was and was not deleted.",
    examples=["platform retention run --dry-run", "platform retention run"],
)
@click.option("--dry-run", is_flag=True, help="Only list exactly what would go.")
@options.timeout_option
def run(dry_run: bool, timeout: timedelta, as_json: bool) -> int:
    """Ask for a run, wait for it, and list what became of what."""
    with session.connected() as client:
        asked = client.run_retention(dry_run=dry_run)
        done = until(lambda: client.retention_run(asked["id"]), _OVER, timeout, "looking for what is over")
        items = list(client.pages(f"/privacy/retention/runs/{asked['id']}/items", {}))

    def human() -> None:
        if not items:
            output.write("nothing is over")
        else:
            output.table(("kind", "name", "over since", "bytes", "state", ""), [_row(item, dry_run) for item in items])
        if done["certificate"]:
            output.say(f"certificate {done['certificate']}: `platform retention certificates {done['certificate']}`")
        if done["message"]:
            output.warn(done["message"])

    output.result({**done, "items": items}, as_json=as_json, human=human)
    failed = done["state"] == "failed" or any(item["state"] == "failed" for item in items)
    return 1 if failed else 0


@options.command(
    "Place a legal hold: what it is about is neither deleted nor erased until it is lifted.",
    examples=[
        "platform retention hold model:churn --reason 'lawsuit 17/2026'",
        "platform retention hold dataset:shop/orders --reason 'audit'",
    ],
)
@click.argument("subject")
@click.option("--reason", required=True, help="Why; it goes into the audit log and is shown to whoever is refused.")
def hold(subject: str, reason: str, as_json: bool) -> None:
    """Place it."""
    with session.connected() as client:
        placed = client.place_hold(subject, reason)
    output.result(placed, as_json=as_json, human=lambda: output.write(f"{placed['subject']} is held: {placed['id']}"))


@options.command(
    "Show the legal holds in force.",
    examples=["platform retention holds", "platform retention holds --released --json"],
)
@click.option("--released", is_flag=True, help="Also those that were lifted.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many.")
def holds(released: bool, limit: int, as_json: bool) -> None:
    """List them."""
    with session.connected() as client:
        items = list(client.pages("/privacy/holds", {"released": str(released).lower()}, most=limit))

    def human() -> None:
        rows = [
            (one["id"], one["subject"], one["placedAt"][:10], one["placedBy"], one["releasedAt"] or "", one["reason"])
            for one in items
        ]
        output.table(("id", "subject", "since", "by", "lifted", "reason"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Lift a legal hold.", examples=["platform retention release 0197f2c4-7b1e-7c3a-9f00-000000000000 --reason settled"]
)
@click.argument("hold_id", metavar="HOLD")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def release(hold_id: str, reason: str, as_json: bool) -> None:
    """Lift it."""
    with session.connected() as client:
        lifted = client.release_hold(hold_id, reason)
    output.result(lifted, as_json=as_json, human=lambda: output.write(f"{lifted['subject']} is held no more by this"))


@options.command(
    "Show deletion certificates, newest first; with an id that one alone, and with --json its signed envelope.",
    examples=[
        "platform retention certificates",
        "platform retention certificates 0197f2c4-7b1e-7c3a-9f00-000000000000 --json > certificate.json",
    ],
)
@click.argument("certificate_id", required=False, metavar="[CERTIFICATE]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most this many.")
def certificates(certificate_id: str | None, limit: int, as_json: bool) -> int:
    """Ask for them; exit 1 when one does not verify."""
    with session.connected() as client:
        if certificate_id is not None:
            one = client.certificate(certificate_id)
            output.result(one, as_json=as_json, human=lambda: _show(one))
            return 0 if one["valid"] else 1
        items = list(client.pages("/privacy/certificates", {}, most=limit))

    def human() -> None:
        rows = [(one["id"], one["createdAt"][:19], one["about"], _word(one), _counts(one["counts"])) for one in items]
        output.table(("id", "signed", "about", "", "counts"), rows)

    output.result({"items": items}, as_json=as_json, human=human)
    return 0 if all(one["valid"] for one in items) else 1


def _row(item: dict[str, Any], dry_run: bool) -> tuple[object, ...]:
    state = "would go" if dry_run and item["state"] == "planned" else item["state"]
    return item["kind"], item["name"], item["overSince"][:10], item["bytes"], state, item["reason"]


def _show(one: dict[str, Any]) -> None:
    output.write(f"{one['about']}: {_word(one)}, {_counts(one['counts'])}")
    for item in ((one["statement"] or {}).get("predicate") or {}).get("notDeleted") or []:
        output.write(f"  {item['state']}: {item['kind']} {item['name']}: {item['reason']}")


def _word(one: dict[str, Any]) -> str:
    return "valid" if one["valid"] else "NOT VALID"


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing"
