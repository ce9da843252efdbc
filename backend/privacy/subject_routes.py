"""HTTP routes of data-subject requests, payload samples and data keys."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.access.schemas import DecisionOut, decision_out
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from backend.privacy import key_repository, repository, sample_repository
from backend.privacy.models import KeyRotation, SubjectRequest
from backend.privacy.reveals import Wanted
from backend.privacy.routes import Id
from backend.privacy.schemas import (
    DataKeyOut,
    ReasonIn,
    RevealIn,
    RotationOut,
    SampleDetailOut,
    SampleOut,
    SubjectRequestDetailOut,
    SubjectRequestIn,
    SubjectRequestOut,
    SubjectRequestWithActionsOut,
    VaultErasureIn,
)
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/privacy", tags=["privacy"])


@router.post(
    "/subject-requests",
    summary="Find a person",
    status_code=201,
    responses=problems(401, 403, 422, 503),
)
def find(services: ServicesOf, caller: Caller, body: SubjectRequestIn) -> SubjectRequestDetailOut:
    """Have a person looked for in all that the platform holds. Of the identifiers, only keyed hashes are stored.

    There is no `Idempotency-Key` here: remembering the request would mean to remember what is in it.
    """
    with services.database.write() as session:
        row = services.privacy.requests.request(session, caller, body.identifiers, body.reason)
        out = _detail(services, session, row)
    services.runtime.wake()
    return out


@router.get("/subject-requests", summary="Data-subject requests", responses=problems(401, 403, 422))
def requests(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    overdue: Annotated[bool, Query(description="Only those whose time is over.")] = False,
) -> Page[SubjectRequestOut]:
    """Return requests, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        services.privacy.requests.may(session, caller, "see data-subject requests", "subject-requests")
        now = services.clock.now() if overdue else None
        rows = repository.page_requests(session, overdue_at=now, after=after, limit=page.limit)
        shown = {row.id: SubjectRequestOut(**_summary(services, session, row)) for row in rows}
    return page.page(rows, lambda row: [row.id], lambda row: shown[row.id])


@router.get("/subject-requests/{id}", summary="One data-subject request", responses=problems(401, 403, 404, 422))
def request(services: ServicesOf, caller: Caller, request_id: Id) -> SubjectRequestWithActionsOut:
    """Return where the person was found (never what is there), which versions were trained on it, and what may be done."""
    with services.database.read() as session:
        services.privacy.requests.may(session, caller, "see data-subject requests", "subject-requests")
        row = repository.get(session, SubjectRequest, request_id, "data-subject request")
        actions = [one.model_dump() for one in services.privacy.requests.actions(session, caller, row)]
        return SubjectRequestWithActionsOut.model_validate(
            {**_detail(services, session, row).model_dump(), "actions": actions}
        )


@router.post(
    "/subject-requests/{id}/erasure",
    summary="Ask for the erasure",
    response_model=SubjectRequestDetailOut,
    responses=problems(401, 403, 404, 409, 422),
)
def ask_to_erase(services: ServicesOf, caller: Caller, write: Write, request_id: Id, body: ReasonIn) -> Response:
    """Ask for the person to be erased wherever it was found. Somebody else has to confirm it."""
    return _decided(services, caller, write, request_id, body.reason, services.privacy.requests.ask_to_erase)


@router.post(
    "/subject-requests/{id}/confirmation",
    summary="Confirm the erasure",
    response_model=SubjectRequestDetailOut,
    responses=problems(401, 403, 404, 409, 422),
)
def confirm(services: ServicesOf, caller: Caller, write: Write, request_id: Id, body: ReasonIn) -> Response:
    """Confirm an erasure that somebody else asked for; it begins at once and can't be taken back."""
    return _decided(services, caller, write, request_id, body.reason, services.privacy.requests.confirm)


@router.post(
    "/subject-requests/{id}/vault-erasures",
    summary="Record an erasure in a vault",
    response_model=SubjectRequestDetailOut,
    responses=problems(401, 403, 404, 409, 422),
)
def forget_in_vault(
    services: ServicesOf, caller: Caller, write: Write, request_id: Id, body: VaultErasureIn
) -> Response:
    """Put on record that the person is forgotten by a token vault, which lies where the platform does not reach.

    It is asked right before it is done: it is refused unless the erasure is confirmed, or while a legal hold forbids it.
    """

    def work(session: Session) -> SubjectRequestDetailOut:
        requests = services.privacy.requests
        row = requests.forget_in_vault(session, caller, request_id, body.vault, body.tokens)
        return _detail(services, session, row)

    return write.run(work, SubjectRequestDetailOut)


