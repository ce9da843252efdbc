"""``platform access policies``, ``test`` and ``duties``."""

from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, rooms, session

Json = dict[str, Any]


@options.command(
    "Show the policies that decide, or those that a decision on record was made by.",
    examples=[
        "platform access policies",
        "platform access policies --digest DIGEST",
        "platform access policies --text",
    ],
)
@click.option("--digest", metavar="SHA256", help="Those that held when a decision with this digest was made.")
@click.option("--text", "with_text", is_flag=True, help="With the text of each rule.")
def policies(digest: str | None, with_text: bool, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        found = client.access_policies(digest)

    def human() -> None:
        output.write(f"policy set {found['digest']}, since {found['activatedAt'][:16].replace('T', ' ')} UTC")
        if with_text:
            for one in found["rules"]:
                output.write(f"\n// {one['file']}:{one['line']}\n{one['text']}")
            return
        rows = [(one["effect"], one["id"], one["because"]) for one in found["rules"]]
        output.table(("effect", "rule", "because"), rows)

    output.result(found, as_json=as_json, human=human)


@options.command(
    "Put test cases to the policies that are configured here; no platform has to run. Without a FILE these are the cases that "
    "the platform ships. Exit status 1 if an answer is another than expected.",
    examples=["platform access test", "platform access test policies/cases.yaml --config app-config.yaml"],
)
@click.argument("cases", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.configs_option("Configuration file, instead of app-config.yaml in this folder; may be given several times.")
def test(cases: tuple[Path, ...], configs: tuple[Path, ...], as_json: bool) -> int:
    """Ask the engine itself."""
    outcomes = rooms.policy_cases(configs, cases)
    failed = [one for one in outcomes if not one["passed"]]

    def human() -> None:
        for one in failed:
            output.write(f"{output.mark('failed')} {one['file']}:{one['line']}: {one['name']}: {one['message']}")
        output.write(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases passed")

    output.result({"items": outcomes, "failed": len(failed)}, as_json=as_json, human=human)
    return 1 if failed else 0


@options.command(
    "Show who did alone what takes two, in a period: approvals, grants, reviews, and every use of break-glass. Exit status 1 if "
    "there is anything.",
    examples=["platform access duties --from 2026-01-01 --to 2026-04-01"],
)
@click.option("--from", "since", metavar="TIME", required=True, help="Not before this time (ISO 8601).")
@click.option("--to", "until", metavar="TIME", required=True, help="Before this time (ISO 8601).")
def duties(since: str, until: str, as_json: bool) -> int:
    """Ask the platform."""
    with session.connected() as client:
        found = client.separation_of_duties(since, until)

    def human() -> None:
        rows = [(one["at"][:16].replace("T", " "), one["kind"], one["message"]) for one in found["violations"]]
        if rows:
            output.table(("at", "what", ""), rows)
        looked = ", ".join(f"{number} {what}" for what, number in found["checked"].items())
        output.write(f"{len(rows)} found; looked at {looked}")

    output.result(found, as_json=as_json, human=human)
    return 1 if found["violations"] else 0
