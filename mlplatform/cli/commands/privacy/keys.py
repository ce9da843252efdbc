"""``platform keys``."""

from datetime import timedelta

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.following import until


@options.command(
    "Show the data keys: what each is for, and which key wraps it.",
    examples=["platform keys list", "platform keys list --json"],
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
def list_keys(limit: int, as_json: bool) -> None:
    """List them."""
    with session.connected() as client:
        items = list(client.pages("/privacy/keys", {}, most=limit))

    def human() -> None:
        rows = [(one["id"], one["purpose"], one["state"], one["kek"], one["createdAt"][:10]) for one in items]
        output.table(("id", "purpose", "state", "wrapped by", "since"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Encrypt everything anew: new data keys, all of them wrapped by the key that the settings name now. The platform goes on "
    "reading and writing meanwhile.",
    examples=["platform keys rotate --reason yearly --wait"],
)
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
@click.option("--wait/--no-wait", default=False, help="Follow it to its end; exit 0 only when it went well.")
@options.timeout_option
def rotate(reason: str, wait: bool, timeout: timedelta, as_json: bool) -> int:
    """Ask for it."""
    with session.connected() as client:
        found = client.rotate_keys(reason)
        if wait:
            identifier = found["id"]
            found = until(lambda: client.key_rotation(identifier), ("done", "failed"), timeout, "encrypting anew")

    def human() -> None:
        output.write(f"rotation {found['id']}: {found['state']}, {found['done']} of {found['total']}")
        if found["message"]:
            output.write(found["message"])

    output.result(found, as_json=as_json, human=human)
    return 1 if found["state"] == "failed" else 0
