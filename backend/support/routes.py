"""HTTP routes of support requests and the survey."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.actions import tried
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from backend.support import repository
from backend.support.models import Priority, RequestState, SupportRequest
from backend.support.schemas import (
    EntryIn,
    OwnAnswerOut,
    QuestionOut,
    RequestEntryOut,
    RequestIn,
    RequestOut,
    ResultsOut,
    SurveyAnswerIn,
    SurveyOut,
    WholeRequestOut,
)
from backend.support.survey import QUARTER_PATTERN, QUESTIONS, Quarter, Results

router = APIRouter(prefix="/support", tags=["support"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
_CHANGES = problems(401, 403, 404, 409, 422)


@router.get("/requests", summary="Support requests", responses=problems(401, 422))
def requests(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    state: RequestState | None = None,
    priority: Priority | None = None,
    mine: Annotated[bool, Query(description="Only what the caller asked.")] = False,
    overdue: Annotated[bool, Query(description="Only what should have been answered by now.")] = False,
) -> Page[RequestOut]:
    """Return what was asked, newest first."""
    with services.database.read() as session:
        rows = repository.page(
            session,
            state=state.value if state else None,
            priority=priority.value if priority else None,
            asked_by=caller.ref if mine else None,
            overdue_at=services.clock.now() if overdue else None,
            after=page.after(str),
            limit=page.limit + 1,
        )
    return page.page(rows, lambda row: [row.id], lambda row: request_out(services, row))


@router.post(
    "/requests",
    summary="Ask the platform team",
    response_model=WholeRequestOut,
    status_code=201,
    responses=problems(401, 404, 422),
)
def ask(services: ServicesOf, caller: Caller, write: Write, wish: RequestIn) -> Response:
    """Ask something; everybody who is signed in may, and everybody reads it. Personal data and secrets in it are redacted."""

    def work(session: Session) -> WholeRequestOut:
        row = services.support.ask(
            session, caller, priority=wish.priority, title=wish.title, text=wish.text, entity_ref=wish.entity_ref
        )
        return whole_out(services, session, caller, row)

    return write.run(work, WholeRequestOut, 201)


@router.get("/requests/{id}", summary="One support request", responses=problems(401, 404, 422))
def request(services: ServicesOf, caller: Caller, id: Id) -> WholeRequestOut:
    """Return a request with what was said about it, and what the caller may do."""
    with services.database.read() as session:
        return whole_out(services, session, caller, services.support.get(session, id))


@router.post(
    "/requests/{id}/answers", summary="Answer a support request", response_model=WholeRequestOut, responses=_CHANGES
)
def answer(services: ServicesOf, caller: Caller, write: Write, id: Id, said: EntryIn) -> Response:
    """Answer a request; platform administrators may, but nobody what they asked themselves."""

    def work(session: Session) -> WholeRequestOut:
        return whole_out(services, session, caller, services.support.answer(session, caller, id, said.text))

    return write.run(work, WholeRequestOut)


@router.post(
    "/requests/{id}/notes", summary="Add to a support request", response_model=WholeRequestOut, responses=_CHANGES
)
def note(services: ServicesOf, caller: Caller, write: Write, id: Id, said: EntryIn) -> Response:
    """Add something to a request, also after it is resolved; whoever asked may, and platform administrators."""

    def work(session: Session) -> WholeRequestOut:
        return whole_out(services, session, caller, services.support.note(session, caller, id, said.text))

    return write.run(work, WholeRequestOut)


@router.post(
    "/requests/{id}/resolution", summary="Resolve a support request", response_model=WholeRequestOut, responses=_CHANGES
)
def resolve(services: ServicesOf, caller: Caller, write: Write, id: Id, said: EntryIn) -> Response:
    """Say that it is settled, and how; whoever asked may, and platform administrators."""

    def work(session: Session) -> WholeRequestOut:
        return whole_out(services, session, caller, services.support.resolve(session, caller, id, said.text))

    return write.run(work, WholeRequestOut)


@router.get("/survey", summary="This quarter's survey", responses=problems(401))
def survey(services: ServicesOf, caller: Caller) -> SurveyOut:
    """Return the questions, what the caller has answered, and what people said as far as enough did."""
    with services.database.read() as session:
        return _survey_out(services, session, caller)


@router.post("/survey", summary="Answer the survey", response_model=SurveyOut, responses=problems(401, 403, 422))
def answer_survey(services: ServicesOf, caller: Caller, write: Write, said: SurveyAnswerIn) -> Response:
    """Answer this quarter's survey, or answer it otherwise than before; each person once."""

    def work(session: Session) -> SurveyOut:
        services.survey.answer(session, caller, said.ratings, said.comment)
        return _survey_out(services, session, caller)

    return write.run(work, SurveyOut)


@router.get("/survey/{quarter}", summary="A quarter's survey", responses=problems(401, 422))
def results(
    services: ServicesOf,
    caller: Caller,
    quarter: Annotated[str, Path(pattern=QUARTER_PATTERN, examples=["2028-Q1"])],
) -> ResultsOut:
    """Return what people said in a quarter, as far as enough did."""
    with services.database.read() as session:
        return _results_out(services, session, caller, Quarter.parse(quarter))


def request_out(services: Services, row: SupportRequest) -> RequestOut:
    """Return a request as the API shows it."""
    columns = {column.key: getattr(row, column.key) for column in SupportRequest.__table__.columns}
    return RequestOut.model_validate({**columns, "overdue": services.support.is_overdue(row)})


def whole_out(services: Services, session: Session, caller: Principal, row: SupportRequest) -> WholeRequestOut:
    """Return a request with all that belongs to it, as the API shows it to somebody."""
    return WholeRequestOut(
        **request_out(services, row).model_dump(by_alias=False),
        entries=[RequestEntryOut.model_validate(one) for one in repository.entries(session, row.id)],
        actions=services.support.actions(session, caller, row),
    )


def _survey_out(services: Services, session: Session, caller: Principal) -> SurveyOut:
    survey = services.survey
    own = survey.own(session, caller)
    return SurveyOut(
        quarter=str(survey.quarter),
        ends_at=survey.quarter.end,
        questions=[QuestionOut(name=name, text=text) for name, text in QUESTIONS.items()],
        answer=None if own is None else OwnAnswerOut.model_validate(own),
        results=_results_out(services, session, caller, survey.quarter),
        action=tried("answer", lambda: survey.may_answer(caller)),
    )


def _results_out(services: Services, session: Session, caller: Principal, quarter: Quarter) -> ResultsOut:
    found: Results = services.survey.results(session, quarter)
    return ResultsOut(
        quarter=str(quarter),
        answers=found.answers,
        enough=found.enough,
        mean=found.mean,
        means=dict(found.means),
        comments=services.survey.comments(session, caller, quarter),
    )
