"""HTTP routes of the overview."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import ServicesOf
from backend.core.errors import InvalidInput
from backend.core.http.problems import problems
from backend.core.schemas import Paging, PlainText, utc
from backend.deployments.models import Phase
from backend.drift.models import DriftOutcome
from backend.identity.auth import Caller
from backend.observability.models import SloState
from backend.observability.slos import UNKNOWN_BUDGET
from backend.overview import repository
from backend.overview.models import ModelSummary
from backend.overview.repository import Filter, PlaceRow, SortKey, SummaryRow
from backend.overview.schemas import (
    ComplianceOut,
    EvidenceOut,
    FacetOut,
    FacetsOut,
    FigureDetailOut,
    FigureOut,
    FigureWithTrendOut,
    MonthlyCostOut,
    MonthOut,
    OverviewOut,
    OverviewPage,
    PlaceOut,
    SloSummaryOut,
    TemplateOut,
)
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/overview", tags=["overview"])

Sort = Literal[
    "name", "-name", "owner", "-owner", "system", "-system", "type", "-type", "tier", "-tier", "updated", "-updated",
    "behind", "-behind", "compliance", "-compliance", "slo", "-slo", "drift", "-drift", "cost", "-cost",
]  # fmt: skip
Reference = Annotated[PlainText | None, Query(max_length=190, examples=["group:default/risk"])]


@router.get("/models", summary="All models at a glance", response_model=OverviewPage, responses=problems(401, 422))
def models(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    q: Annotated[PlainText | None, Query(max_length=100, description="Part of the name or description.")] = None,
    owner: Reference = None,
    system: Annotated[PlainText | None, Query(max_length=190, examples=["system:default/lending"])] = None,
    type: Annotated[PlainText | None, Query(max_length=20, examples=["realtime"])] = None,
    tier: Annotated[int | None, Query(ge=1, le=3)] = None,
    environment: Annotated[
        str | None,
        Query(max_length=63, pattern=ENVIRONMENT_PATTERN, description="Only models that were deployed there."),
    ] = None,
    live: Annotated[bool | None, Query(description="Whether a version is live, in `environment` or anywhere.")] = None,
    phase: Annotated[Phase | None, Query(description="Phase of the newest deployment in an environment.")] = None,
    behind: Annotated[
        bool | None, Query(description="Whether its template has a newer version; models without one are neither.")
    ] = None,
    compliant: Annotated[
        bool | None,
        Query(description="Whether no check of the controls found anything about it; only live models are either."),
    ] = None,
    slo: Annotated[SloState | None, Query(description="How its objectives stand, by the worst.")] = None,
    drift: Annotated[DriftOutcome | None, Query(description="What its newest drift reports say, by the worst.")] = None,
    cost_at_least: Annotated[
        Decimal | None,
        Query(
            ge=0,
            max_digits=14,
            decimal_places=2,
            description="What it has cost this month, in the price sheet's currency.",
        ),
    ] = None,
    sort: Annotated[
        Sort, Query(description="With `-` the other way round; models with the same value by name.")
    ] = "name",
) -> Response:
    """Return models with where each of their versions is, a page at a time, and how many there are."""
    wanted = Filter(
        q or None,
        owner,
        system,
        type,
        tier,
        environment,
        live,
        phase.value if phase else None,
        behind,
        compliant,
        slo.value if slo else None,
        drift.value if drift else None,
        None if cost_at_least is None else int(cost_at_least * 100),
    )
    key: SortKey = sort.removeprefix("-")  # type: ignore[assignment]
    after = _after(page, sort, key)
    remembered = services.overview.remembered

    def made() -> bytes:
        with services.database.read() as session:
            rows = repository.page(
                session, wanted, key=key, descending=sort.startswith("-"), after=after, limit=page.limit + 1
            )
            # All pages of a list have the same.
            total = remembered.get(wanted, lambda: repository.count(session, wanted))
            places = repository.places(session, [row.name for row in rows[: page.limit]])
        currency = services.cost.sheet.currency
        found = page.page(
            rows,
            lambda row: [sort, _value(row, key), row.name],
            lambda row: overview_out(row, places[row.name], currency),
        )
        answer = OverviewPage(items=found.items, next_cursor=found.next_cursor, total=total)
        return answer.model_dump_json().encode()

    return Response(remembered.get((wanted, sort, after, page.limit), made), media_type="application/json")


@router.get("/models/{name}", summary="One model at a glance", responses=problems(401, 404, 422))
def model(
    services: ServicesOf,
    caller: Caller,
    name: Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])],
) -> OverviewOut:
    """Return a model with where each of its versions is."""
    with services.database.read() as session:
        row = services.overview.get(session, name)
        return overview_out(row, repository.places(session, [name])[name], services.cost.sheet.currency)


@router.get("/facets", summary="What models can be filtered by", responses=problems(401, 422))
def facets(services: ServicesOf, caller: Caller) -> FacetsOut:
    """Return the values that models have, each with how many have it."""
    names = {"owners": "owner", "systems": "system", "types": "type", "tiers": "tier", "environments": "environment"}
    with services.database.read() as session:
        found = {
            name: [FacetOut(value=value, count=number) for value, number in repository.values(session, column)]
            for name, column in names.items()
        }
    return FacetsOut(**found)


@router.get("/figures", summary="The platform's own figures", responses=problems(401, 422))
def figures(
    services: ServicesOf,
    caller: Caller,
    days: Annotated[int, Query(ge=1, le=3660, description="Counted is what happened since then.")] = 30,
    months: Annotated[int, Query(ge=0, le=36, description="Months of the trend, the present one included.")] = 0,
) -> list[FigureWithTrendOut]:
    """Return the figures that the platform is held to; with `months` each with its trend."""
    with services.database.read() as session:
        found = services.figures.all(session, days, months)
    return [
        FigureWithTrendOut(
            **FigureOut.model_validate(one).model_dump(by_alias=False),
            trend=[MonthOut.model_validate(month) for month in trend],
        )
        for one, trend in found
    ]


@router.get("/figures/{name}", summary="One figure and the events behind it", responses=problems(401, 404, 422))
def figure(
    services: ServicesOf,
    caller: Caller,
    name: Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["change-failure-rate"])],
    days: Annotated[int, Query(ge=1, le=3660, description="The figure and its events are from then on.")] = 30,
    months: Annotated[int, Query(ge=1, le=36, description="Months of the trend, the present one included.")] = 12,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most events that are listed.")] = 100,
) -> FigureDetailOut:
    """Return a figure with its trend by month, and with the events behind it, newest first."""
    with services.database.read() as session:
        value, trend, events = services.figures.one(session, name, days, months)
    return FigureDetailOut(
        figure=FigureOut.model_validate(value),
        trend=[MonthOut.model_validate(one) for one in trend],
        evidence=[EvidenceOut.model_validate(one) for one in events[:limit]],
        more=max(len(events) - limit, 0),
    )


def overview_out(row: ModelSummary | SummaryRow, places: list[PlaceRow], currency: str) -> OverviewOut:
    """Return a model as the API shows it."""
    template = None
    if row.template is not None:
        template = TemplateOut(
            name=row.template,
            version=row.template_version,
            newest=row.template_newest,
            behind=None if row.behind < 0 else row.behind,
            request_url=row.request_url,
        )
    own = ("name", "description", "type", "owner", "tier", "cost_centre", "repository", "entity_ref", "latest_version")
    return OverviewOut(
        **{name: getattr(row, name) for name in own},
        system=row.system or None,
        updated_at=row.updated_at,
        places=[PlaceOut.model_validate(one) for one in places],
        template=template,
        slo=_slo(row),
        drift=DriftOutcome(row.drift) if row.drift else None,
        monthly_cost=None
        if row.monthly_cost < 0
        else MonthlyCostOut(amount=f"{Decimal(row.monthly_cost).scaleb(-2):.2f}", currency=currency),
        compliance=None if row.compliance < 0 else ComplianceOut(met=row.compliance == 0, failing=row.compliance),
    )


def _slo(row: ModelSummary | SummaryRow) -> SloSummaryOut | None:
    if not row.slo:
        return None
    return SloSummaryOut(
        state=SloState(row.slo), remaining=None if row.budget == UNKNOWN_BUDGET else row.budget / 10_000
    )


def _value(row: SummaryRow, key: SortKey) -> Any:
    if key == "updated":
        return utc(row.updated_at)
    if key == "drift":
        return repository.DRIFT_ORDER.index(row.drift)
    columns = {"slo": "budget", "cost": "monthly_cost"}
    return getattr(row, columns.get(key, key))


def _after(page: Paging, sort: str, key: SortKey) -> tuple[Any, str] | None:
    found = page.after(str, int if key in {"tier", "behind", "compliance", "slo", "drift", "cost"} else str, str)
    if found is None:
        return None
    order, value, name = found
    try:
        if order != sort:
            raise ValueError
        return (datetime.fromisoformat(value) if key == "updated" else value), name
    except ValueError:
        raise InvalidInput(
            "cursor: is none that this list gave out in this order", fix="Start again without `cursor`."
        ) from None