@router.post(
    "/vault-reveals",
    summary="May tokens of a vault be revealed?",
    response_model=DecisionOut,
    responses=problems(401, 403, 404, 422),
)
def reveal(services: ServicesOf, caller: Caller, write: Write, body: RevealIn) -> Response:
    """Decide whether the caller may see what tokens of a vault stand for, which lies where the platform does not reach.

    It is asked right before they are revealed, and is in the audit log by then.
    """
    wanted = Wanted(**body.model_dump())
    return write.run(
        lambda session: decision_out(services.privacy.reveals.permit(session, caller, wanted)), DecisionOut
    )


@router.get("/samples", summary="Payload samples", responses=problems(401, 403, 404, 422))
def samples(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    environment: Annotated[str, Query(pattern=ENVIRONMENT_PATTERN, max_length=63)],
    model: Annotated[str, Query(pattern=NAME_PATTERN, max_length=63)],
) -> Page[SampleOut]:
    """Return which predictions of a model were sampled, newest first."""
    after = page.after(datetime, str)
    with services.database.read() as session:
        services.privacy.may_read_samples(session, caller, model)
        rows = sample_repository.page(session, environment, model, after=after, limit=page.limit)
    return page.page(rows, lambda row: [row.at, row.id], SampleOut.model_validate)


@router.get("/samples/{id}", summary="One payload sample", responses=problems(401, 403, 404, 409, 422, 503))
def sample(
    services: ServicesOf, caller: Caller, prediction_id: Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$")]
) -> SampleDetailOut:
    """Return a sample by its prediction's id (`x-prediction-id` of the answer). Reading one is in the audit log."""
    with services.database.write() as session:
        found = services.privacy.samples.get(session, prediction_id)
        decision = services.privacy.may_read_samples(session, caller, found.model)
        services.audit.append(
            session,
            type="ml-platform.privacy.sample.read",
            subject=f"model:{found.model}",
            actor=caller,
            data={"prediction": found.id, "environment": found.environment, "access": decision.as_json()},
        )
        return SampleDetailOut.model_validate(found)


@router.get("/keys", summary="Data keys", responses=problems(401, 403, 422))
def keys(services: ServicesOf, caller: Caller, page: Paging) -> Page[DataKeyOut]:
    """Return data keys, newest first: what each is for and which key wraps it, never the key itself."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        services.privacy.rotations.may(session, caller, "see data keys")
        rows = key_repository.page(session, after=after, limit=page.limit)
    return page.page(rows, lambda row: [row.id], DataKeyOut.model_validate)


@router.post(
    "/keys/rotations",
    summary="Rotate the keys",
    status_code=201,
    response_model=RotationOut,
    responses=problems(401, 403, 409, 422),
)
def rotate(services: ServicesOf, caller: Caller, write: Write, body: ReasonIn) -> Response:
    """Have everything sealed anew and all data keys wrapped by the present key, while reading and writing go on."""

    def work(session: Session) -> KeyRotation:
        return services.privacy.rotations.request(session, caller, body.reason)

    answer = write.run(work, RotationOut, 201)
    services.runtime.wake()
    return answer


@router.get("/keys/rotations", summary="Key rotations", responses=problems(401, 422))
def rotations(services: ServicesOf, caller: Caller, page: Paging) -> Page[RotationOut]:
    """Return rotations, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = key_repository.rotations(session, after=after, limit=page.limit)
    return page.page(rows, lambda row: [row.id], RotationOut.model_validate)


@router.get("/keys/rotations/{id}", summary="One key rotation", responses=problems(401, 404, 422))
def rotation(services: ServicesOf, caller: Caller, rotation_id: Id) -> RotationOut:
    """Return a rotation and how far it is."""
    with services.database.read() as session:
        return RotationOut.model_validate(key_repository.rotation(session, rotation_id))


def _decided(
    services: Services,
    caller: Principal,
    write: Write,
    request_id: str,
    reason: str,
    decide: Callable[[Session, Principal, str, str], SubjectRequest],
) -> Response:
    def work(session: Session) -> SubjectRequestDetailOut:
        return _detail(services, session, decide(session, caller, request_id, reason))

    answer = write.run(work, SubjectRequestDetailOut)
    services.runtime.wake()
    return answer


def _summary(services: Services, session: Session, row: SubjectRequest) -> dict[str, Any]:
    found = repository.findings(session, row.id)
    signed = repository.certificates_of_request(session, row.id)
    own = {name: getattr(row, name) for name in SubjectRequestOut.model_fields if hasattr(row, name)}
    looked_again = [one.remaining for one in found if one.remaining is not None]
    return {
        **own,
        "overdue": services.privacy.requests.is_overdue(row, services.clock.now()),
        "found": sum(one.found for one in found),
        "remaining": sum(looked_again) if looked_again else None,
        "certificate": signed[0].id if signed else None,
    }


def _detail(services: Services, session: Session, row: SubjectRequest) -> SubjectRequestDetailOut:
    findings = repository.findings(session, row.id)
    return SubjectRequestDetailOut.model_validate(
        {**_summary(services, session, row), "findings": list(findings), "models": row.models}
    )
