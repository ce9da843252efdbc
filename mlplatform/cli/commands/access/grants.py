"""``platform access check``, ``request``, ``approve``, ``deny``, ``grants``, ``revoke``, ``break-glass`` and ``look-at``."""

from datetime import timedelta
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

purpose_option = click.option("--purpose", metavar="NAME", help="What the data is for, such as model-training.")
reason_option = click.option("--reason", required=True, help="Why; it goes into the audit log.")
comment_option = click.option("--comment", default="", help="Why; it goes into the audit log.")


@options.command(
    "Say whether you may do something, and by which rule. The question and its answer go into the audit log, so this is also "
    "what a job asks before it reads data. Exit status 1 if you may not.",
    examples=[
        "platform access check read dataset:default/customers --purpose model-training",
        "platform access check deploy model:wine --json",
    ],
)
@click.argument("action")
@click.argument("resource")
@purpose_option
@click.option("--env", "environment", metavar="NAME", help="Environment, where the policies ask for it.")
def check(action: str, resource: str, purpose: str | None, environment: str | None, as_json: bool) -> int:
    """Ask the platform."""
    with session.connected() as client:
        found = client.may(action, resource, purpose, environment)
    if not found["allowed"] and not as_json:
        raise CliError(found["explanation"])
    output.result(found, as_json=as_json, human=lambda: output.write(found["explanation"]))
    return 0 if found["allowed"] else 1


@options.command(
    "Ask for access for a time. SCOPE is model:NAME, dataset:NAMESPACE/NAME, classification:CLASS or platform. A member of the "
    "group that owns it decides, and never you.",
    examples=[
        'platform access request read dataset:default/customers --purpose model-training --for 1d --reason "spring run"',
        'platform access request rollback model:wine --for 8h --reason "on call for risk tonight"',
    ],
)
@click.argument("action")
@click.argument("scope")
@purpose_option
@click.option("--for", "duration", type=options.DurationType(), default="1d", show_default=True, help="For how long.")
@click.option("--principal", metavar="REF", help="For a repository, a service or somebody else, instead of you.")
@reason_option
def request(
    action: str,
    scope: str,
    purpose: str | None,
    duration: timedelta,
    principal: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Send the wish."""
    with session.connected() as client:
        found = client.request_access(_wish(action, scope, purpose, duration, reason, principal))

    def human() -> None:
        output.write(f"{found['id']}: waits for {found['owner']}, until {_time(found['endsAt'])}")

    output.result(found, as_json=as_json, human=human)


@options.command(
    "Take access at once, in an emergency. It is short, everybody sees it, and somebody else looks at it afterwards.",
    examples=[
        "platform access break-glass read dataset:default/customers --purpose incident-response --for 1h "
        '--reason "wrong scores in production"',
    ],
)
@click.argument("action")
@click.argument("scope")
@purpose_option
@click.option("--for", "duration", type=options.DurationType(), default="1h", show_default=True, help="For how long.")
@reason_option
def break_glass(action: str, scope: str, purpose: str | None, duration: timedelta, reason: str, as_json: bool) -> None:
    """Take it."""
    with session.connected() as client:
        found = client.break_glass(_wish(action, scope, purpose, duration, reason, None))
    output.result(found, as_json=as_json, human=lambda: _told(found, "you broke the glass"))


@options.command(
    "Grant what was asked for, from now on. You have to be a member of the group that owns it, and not who asked.",
    examples=['platform access approve 0197f2c4-7b1e-7c3a-8000-000000000000 --comment "for the spring run"'],
)
@click.argument("grant")
@comment_option
def approve(grant: str, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_grant(grant, "approve", comment=comment)
    output.result(found, as_json=as_json, human=lambda: _told(found, "granted"))


@options.command(
    "Turn a request for access down.",
    examples=['platform access deny 0197f2c4-7b1e-7c3a-8000-000000000000 --comment "use the masked copy"'],
)
@click.argument("grant")
@comment_option
def deny(grant: str, comment: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_grant(grant, "deny", comment=comment)
    output.result(found, as_json=as_json, human=lambda: _told(found, "denied"))


@options.command(
    "End a grant before its time, or withdraw a request.",
    examples=['platform access revoke 0197f2c4-7b1e-7c3a-8000-000000000000 --reason "the project has ended"'],
)
@click.argument("grant")
@reason_option
def revoke(grant: str, reason: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        found = client.decide_grant(grant, "revoke", reason=reason)
    output.result(found, as_json=as_json, human=lambda: _told(found, "revoked"))


@options.command(
    "Say whether a use of break-glass was justified. What was not ends at once.",
    examples=[
        'platform access look-at 0197f2c4-7b1e-7c3a-8000-000000000000 --justified --reason "it stopped wrong scores"',
        'platform access look-at 0197f2c4-7b1e-7c3a-8000-000000000000 --unjustified --reason "a masked copy was enough"',
    ],
)
@click.argument("grant")
@click.option("--justified/--unjustified", required=True, default=None, help="Whether it was.")
@reason_option
def look_at(grant: str, justified: bool, reason: str, as_json: bool) -> None:
    """Send what was found."""
    with session.connected() as client:
        found = client.decide_grant(grant, "look-at", justified=justified, comment=reason)
    output.result(found, as_json=as_json, human=lambda: _told(found, "looked at"))


@options.command(
    "List grants and requests, newest first.",
    examples=[
        "platform access grants --mine",
        "platform access grants --to-decide",
        "platform access grants --to-look-at",
    ],
)
@click.option("--mine", "view", flag_value="mine", help="Only those for you.")
@click.option("--to-decide", "view", flag_value="to-decide", help="Only requests that wait for a group of yours.")
@click.option(
    "--to-look-at", "view", flag_value="to-look-at", help="Only uses of break-glass that nobody has looked at."
)
@click.option(
    "--state",
    type=click.Choice(["requested", "active", "denied", "expired", "revoked"]),
    help="Only those in this state.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
def grants(view: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """Read as many pages as it takes."""
    with session.connected() as client:
        items = list(client.pages("/access/grants", {"view": view, "state": state}, most=limit))

    def human() -> None:
        rows = [
            (
                one["id"],
                output.mark(one["state"]),
                one["principal"],
                f"{one['action']} {one['scope']}" + (f" for {one['purpose']}" if one["purpose"] else ""),
                _time(one["endsAt"]),
                one["kind"] if one["kind"] != "grant" else one["owner"],
            )
            for one in items
        ]
        output.table(("id", "state", "who", "what", "until", "decided by"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


def _wish(
    action: str, scope: str, purpose: str | None, duration: timedelta, reason: str, principal: str | None
) -> Json:
    from mlplatform.spec.quantities import format_duration

    what = {"action": action, "scope": scope, "purpose": purpose, "reason": reason, "principal": principal}
    return {**what, "duration": format_duration(duration)}


def _told(grant: Json, words: str) -> None:
    until = f" until {_time(grant['endsAt'])}" if grant["state"] == "active" else ""
    output.write(f"{grant['principal']} to {grant['action']} {grant['scope']}: {words}; it is {grant['state']}{until}")


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
