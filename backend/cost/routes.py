"""HTTP routes of cost: usage, what things cost, and what could be saved."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.container import Services, ServicesOf
from backend.core.errors import NotFound, PayloadTooLarge
from backend.core.http.problems import problems
from backend.core.schemas import PlainText
from backend.core.writes import Write
from backend.cost import focus, repository
from backend.cost.budgets import MODEL
from backend.cost.periods import MONTH_PATTERN, Month
from backend.cost.resources import KINDS
from backend.cost.schemas import (
    AnomalyOut,
    ModelCostOut,
    MonthOut,
    PriceOut,
    PricesOut,
    RecommendationsOut,
    ResourceOut,
    SummaryOut,
    UsageBatchIn,
    UsageTakenOut,
    anomaly_out,
    budget_out,
    group_out,
    recommendation_out,
    summary_out,
    text,
    unpriced_out,
    withheld_out,
)
from backend.cost.service import GroupBy
from backend.identity.auth import Caller
from mlplatform.spec.model import ENTITY_REF_PATTERN, NAME_PATTERN

router = APIRouter(prefix="/cost", tags=["cost"])

MonthIn = Annotated[
    str | None,
    Query(pattern=MONTH_PATTERN, description="A month in UTC; the present one if null.", examples=["2028-02"]),
]
MonthPath = Annotated[str, Path(pattern=MONTH_PATTERN, examples=["2028-02"])]
TeamIn = Annotated[PlainText | None, Query(pattern=ENTITY_REF_PATTERN, max_length=190, examples=["group:default/risk"])]
ModelIn = Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)]
ModelPath = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])]


@router.post(
    "/usage", summary="Report usage", response_model=UsageTakenOut, responses=problems(401, 403, 404, 409, 413, 422)
)
def report_usage(services: ServicesOf, caller: Caller, write: Write, body: UsageBatchIn) -> Response:
    """Take usage records: all of them, or none. Late, repeated and in any order they do no harm."""
    most = services.settings.cost.most_records
    if len(body.records) > most:
        raise PayloadTooLarge(f"records: at most {most} are taken at once", fix="Send them in several requests.")

    def work(session: Session) -> UsageTakenOut:
        taken = services.cost.usage.report(session, caller, [one.as_usage() for one in body.records])
        return UsageTakenOut.model_validate(taken)

    return write.run(work, UsageTakenOut)


@router.get("/summary", summary="What a month has cost", responses=problems(401, 422))
def summary(
    services: ServicesOf,
    caller: Caller,
    month: MonthIn = None,
    group_by: Annotated[GroupBy, Query(alias="groupBy")] = "team",
    team: TeamIn = None,
    model: ModelIn = None,
    environment: Annotated[PlainText | None, Query(max_length=63)] = None,
) -> SummaryOut:
    """Return the cost of a month by team, model, version, environment or resource, the dearest first, in cents that add up."""
    with services.database.read() as session:
        found = services.cost.summary(
            session, month_of(services, month), group_by, team=team, model=model, environment=environment
        )
        return summary_out(found, group_by)


@router.get("/models/{name}", summary="What a model costs", responses=problems(401, 404, 422))
def model_cost(services: ServicesOf, caller: Caller, name: ModelPath, month: MonthIn = None) -> ModelCostOut:
    """Return a model's month by day, version, environment and resource, with the months before it, forecast and budget."""
    cost, wanted = services.cost, month_of(services, month)
    with services.database.read() as session:
        services.registry.get_model(session, name)
        whole = cost.summary(session, wanted, "model", model=name)
        limit = cost.budgets.of(session, MODEL, name)
        standing = cost.budgets.standing(session, limit) if limit is not None else None
        group = whole.groups[0] if whole.groups else None

        def by(key: GroupBy) -> list[object]:
            return [group_out(one, key) for one in cost.summary(session, wanted, key, model=name).groups]

        return ModelCostOut.model_validate(
            {
                "model": name,
                "month": str(wanted),
                "currency": whole.currency,
                "closed": whole.closed,
                "total": text(whole.total),
                "shared": text(whole.shared),
                "forecast": None if whole.forecast is None else text(whole.forecast),
                "predictions": int(group.predictions if group is not None else Decimal(0)),
                "per_thousand_predictions": text(group.per_thousand)
                if group is not None and group.per_thousand is not None
                else None,
                "days": [group_out(one, "day") for one in cost.days(session, wanted, name)],
                "versions": by("version"),
                "environments": by("environment"),
                "resources": by("resource"),
                "months": [
                    MonthOut(month=str(one), cost=text(amount))
                    for one, amount in cost.months(session, wanted, model=name)
                ],
                "unpriced": unpriced_out(whole),
                "budget": budget_out(standing, whole.currency, str(cost.month)) if standing is not None else None,
                "anomalies": [
                    anomaly_out(one) for one in repository.anomalies(session, wanted.first, wanted.end, name)
                ],
            }
        )


