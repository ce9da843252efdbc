"""``platform cost budget`` and ``platform cost quota``."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.cost.amounts import money, number

Json = dict[str, Any]


class AmountType(click.ParamType[Decimal]):
    """An amount of money that may be spent."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Take a number that is not negative."""
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no amount such as 1200 or 99.50", param, ctx)
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value} can't be spent; 0 is the least, and means that nothing may be", param, ctx)
        return amount


@options.command(
    "Show what teams and models may cost in a month and how much of it is used, or set it for one of them.",
    examples=[
        "platform cost budget",
        "platform cost budget --model churn --set 1200 --enforce",
        "platform cost budget --team group:default/risk --set 5000",
    ],
)
@click.option("--model", metavar="NAME", help="Of this model.")
@click.option("--team", metavar="REF", help="Of this group, such as group:default/risk.")
@click.option("--set", "monthly", type=AmountType(), metavar="AMOUNT", help="May cost so much in a month.")
@click.option("--enforce", is_flag=True, help="With --set: refuse new rollouts once it is used up.")
def budget(model: str | None, team: str | None, monthly: Decimal | None, enforce: bool, as_json: bool) -> None:
    """List budgets, or set one."""
    if model is not None and team is not None:
        raise click.UsageError("Give either --model or --team.")
    whose = ("model", model) if model is not None else ("team", team) if team is not None else None
    if monthly is None and enforce:
        raise click.UsageError("--enforce goes with --set.")
    if monthly is not None and whose is None:
        raise click.UsageError("--set needs --model or --team.")
    with session.connected() as client:
        if whose is None:
            items = client.budgets()
        elif monthly is None:
            items = [client.budget(*whose)]
        else:
            items = [client.set_budget(*whose, monthly=str(monthly), enforce=enforce)]
    rows = [
        (
            f"{one['kind']} {one['name']}",
            f"{one['spent']} of {money(one['monthly'])} {one['currency']}",
            "-" if one["percent"] is None else f"{one['percent']:.0f} %",
            one["forecast"],
            "refuses rollouts" if one["enforce"] else "warns",
            one["setBy"],
        )
        for one in items
    ]

    def human() -> None:
        if rows:
            output.table(("of", "used", "part", "forecast", "used up", "set by"), rows)
        else:
            output.write("there is no budget")

    output.result({"items": items}, as_json=as_json, human=human)


@options.command(
    "Show what teams take up of their quotas in each environment. A rollout that would go beyond one is refused.",
    examples=["platform cost quota", "platform cost quota --team group:default/risk --env production --json"],
)
@click.option("--team", metavar="REF", help="Of this group, such as group:default/risk.")
@click.option("--env", "environment", metavar="NAME", help="In this environment.")
def quota(team: str | None, environment: str | None, as_json: bool) -> None:
    """List quotas."""
    with session.connected() as client:
        items = client.quotas(team=team, environment=environment)
    rows = [
        (
            one["team"],
            one["environment"],
            one["resource"],
            f"{number(one['used'])} of {number(one['limit'])}"
            + (f" {one['unit']}" if one["unit"] != one["resource"] else ""),
            one["setting"],
            ", ".join(one["changedBy"]),
        )
        for one in items
    ]

    def human() -> None:
        if rows:
            output.table(("team", "environment", "resource", "used", "set in", "changed by"), rows)
        else:
            output.write("no quota holds there, or nothing is live")

    output.result({"items": items}, as_json=as_json, human=human)
