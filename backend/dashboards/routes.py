"""HTTP routes of dashboards."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging, PlainText
from backend.dashboards.panels import Kind
from backend.dashboards.schemas import DashboardDocument, DashboardOut, Output, ScrapeGroupOut
from backend.identity.auth import Caller

router = APIRouter(prefix="/dashboards", tags=["observability"])


@router.get("", summary="Dashboards", responses=problems(401, 422))
def dashboards(services: ServicesOf, caller: Caller, page: Paging) -> Page[DashboardOut]:
    """Return every dashboard that can be had: of each model, of each group that owns one, and of the platform."""
    after = page.after(str, str)
    with services.database.read() as session:
        found = sorted(services.dashboards.names(session))
    rows = [one for one in found if after is None or one[:2] > after][: page.limit + 1]
    return page.page(rows, lambda row: row[:2], lambda row: DashboardOut(kind=row[0], name=row[1], uid=row[2]))


@router.get("/scrape-targets", summary="What Prometheus scrapes", responses=problems(401, 503))
def scrape_targets(services: ServicesOf, caller: Caller) -> list[ScrapeGroupOut]:
    """Return the platform's parts and every model server on this machine, for Prometheus' HTTP service discovery.

    See https://prometheus.io/docs/prometheus/latest/http_sd/. On Kubernetes the models' own PodMonitors do this.
    """
    return [ScrapeGroupOut.model_validate(one) for one in services.dashboards.scrape_targets()]


@router.get("/{kind}/{name:path}", summary="One dashboard", responses=problems(401, 404, 422))
def dashboard(
    services: ServicesOf,
    caller: Caller,
    kind: Kind,
    name: Annotated[PlainText, Path(min_length=1, max_length=190, examples=["wine"])],
    output: Annotated[Output, Query(description="Whose format.")] = Output.GRAFANA,
) -> DashboardDocument:
    """Return a dashboard as code; made from what is registered now."""
    with services.database.read() as session:
        board = services.dashboards.board(session, kind, name)
        document, monitors = services.dashboards.document(session, board, output)
    return DashboardDocument(
        kind=kind,
        name=name,
        uid=board.uid,
        title=board.title,
        output=output,
        dashboard=document,
        monitors=monitors,
        metrics=sorted(board.families()),
    )
