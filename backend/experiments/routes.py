"""HTTP routes of the experiments domain."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.actions import tried
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.deployments.schemas import ReasonIn
from backend.experiments import repository, results
from backend.experiments.models import Experiment, Kind, Phase
from backend.experiments.schemas import (
    ApprovalIn,
    DecisionIn,
    ExperimentIn,
    ExperimentOut,
    OutcomesIn,
    OutcomesOut,
    PairOut,
    WholeExperimentOut,
)
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/experiments", tags=["experiments"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", description="Id of the experiment.")]
_CHANGES = problems(401, 403, 404, 409, 422)


@router.post("", summary="Try a challenger", status_code=201, response_model=WholeExperimentOut, responses=_CHANGES)
def request_experiment(services: ServicesOf, caller: Caller, write: Write, body: ExperimentIn) -> Response:
    """Begin a shadow run or an A/B experiment with a version beside the live one.

    The challenger has to meet the environment's policy as for a rollout; `403 admission-refused` lists the requirements. Where
    that demands an approval, an A/B experiment waits for it.
    """

    def work(session: Session) -> WholeExperimentOut:
        return whole_out(services, session, caller, services.experiments.request(session, caller, body))

    return _woken(services, write.run(work, WholeExperimentOut, 201))


@router.get("", summary="Experiments", responses=problems(401, 422))
def experiments(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
    environment: Annotated[str | None, Query(pattern=ENVIRONMENT_PATTERN, max_length=63)] = None,
    phase: Phase | None = None,
    kind: Kind | None = None,
) -> Page[ExperimentOut]:
    """Return experiments, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page(
            session,
            model=model,
            environment=environment,
            phase=phase,
            kind=kind,
            after=after,
            limit=page.limit,
        )
    return page.page(rows, lambda row: [row.id], experiment_out)


@router.get("/{id}", summary="One experiment", responses=problems(401, 404, 422))
def experiment(services: ServicesOf, caller: Caller, id: Id) -> WholeExperimentOut:
    """Return an experiment with its figures, and what the caller may do about it."""
    with services.database.read() as session:
        return whole_out(services, session, caller, services.experiments.get(session, id))


@router.get("/{id}/pairs", summary="Compared answers of a shadow run", responses=problems(401, 404, 422))
def pairs(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    id: Id,
    differing: Annotated[bool, Query(description="Only those that differ.")] = False,
) -> Page[PairOut]:
    """Return the last answers that were compared, newest first."""
    (before,) = page.after(int) or (None,)
    with services.database.read() as session:
        services.experiments.get(session, id)
        rows = repository.pairs(session, id, differing=differing, before=before, limit=page.limit)
    return page.page(rows, lambda row: [row.seq], PairOut.model_validate)


@router.post(
    "/{id}/approval",
    summary="Approve or reject an experiment",
    response_model=WholeExperimentOut,
    responses=_CHANGES,
)
def decide_approval(services: ServicesOf, caller: Caller, write: Write, id: Id, body: ApprovalIn) -> Response:
    """Say yes or no to an A/B experiment that waits for it. Its requirements are looked at again."""

    def work(session: Session) -> WholeExperimentOut:
        approved = body.decision == "approve"
        row = services.experiments.approve(session, caller, id, approved=approved, comment=body.comment)
        return whole_out(services, session, caller, row)

    return _woken(services, write.run(work, WholeExperimentOut))


@router.post("/{id}/stop", summary="Stop an experiment", response_model=WholeExperimentOut, responses=_CHANGES)
def stop(services: ServicesOf, caller: Caller, write: Write, id: Id, body: ReasonIn) -> Response:
    """End an experiment; everybody meets the champion again."""

    def work(session: Session) -> WholeExperimentOut:
        return whole_out(services, session, caller, services.experiments.stop(session, caller, id, body.reason))

    return _woken(services, write.run(work, WholeExperimentOut))


@router.post("/{id}/outcomes", summary="Report outcomes", response_model=OutcomesOut, responses=_CHANGES)
def outcomes(services: ServicesOf, caller: Caller, write: Write, id: Id, body: OutcomesIn) -> Response:
    """Report what came of predictions, by the `x-prediction-id` of their answers.

    Reported again they change nothing. A prediction is known about two seconds after it was answered; ids that are not are listed
    in `unknown` and may be sent again.
    """

    def work(session: Session) -> OutcomesOut:
        row, told = services.experiments.report(session, caller, id, body.outcomes)
        return OutcomesOut.model_validate({**vars(told), "experiment": experiment_out(row)})

    return _woken(services, write.run(work, OutcomesOut))


@router.post("/{id}/decision", summary="Decide", response_model=WholeExperimentOut, responses=_CHANGES)
def decide(services: ServicesOf, caller: Caller, write: Write, id: Id, body: DecisionIn) -> Response:
    """Put on record what follows from an experiment, and end it if it has not ended.

    `promote` asks for an ordinary deployment of the challenger, whose id is in `deployment`.
    """

    def work(session: Session) -> WholeExperimentOut:
        row = services.experiments.decide(session, caller, id, body.decision, body.reason)
        return whole_out(services, session, caller, row)

    return _woken(services, write.run(work, WholeExperimentOut))


def experiment_out(row: Experiment) -> ExperimentOut:
    """Return an experiment as the API shows it."""
    return ExperimentOut.model_validate(_values(row))


def whole_out(services: Services, session: Session, caller: Principal, row: Experiment) -> WholeExperimentOut:
    """Return an experiment as the API shows it to somebody."""
    asked = services.experiments
    actions = [
        tried("approve", lambda: asked.may_approve(session, caller, row), lambda: asked.is_awaited(row)),
        tried("stop", lambda: asked.may_step_in(session, caller, row), lambda: asked.is_under_way(row)),
        tried("decide", lambda: asked.may_decide(session, caller, row), lambda: asked.is_undecided(row)),
    ]
    return WholeExperimentOut.model_validate({**_values(row), "actions": actions})


def _values(row: Experiment) -> dict[str, Any]:
    hidden = {"salt", "evidence", "metric", "source", "better", "effect", "false_alarm_rate"}
    values = {one.key: getattr(row, one.key) for one in Experiment.__table__.columns if one.key not in hidden}
    tested = ("source", "better", "effect", "false_alarm_rate")
    metric = {"name": row.metric, **{name: getattr(row, name) for name in tested}} if row.metric else None
    return {**values, "metric": metric, "summary": results.sentence(row, row.figures)}


def _woken(services: Services, response: Response) -> Response:
    """Have the work look at what was just committed."""
    services.runtime.wake()
    return response
