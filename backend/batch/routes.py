"""HTTP routes of the batch domain."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.batch import repository
from backend.batch.models import BackfillState, Cause, RunState
from backend.batch.schemas import (
    BackfillIn,
    BackfillOut,
    CancelIn,
    PlanOut,
    RangeIn,
    RunIn,
    RunOut,
    ScoredOut,
    StandingOut,
    VersionNumber,
    backfill_out,
    plan_out,
    run_out,
    standing_out,
)
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(tags=["batch"])

_ID = r"^[0-9a-f-]{36}$"
RunId = Annotated[str, Path(alias="id", pattern=_ID, description="Id of the run.")]
BackfillId = Annotated[str, Path(alias="id", pattern=_ID, description="Id of the backfill.")]
EnvironmentName = Annotated[
    str, Path(alias="environment", pattern=ENVIRONMENT_PATTERN, max_length=63, examples=["production"])
]
ModelName = Annotated[str, Path(alias="model", pattern=NAME_PATTERN, max_length=63, examples=["flight-delays"])]
ModelFilter = Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)]
EnvironmentFilter = Annotated[str | None, Query(pattern=ENVIRONMENT_PATTERN, max_length=63)]


@router.post(
    "/batch/runs",
    summary="Score a day",
    status_code=201,
    response_model=RunOut,
    responses=problems(401, 403, 404, 409, 422),
)
def request_run(services: ServicesOf, caller: Caller, write: Write, body: RunIn) -> Response:
    """Have a day's partition scored and replaced. A day that this version has scored, from this input, stays as it is."""

    def work(session: Session) -> RunOut:
        run = services.batch.request(
            session,
            caller,
            environment=body.environment,
            model=body.model,
            day=body.day,
            version=body.version,
            force=body.force,
            reason=body.reason,
        )
        return run_out(run)

    return _woken(services, write.run(work, RunOut, 201))


@router.get("/batch/runs", summary="Runs", responses=problems(401, 422))
def runs(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    environment: EnvironmentFilter = None,
    model: ModelFilter = None,
    day: date | None = None,
    state: RunState | None = None,
    cause: Cause | None = None,
    backfill: Annotated[str | None, Query(pattern=_ID, description="Only runs of this backfill.")] = None,
) -> Page[RunOut]:
    """Return runs, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page(
            session,
            environment=environment,
            model=model,
            day=day,
            state=state,
            cause=cause,
            backfill_id=backfill,
            after=after,
            limit=page.limit,
        )
    return page.page(rows, lambda row: [row.id], run_out)


@router.get("/batch/runs/{id}", summary="One run", responses=problems(401, 404, 422))
def run(services: ServicesOf, caller: Caller, run_id: RunId) -> RunOut:
    """Return a run; while it is under way, with the rows that are done."""
    with services.database.read() as session:
        return run_out(services.batch.get(session, run_id))


@router.post(
    "/batch/runs/{id}/cancel",
    summary="Cancel a run",
    response_model=RunOut,
    responses=problems(401, 403, 404, 409, 422),
)
def cancel_run(services: ServicesOf, caller: Caller, write: Write, run_id: RunId, body: CancelIn) -> Response:
    """End a run that is not over. Its process is ended at once, and the partition stays as it was."""

    def work(session: Session) -> RunOut:
        return run_out(services.batch.cancel(session, caller, run_id, body.reason))

    return _woken(services, write.run(work, RunOut))


@router.post(
    "/batch/backfills/plan",
    summary="What a backfill would do",
    responses=problems(401, 404, 409, 422, 503),
)
def plan_backfill(services: ServicesOf, caller: Caller, body: RangeIn) -> PlanOut:
    """Look into the lake and say of each day whether it would be scored, and why or why not. Changes nothing."""
    with services.database.read() as session:
        return plan_out(
            services.batch.backfills.plan(
                session,
                environment=body.environment,
                model=body.model,
                version=body.version,
                first=body.first,
                last=body.last,
                scored_by=body.scored_by,
            )
        )


@router.post(
    "/batch/backfills",
    summary="Score a range of days",
    status_code=201,
    response_model=BackfillOut,
    responses=problems(401, 403, 404, 409, 422, 503),
)
def request_backfill(services: ServicesOf, caller: Caller, write: Write, body: BackfillIn) -> Response:
    """Have every day of a range scored that was not, or by another version, or from another input."""
    # Before the transaction: the lake may be far away, and nobody else should wait for it.
    with services.database.read() as session:
        services.batch.rules.may_run(session, caller, body.model, "start a backfill")
        plan = services.batch.backfills.plan(
            session,
            environment=body.environment,
            model=body.model,
            version=body.version,
            first=body.first,
            last=body.last,
            scored_by=body.scored_by,
        )

    def work(session: Session) -> BackfillOut:
        made = services.batch.backfills.request(session, caller, plan, parallelism=body.parallelism, reason=body.reason)
        return backfill_out(made, {})

    return _woken(services, write.run(work, BackfillOut, 201))


@router.get("/batch/backfills", summary="Backfills", responses=problems(401, 422))
def backfills(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    environment: EnvironmentFilter = None,
    model: ModelFilter = None,
    state: BackfillState | None = None,
) -> Page[BackfillOut]:
    """Return backfills, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page_backfills(
            session, environment=environment, model=model, state=state, after=after, limit=page.limit
        )
        counts = services.batch.backfills.counts(session, rows)
    return page.page(rows, lambda row: [row.id], lambda row: backfill_out(row, counts[row.id]))


