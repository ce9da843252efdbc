"""``platform cost`` by itself, and what its help page shows of its commands."""

from typing import Any

import click

from mlplatform.cli import options, output, session, table
from mlplatform.cli.app import LazyGroup
from mlplatform.cli.commands.cost.amounts import money, number

Json = dict[str, Any]

_BY = ("team", "model", "version", "environment", "activity", "resource", "origin", "cost-centre", "day")
_RECOMMENDED = 3


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    help="Show what a month has cost: of everything by team, of a team by model, of a model by version.",
    epilog="\b\nExamples:\n"
    "  $ platform cost\n"
    "  $ platform cost --team group:default/risk\n"
    "  $ platform cost --model churn --month 2028-02 --by day\n"
    "  $ platform cost --by resource --json\n"
    "  $ platform cost report --team group:default/risk --month 2028-02 --format pdf -o risk.pdf",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--model", metavar="NAME", help="Only this model.")
@click.option("--team", metavar="REF", help="Only the models of this group, such as group:default/risk.")
@click.option(
    "--month", type=options.MonthType(), metavar="YYYY-MM", help="A month in UTC, instead of the present one."
)
@click.option("--by", "group_by", type=click.Choice(_BY), help="What the parts are.")
@options.json_option
@click.pass_context
def cost(
    context: click.Context,
    model: str | None,
    team: str | None,
    month: str | None,
    group_by: str | None,
    as_json: bool,
) -> None:
    """Ask the platform what things cost, unless a command is named."""
    if context.invoked_subcommand is not None:
        return
    by = group_by or ("version" if model else "model" if team else "team")
    with session.connected() as client:
        own = client.model_cost(model, month=month) if model else None
        found = client.cost_summary(month=month, groupBy=by, model=model, team=team)
        saving = client.cost_recommendations(model=model, team=team) if month is None else None
    document = {**found, "model": own, "recommendations": saving}

    def human() -> None:
        unit = found["currency"]
        if found["groups"]:
            output.table(
                (by, f"cost, {unit}", "of it shared", "predictions", "per thousand"),
                [_row(one) for one in found["groups"]],
            )
        for line in _said(found, own, saving):
            output.write(line)

    output.result(document, as_json=as_json, human=human)


cost.sections = {"Commands": table.GROUPS["cost"]}


def _row(one: Json) -> tuple[object, ...]:
    name = next(
        (str(one[key]) for key in ("team", "environment", "activity", "resource", "origin", "day") if one[key]), None
    )
    if one["model"]:
        name = f"{one['model']} v{one['version']}" if one["version"] else one["model"]
    name = name or one["costCentre"] or "-"
    return name, one["cost"], one["shared"], one["predictions"] or "-", one["perThousandPredictions"] or "-"


def _said(found: Json, own: Json | None, saving: Json | None) -> list[str]:
    unit, state = found["currency"], "closed" if found["closed"] else "so far"
    lines = [f"{found['month']}: {found['total']} {unit} {state}, {found['shared']} of it shared"]
    if found["forecast"] is not None:
        lines.append(f"forecast: {found['forecast']} {unit}")
    if own is not None and own["budget"] is not None:
        budget = own["budget"]
        lines.append(f"budget: {money(budget['monthly'])} {unit}{', used up' if budget['exceeded'] else ''}")
    for one in own["anomalies"] if own is not None else ():
        lines.append(f"{one['day']}: {one['cost']} instead of {one['expected']} {unit}; {one['cause']}")
    for one in found["unpriced"]:
        sku = f" {one['sku']}" if one["sku"] else ""
        lines.append(
            f"no price covers {number(one['quantity'])} {one['unit']}s of {one['resource']}{sku}: {', '.join(one['models'])}"
        )
    for one in saving["items"][:_RECOMMENDED] if saving is not None else ():
        where = f" in {one['environment']}" if one["environment"] else ""
        lines.append(f"save {one['saving']} {unit} a month: {one['model']}{where}, {one['change']} ({one['reason']})")
    return lines
