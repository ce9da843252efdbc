"""HTTP routes of incidents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.orm import Session

from backend.core.actions import tried
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.config_observability import Severity
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging, PlainText
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from backend.notifications.schemas import AttemptOut
from backend.observability import incident_repository as repository
from backend.observability.incidents import begins_of
from backend.observability.models import Incident, IncidentState
from backend.observability.notices import subject_of
from backend.observability.postmortem import postmortem
from backend.observability.schemas import (
    AcknowledgementIn,
    AlertOut,
    EntryOut,
    IncidentOut,
    NoteIn,
    ResolutionIn,
    RolesIn,
    WholeIncidentOut,
)
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/observability/incidents", tags=["observability"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
_CHANGES = problems(401, 403, 404, 409, 422)


@router.get("", summary="Incidents", responses=problems(401, 422))
def incidents(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
    environment: Annotated[str | None, Query(max_length=63, pattern=ENVIRONMENT_PATTERN)] = None,
    state: IncidentState | None = None,
    severity: Severity | None = None,
    owner: Annotated[PlainText | None, Query(max_length=190, examples=["group:default/risk"])] = None,
) -> Page[IncidentOut]:
    """Return incidents, newest first."""
    with services.database.read() as session:
        rows = repository.page(
            session,
            model=model,
            environment=environment,
            state=state.value if state else None,
            severity=severity,
            owner=owner,
            after=page.after(str),
            limit=page.limit + 1,
        )
    return page.page(rows, lambda row: [row.id], incident_out)


@router.get("/{id}", summary="One incident", responses=problems(401, 404, 422))
def incident(services: ServicesOf, caller: Caller, id: Id) -> WholeIncidentOut:
    """Return an incident with its timeline, who was told of it, and what the caller may do."""
    with services.database.read() as session:
        return whole_out(services, session, caller, services.incidents.get(session, id))


@router.get(
    "/{id}/postmortem",
    summary="Postmortem template",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/markdown": {}}}, **problems(401, 404, 422)},
)
def incident_postmortem(services: ServicesOf, caller: Caller, id: Id) -> Response:
    """Return a postmortem as Markdown, with everything in it that is on record."""
    with services.database.read() as session:
        row = services.incidents.get(session, id)
        text = postmortem(row, repository.entries(session, id))
    return Response(text, media_type="text/markdown; charset=utf-8")


@router.post(
    "/{id}/acknowledgement", summary="Acknowledge an incident", response_model=WholeIncidentOut, responses=_CHANGES
)
def acknowledge(services: ServicesOf, caller: Caller, write: Write, id: Id, said: AcknowledgementIn) -> Response:
    """Say that it is in hand; whoever does is its commander until another is named."""

    def work(session: Session) -> WholeIncidentOut:
        row = services.incidents.acknowledge(session, caller, id, said.comment)
        return whole_out(services, session, caller, row)

    return write.run(work, WholeIncidentOut)


@router.post("/{id}/resolution", summary="Resolve an incident", response_model=WholeIncidentOut, responses=_CHANGES)
def resolve(services: ServicesOf, caller: Caller, write: Write, id: Id, said: ResolutionIn) -> Response:
    """Say what it was, and that it is over."""

    def work(session: Session) -> WholeIncidentOut:
        row = services.incidents.resolve(session, caller, id, cause=said.cause, resolution=said.resolution)
        return whole_out(services, session, caller, row)

    return write.run(work, WholeIncidentOut)


@router.post("/{id}/notes", summary="Add to the timeline", response_model=WholeIncidentOut, responses=_CHANGES)
def note(services: ServicesOf, caller: Caller, write: Write, id: Id, said: NoteIn) -> Response:
    """Add a line to the timeline, also after it is over."""

    def work(session: Session) -> WholeIncidentOut:
        return whole_out(services, session, caller, services.incidents.note(session, caller, id, said.text))

    return write.run(work, WholeIncidentOut)


@router.post("/{id}/roles", summary="Assign roles", response_model=WholeIncidentOut, responses=_CHANGES)
def roles(services: ServicesOf, caller: Caller, write: Write, id: Id, wish: RolesIn) -> Response:
    """Say who is commander, who talks to others, and who writes down."""

    def work(session: Session) -> WholeIncidentOut:
        row = services.incidents.assign(session, caller, id, wish.model_dump(exclude_none=True))
        return whole_out(services, session, caller, row)

    return write.run(work, WholeIncidentOut)


def incident_out(row: Incident) -> IncidentOut:
    """Return an incident as the API shows it."""
    columns = {column.key: getattr(row, column.key) for column in Incident.__table__.columns}
    alerts = [AlertOut(name=name, sources=list(begins_of(one)), **one) for name, one in row.alerts.items()]
    return IncidentOut.model_validate({**columns, "alerts": alerts})


def whole_out(services: Services, session: Session, caller: Principal, row: Incident) -> WholeIncidentOut:
    """Return an incident with all that belongs to it, as the API shows it to somebody."""
    handled = services.incidents
    return WholeIncidentOut(
        **incident_out(row).model_dump(by_alias=False),
        timeline=[EntryOut.model_validate(one) for one in repository.entries(session, row.id)],
        notifications=[
            AttemptOut.model_validate(one) for one in services.notifications.about(session, subject_of(row))
        ],
        actions=[
            tried(
                "acknowledge",
                lambda: handled.may_handle(session, caller, row, "acknowledge"),
                lambda: handled.is_unacknowledged(row),
            ),
            tried("resolve", lambda: handled.may_handle(session, caller, row, "resolve"), lambda: handled.is_open(row)),
        ],
    )