@router.get("/batch/backfills/{id}", summary="One backfill", responses=problems(401, 404, 422))
def backfill(services: ServicesOf, caller: Caller, backfill_id: BackfillId) -> BackfillOut:
    """Return a backfill and how many of its days are done."""
    with services.database.read() as session:
        found = services.batch.backfills.get(session, backfill_id)
        return backfill_out(found, services.batch.backfills.counts(session, [found])[found.id])


@router.post(
    "/batch/backfills/{id}/cancel",
    summary="Cancel a backfill",
    response_model=BackfillOut,
    responses=problems(401, 403, 404, 409, 422),
)
def cancel_backfill(
    services: ServicesOf, caller: Caller, write: Write, backfill_id: BackfillId, body: CancelIn
) -> Response:
    """End a backfill. Days that are being scored are ended at once; those that were scored stay."""

    def work(session: Session) -> BackfillOut:
        ended = services.batch.backfills.cancel(session, caller, backfill_id, body.reason)
        return backfill_out(ended, services.batch.backfills.counts(session, [ended])[ended.id])

    return _woken(services, write.run(work, BackfillOut))


@router.get(
    "/environments/{environment}/models/{model}/batch",
    summary="A batch model in an environment",
    responses=problems(401, 404, 409, 422),
)
def standing(services: ServicesOf, caller: Caller, environment: EnvironmentName, model: ModelName) -> StandingOut:
    """Return the live version's schedule, when it runs next, and how it went last."""
    with services.database.read() as session:
        return standing_out(services.batch.standing(session, environment, model))


@router.get(
    "/environments/{environment}/models/{model}/batch/scored",
    summary="Days that a version has scored",
    responses=problems(401, 404, 409, 422, 503),
)
def scored(
    services: ServicesOf,
    caller: Caller,
    environment: EnvironmentName,
    model: ModelName,
    version: Annotated[VersionNumber, Query(description="Version of the model.")],
) -> ScoredOut:
    """Return the days whose answers in the lake are a version's: those to be scored again after it was rolled back."""
    with services.database.read() as session:
        services.batch.rules.environment(environment)
        services.batch.rules.batch_model(session, model)
        days = services.batch.days_scored_by(session, environment, model, version)
    return ScoredOut(environment=environment, model=model, version=version, days=days)


def _woken(services: Services, response: Response) -> Response:
    """Have the runtime look at what was just committed."""
    services.runtime.wake()
    return response