@router.get("/prices", summary="The price sheet", responses=problems(401))
def prices(services: ServicesOf, caller: Caller) -> PricesOut:
    """Return the prices, and what is metered in which units."""
    settings = services.settings.cost
    return PricesOut(
        currency=settings.currency,
        basis=settings.basis,
        prices=[
            PriceOut(
                resource=one.resource,
                unit=one.unit,
                price=text(one.price),
                currency=one.currency or settings.currency,
                valid_from=one.valid_from,
                sku=one.sku,
                environment=one.environment,
                activity=one.activity,
            )
            for one in settings.prices
        ],
        resources=[
            ResourceOut(resource=resource, unit=kind.unit, priced_in=list(kind.priced_in))
            for resource, kind in KINDS.items()
        ],
    )


@router.get("/anomalies", summary="Days that cost far more than before", responses=problems(401, 422))
def anomalies(services: ServicesOf, caller: Caller, month: MonthIn = None, model: ModelIn = None) -> list[AnomalyOut]:
    """Return the days of a month on which a model cost far more than before, each with what grew; newest first."""
    wanted = month_of(services, month)
    with services.database.read() as session:
        return [anomaly_out(one) for one in repository.anomalies(session, wanted.first, wanted.end, model)]


@router.get("/recommendations", summary="What could be saved", responses=problems(401, 404, 422))
def recommendations(
    services: ServicesOf, caller: Caller, model: ModelIn = None, team: TeamIn = None
) -> RecommendationsOut:
    """Return what would save money, checked against the objectives of each model; and what might break one, apart."""
    with services.database.read() as session:
        if model is not None:
            services.registry.get_model(session, model)
        month = services.cost.month
        found = services.cost.summary(session, month.plus(-1), "model", team=team, model=model).groups
        found += services.cost.summary(session, month, "model", team=team, model=model).groups
        names = sorted({str(group.key[0]) for group in found} - {""})
        items, withheld = services.cost.recommendations.of(session, names)
    currency = services.cost.sheet.currency
    return RecommendationsOut(
        items=[recommendation_out(one, currency) for one in items],
        withheld=[withheld_out(one, currency) for one in withheld],
    )


@router.get(
    "/focus/{month}",
    summary="A month in FOCUS",
    response_class=Response,
    responses={200: {"content": {"application/vnd.apache.parquet": {}, "text/csv": {}}}, **problems(401, 404, 422)},
)
def focus_file(
    services: ServicesOf, caller: Caller, month: MonthPath, format: Literal["parquet", "csv"] = "parquet"
) -> Response:
    """Return all lines of a month in the columns of FOCUS 1.0. Usage that no price covers is not in it."""
    wanted = Month.parse(month)
    with services.database.read() as session:
        lines = repository.lines(session, wanted.first, wanted.end)
    if not lines:
        raise NotFound(f"nothing is recorded of {month}")
    make, kind = (focus.csv, "text/csv") if format == "csv" else (focus.parquet, "application/vnd.apache.parquet")
    headers = {"Content-Disposition": f'attachment; filename="focus-{month}.{format}"'}
    return Response(make(lines, wanted, services.cost.sheet.currency), media_type=kind, headers=headers)


@router.get("/reports/{month}", summary="Teams of a month", responses=problems(401, 422))
def reports(services: ServicesOf, caller: Caller, month: MonthPath) -> list[str]:
    """Return the teams that there is a report for."""
    with services.database.read() as session:
        return services.cost_work.reports.teams(session, Month.parse(month))


@router.get(
    "/reports/{month}/{team:path}",
    summary="A team's monthly report",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {}, "text/csv": {}, "application/pdf": {}}},
        **problems(401, 404, 422),
    },
)
def report(
    services: ServicesOf,
    caller: Caller,
    month: MonthPath,
    team: Annotated[str, Path(pattern=ENTITY_REF_PATTERN, max_length=190, examples=["group:default/risk"])],
    format: Literal["html", "csv", "pdf"] = "html",
) -> Response:
    """Return a team's month as a page or a PDF, or its lines as CSV."""
    made = services.cost_work.reports
    with services.database.read() as session:
        if format == "pdf":
            headers = {
                "Content-Disposition": f'attachment; filename="{made.file(Month.parse(month), team, "pdf").name}"'
            }
            content = made.pdf(session, Month.parse(month), team)
            return Response(content, media_type="application/pdf", headers=headers)
        text = made.html if format == "html" else made.csv
        return Response(text(session, Month.parse(month), team), media_type=f"text/{format}")


def month_of(services: Services, month: str | None) -> Month:
    """Return the month that was asked for, or the present one."""
    return Month.parse(month) if month is not None else services.cost.month
