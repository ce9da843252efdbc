"""HTTP routes of drift: labels, reports, and what they say of a model."""

import gzip
import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from backend.core.actions import tried
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import ServicesOf
from backend.core.errors import InvalidInput, NotFound
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.drift import repository
from backend.drift.labels import Label, Taken
from backend.drift.models import DriftOutcome, DriftReport
from backend.drift.rendering import CONTENT_SECURITY_POLICY, page
from backend.drift.schemas import (
    LabelsIn,
    LabelsOut,
    ModelDriftOut,
    ReportIn,
    ReportOut,
    WholeReportOut,
    columns_of,
)
from backend.drift.service import worst
from backend.identity.auth import Caller
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/drift", tags=["drift"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
ModelName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])]


@router.post(
    "/models/{name}/labels",
    summary="Send labels",
    response_model=LabelsOut,
    responses=problems(401, 403, 404, 413, 422),
)
def labels(services: ServicesOf, caller: Caller, write: Write, name: ModelName, sent: LabelsIn) -> Response:
    """Take what would have been right. Labels may be late, sent again, and in any order.

    They join by the prediction's id, of a batch model by the row's day and key.
    """
    if sent.environment not in services.settings.environments:
        known = ", ".join(services.settings.environments)
        raise InvalidInput(f"environment: there is none called {sent.environment}", fix=f"There are: {known}.")

    def work(session: Session) -> Taken:
        given = [
            Label(one.id, one.value if isinstance(one.value, list) else [one.value], one.at, one.day, one.key or {})
            for one in sent.labels
        ]
        return services.drift.labels.take(session, caller, name, sent.environment, given)

    return write.run(work, LabelsOut)


@router.get("/models/{name}", summary="How a model stands", responses=problems(401, 404, 422))
def model(services: ServicesOf, caller: Caller, name: ModelName) -> ModelDriftOut:
    """Return the newest report of each environment."""
    with services.database.read() as session:
        services.registry.get_model(session, name)
        rows = sorted(repository.newest_of(session, [name]), key=lambda row: row.environment)
        live = set(services.deployments.live_everywhere(session))
        may = tried("ask", lambda: services.drift.may_ask(session, caller, name))
        mine = [row for row in rows if (row.environment, row.model, row.version) in live]
        outcome = worst(row.outcome or "" for row in mine)
        return ModelDriftOut(
            model=name,
            outcome=DriftOutcome(outcome) if outcome else None,
            reports=[report_out(row) for row in rows],
            actions=[may],
        )


@router.post(
    "/models/{name}/reports",
    summary="Ask for a report",
    response_model=ReportOut,
    status_code=202,
    responses=problems(401, 403, 404, 409, 422),
)
def ask(services: ServicesOf, caller: Caller, write: Write, name: ModelName, wish: ReportIn) -> Response:
    """Have what has come since the last report judged now. A report that is being made already is returned."""

    def work(session: Session) -> ReportOut:
        return report_out(services.drift.ask(session, caller, name, wish.environment)[0])

    answer = write.run(work, ReportOut, 202)
    services.runtime.wake()
    return answer


@router.get("/reports", summary="Drift reports", responses=problems(401, 422))
def reports(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
    environment: Annotated[str | None, Query(max_length=63, pattern=ENVIRONMENT_PATTERN)] = None,
    outcome: DriftOutcome | None = None,
) -> Page[ReportOut]:
    """Return reports, newest first."""
    with services.database.read() as session:
        rows = repository.page(
            session,
            model=model,
            environment=environment,
            outcome=outcome.value if outcome else None,
            after=page.after(str),
            limit=page.limit + 1,
        )
        return page.page(rows, lambda row: [row.id], report_out)


@router.get("/reports/{id}", summary="One drift report", responses=problems(401, 404, 422))
def report(services: ServicesOf, caller: Caller, id: Id) -> WholeReportOut:
    """Return a report with every test."""
    with services.database.read() as session:
        row = services.drift.get(session, id)
        said = row.judgement or {"findings": [], "skipped": [], "bound": None}
        return WholeReportOut.model_validate(
            {
                **report_out(row).model_dump(by_alias=False),
                "reference_digest": row.reference_digest,
                **{name: said[name] for name in ("findings", "skipped", "bound")},
            }
        )


@router.get(
    "/reports/{id}/html",
    summary="One drift report as a page",
    response_class=HTMLResponse,
    responses=problems(401, 404, 422),
)
def report_page(services: ServicesOf, caller: Caller, id: Id) -> Response:
    """Return Evidently's report as a page that stands alone."""
    with services.database.read() as session:
        row = services.drift.get(session, id)
        if row.dashboard is None:
            raise NotFound(f"the report {id} has no page", fix=row.reason or "It is not made yet.")
        data = json.loads(gzip.decompress(row.dashboard))
        text = page(f"Drift of {row.model} v{row.version} in {row.environment}", _summary(row), data)
    return HTMLResponse(text, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def report_out(row: DriftReport) -> ReportOut:
    """Return a report as the API shows it."""
    return ReportOut.model_validate({**columns_of(row), "html": row.alpha is not None})


def _summary(row: DriftReport) -> list[str]:
    lines = [
        f"{row.outcome}: {row.rows} rows and {row.labelled} labelled ones from {row.since:%Y-%m-%d %H:%M} "
        f"to {row.until:%Y-%m-%d %H:%M} UTC, held against the training reference {str(row.reference_digest)[:12]}."
    ]
    for one in row.drifted[:20]:
        lines.append(f"{one['check']} of {one['column']} ({one['part']}): {one['test']}, p = {one['p']:.2g}")
    return lines
