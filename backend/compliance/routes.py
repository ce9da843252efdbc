"""HTTP routes of compliance."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.compliance import repository
from backend.compliance.controls import Standing
from backend.compliance.documents.facts import gather
from backend.compliance.documents.render import Document, render
from backend.compliance.models import ComplianceRun, Waiver, WaiverState
from backend.compliance.schemas import (
    CheckOut,
    ControlOut,
    DocumentOut,
    EvaluationOut,
    FrameworkOut,
    ModelComplianceOut,
    WaiverDecisionIn,
    WaiverIn,
    WaiverOut,
    WaiverRevocationIn,
)
from backend.core.actions import tried
from backend.core.container import Services, ServicesOf
from backend.core.errors import NotFound
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/compliance", tags=["compliance"])

FrameworkName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=40, examples=["soc2"])]
Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
ModelName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])]


@router.get("/frameworks", summary="Frameworks", responses=problems(401))
def frameworks(services: ServicesOf, caller: Caller) -> list[FrameworkOut]:
    """Return the frameworks, each with how its controls stand."""
    found = []
    with services.database.read() as session:
        for name, framework in services.controls.frameworks.items():
            states = [one.state for one in services.controls.standings(session, name)]
            found.append(
                FrameworkOut(
                    name=name,
                    title=framework.title,
                    source=framework.source,
                    passing=states.count("passing"),
                    failing=states.count("failing"),
                    not_evaluated=states.count("not_evaluated"),
                    outside=states.count("outside"),
                )
            )
    return found


@router.get("/frameworks/{framework}/controls", summary="Controls", responses=problems(401, 404, 422))
def controls(services: ServicesOf, caller: Caller, framework: FrameworkName) -> list[ControlOut]:
    """Return the controls of a framework with what their checks last came to."""
    with services.database.read() as session:
        return [control_out(one) for one in services.controls.standings(session, framework)]


@router.get("/models/{name}", summary="How a model stands", responses=problems(401, 404, 422))
def model(
    services: ServicesOf,
    caller: Caller,
    name: ModelName,
    framework: Annotated[str, Query(pattern=NAME_PATTERN, max_length=40)] = "soc2",
) -> ModelComplianceOut:
    """Examine a model now by the controls that models can be asked about."""
    with services.database.read() as session:
        found = services.controls.of_model(session, framework, name)
    return ModelComplianceOut(
        model=name,
        framework=framework,
        met=sum(one.state == "passing" for one in found),
        missing=sum(one.state == "failing" for one in found),
        controls=[control_out(one) for one in found],
    )


@router.get(
    "/models/{name}/versions/{version}/documents/{document}",
    summary="A document about a version",
    responses=problems(401, 404, 422),
)
def document(
    services: ServicesOf,
    caller: Caller,
    name: ModelName,
    version: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["3", "champion"])],
    document: Document,
) -> DocumentOut:
    """Make the model card or the technical file of a version from what is on record about it."""
    with services.database.read() as session:
        record = gather(services, session, name, version)
        text = render(document, record)
    return DocumentOut(document=document.value, model=name, version=record.version.version, markdown=text)


@router.post(
    "/evaluations", summary="Evaluate all checks now", response_model=EvaluationOut, responses=problems(401, 403, 409)
)
def evaluate(services: ServicesOf, caller: Caller, write: Write) -> Response:
    """Have every check run, due or not; platform administrators may."""

    def work(session: Session) -> ComplianceRun:
        return services.controls.request(session, caller)

    answer = write.run(work, EvaluationOut, 202)
    services.runtime.wake()
    return answer


@router.get("/evaluations/{id}", summary="One evaluation", responses=problems(401, 404, 422))
def evaluation(services: ServicesOf, caller: Caller, id: Id) -> EvaluationOut:
    """Return an evaluation and whether it is over."""
    with services.database.read() as session:
        row = repository.run(session, id)
    if row is None:
        raise NotFound(f"there is no evaluation {id}", fix="Only the newest ones are kept; the audit log has all.")
    return EvaluationOut.model_validate(row)


@router.get("/waivers", summary="Waivers", responses=problems(401, 422))
def waivers(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
    state: Annotated[WaiverState | None, Query(description="As it was decided; active ones may be expired.")] = None,
) -> Page[WaiverOut]:
    """Return waivers, newest first."""
    with services.database.read() as session:
        rows = repository.waivers(
            session,
            model=model,
            state=state.value if state else None,
            after=page.after(str),
            limit=page.limit + 1,
        )
        return page.page(rows, lambda row: [row.id], lambda row: waiver_out(services, session, caller, row))


@router.get("/waivers/{id}", summary="One waiver", responses=problems(401, 404, 422))
def waiver(services: ServicesOf, caller: Caller, id: Id) -> WaiverOut:
    """Return a waiver."""
    with services.database.read() as session:
        return waiver_out(services, session, caller, services.waivers.get(session, id))


@router.post(
    "/waivers",
    summary="Ask for a waiver",
    response_model=WaiverOut,
    status_code=201,
    responses=problems(401, 403, 404, 409, 422),
)
def request_waiver(services: ServicesOf, caller: Caller, write: Write, wish: WaiverIn) -> Response:
    """Ask that named findings of a gate may pass for a time; somebody else decides."""

    def work(session: Session) -> WaiverOut:
        row = services.waivers.request(
            session,
            caller,
            model=wish.model,
            gate=wish.gate,
            checks=wish.checks,
            environments=wish.environments,
            reason=wish.reason,
            duration=wish.duration,
        )
        return waiver_out(services, session, caller, row)

    return write.run(work, WaiverOut, 201)


@router.post(
    "/waivers/{id}/decision",
    summary="Decide about a waiver",
    response_model=WaiverOut,
    responses=problems(401, 403, 404, 409, 422),
)
def decide_waiver(services: ServicesOf, caller: Caller, write: Write, id: Id, said: WaiverDecisionIn) -> Response:
    """Say yes or no; never to what one asked for oneself."""
    approved = said.decision == "approve"

    def work(session: Session) -> WaiverOut:
        row = services.waivers.decide(session, caller, id, approved=approved, comment=said.comment)
        return waiver_out(services, session, caller, row)

    return write.run(work, WaiverOut)


@router.post(
    "/waivers/{id}/revocation",
    summary="Revoke a waiver",
    response_model=WaiverOut,
    responses=problems(401, 403, 404, 409, 422),
)
def revoke_waiver(services: ServicesOf, caller: Caller, write: Write, id: Id, why: WaiverRevocationIn) -> Response:
    """End a waiver before its time; what was admitted by it stays, and fails its control."""

    def work(session: Session) -> WaiverOut:
        row = services.waivers.revoke(session, caller, id, reason=why.reason)
        return waiver_out(services, session, caller, row)

    return write.run(work, WaiverOut)


def control_out(one: Standing) -> ControlOut:
    """Return a control as the API shows it."""
    control = one.control
    return ControlOut(
        framework=one.framework,
        id=control.id,
        title=control.title,
        description=control.description,
        category=control.category,
        owner=control.owner,
        frequency_seconds=int(control.frequency.total_seconds()),
        state=one.state,
        outside=control.outside,
        checks=[CheckOut.model_validate(each) for each in one.checks],
    )


def waiver_out(services: Services, session: Session, caller: Principal, row: Waiver) -> WaiverOut:
    """Return a waiver as the API shows it to somebody."""
    decide = (lambda: services.waivers.may_decide(session, caller, row), lambda: services.waivers.is_awaited(row))
    columns = {column.key: getattr(row, column.key) for column in Waiver.__table__.columns}
    return WaiverOut.model_validate(
        {
            **columns,
            "state": services.waivers.state(row),
            "actions": [
                tried("decide", *decide),
                tried("revoke", lambda: services.waivers.may_revoke(session, caller, row)),
            ],
        }
    )
