"""HTTP routes of the access domain: decisions, policies, grants."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.duties import SeparationOfDuties
from backend.access.engine import Context
from backend.access.models import Grant
from backend.access.resources import KINDS_OF, Action
from backend.access.schemas import (
    ActionsOut,
    CommentIn,
    DecisionIn,
    DecisionOut,
    DutiesOut,
    GrantOut,
    GrantWithActionsOut,
    LookIn,
    PoliciesOut,
    RuleOut,
    ViolationOut,
    WhyIn,
    WishesOut,
    WishIn,
    decision_out,
)
from backend.access.service import AccessService
from backend.access.wishes import Wish
from backend.core.container import Services, ServicesOf
from backend.core.errors import InvalidInput, NotFound
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller

router = APIRouter(prefix="/access", tags=["access"])

GrantId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the grant.")]


@router.post(
    "/decisions",
    summary="May I?",
    response_model=DecisionOut,
    responses=problems(401, 404, 422),
)
def decide(services: ServicesOf, caller: Caller, write: Write, body: DecisionIn) -> Response:
    """Decide whether the caller may do something, and say by which rule. The decision is put on record.

    This is what asks before data is read that lies outside of the platform.
    """
    if body.action not in KINDS_OF:
        known = ", ".join(sorted(KINDS_OF))
        raise InvalidInput(f"action: {body.action!r} can't be asked about", fix=f"It may be {known}.")
    action = Action(body.action)

    def work(session: Session) -> DecisionOut:
        resource = services.access.resource(session, body.resource)
        services.access.fits(action, resource)
        context = Context(purpose=body.purpose, environment=body.environment)
        decision = services.access.decide(session, caller, action, resource, context)
        services.access.record(session, caller, decision, context)
        return decision_out(decision)

    return write.run(work, DecisionOut)


@router.get("/policies", summary="The policies that hold", responses=problems(401))
def policies(services: ServicesOf, caller: Caller) -> PoliciesOut:
    """Return all rules that decide now, and the digest that decisions name."""
    with services.database.read() as session:
        return _policies(session, services.access, services.access.digest)


@router.get("/policies/{digest}", summary="Policies that held", responses=problems(401, 404, 422))
def policies_then(
    services: ServicesOf, caller: Caller, digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
) -> PoliciesOut:
    """Return the rules that a decision on record was made by."""
    with services.database.read() as session:
        return _policies(session, services.access, digest)


@router.get("/actions", summary="What I may do about access", responses=problems(401, 404, 422))
def actions(
    services: ServicesOf,
    caller: Caller,
    resource: Annotated[str, Query(max_length=300, description="What breaking the glass would be about.")] = "platform",
) -> ActionsOut:
    """Return whether the caller may open an access review and break the glass; `reason` is what the refusal would say."""
    with services.database.read() as session:
        about = services.access.resource(session, resource)
        return ActionsOut(
            items=[
                services.reviews.opening(session, caller),
                services.grants.breaking(session, caller, about),
            ]
        )


@router.get("/wishes", summary="What can be asked for", responses=problems(401))
def wishes(services: ServicesOf, caller: Caller) -> WishesOut:
    """Return which actions can be asked for on what, the purposes that data is read for, and how long access may last."""
    return services.grants.wishes.all()


@router.post(
    "/grants",
    summary="Ask for access",
    status_code=201,
    response_model=GrantOut,
    responses=problems(401, 404, 409, 422),
)
def request_grant(services: ServicesOf, caller: Caller, write: Write, body: WishIn) -> Response:
    """Ask for access for a time. The owner of what it is about decides; who asked, or whom it is for, never does."""
    return write.run(lambda session: grant_out(services.grants.request(session, caller, _wish(body))), GrantOut, 201)


@router.post(
    "/break-glass",
    summary="Take access in an emergency",
    status_code=201,
    response_model=GrantOut,
    responses=problems(401, 403, 404, 409, 422),
)
def break_glass(services: ServicesOf, caller: Caller, write: Write, body: WishIn) -> Response:
    """Take access at once and for a short time. Everybody sees it, and somebody looks at it afterwards."""
    if body.principal is not None:
        raise InvalidInput("principal: everybody breaks the glass for themselves")
    return write.run(
        lambda session: grant_out(services.grants.break_glass(session, caller, _wish(body))), GrantOut, 201
    )


@router.get("/grants", summary="Grants and requests", responses=problems(401, 422))
def grants(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    view: Annotated[
        Literal["all", "mine", "to-decide", "to-look-at"],
        Query(description="`mine`: for me; `to-decide`: requests that wait for me; `to-look-at`: break-glass uses."),
    ] = "all",
    state: Literal["requested", "active", "denied", "expired", "revoked"] | None = None,
    scope: Annotated[str | None, Query(max_length=300)] = None,
) -> Page[GrantWithActionsOut]:
    """Return grants and requests, newest first, each with what the caller may do about it."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.grants(
            session,
            persons=sorted(services.access.people.of(caller)) if view == "mine" else None,
            owners=services.access.owners_of(caller) if view == "to-decide" else None,
            state="requested" if view == "to-decide" else state,
            scope=scope,
            to_look_at=view == "to-look-at",
            after=after,
            limit=page.limit + 1,
        )
        shown = {row.id: _with_actions(session, services, caller, row) for row in rows[: page.limit]}
    return page.page(rows, lambda row: [row.id], lambda row: shown[row.id])


@router.get("/grants/{id}", summary="One grant", responses=problems(401, 404, 422))
def grant(services: ServicesOf, caller: Caller, grant_id: GrantId) -> GrantWithActionsOut:
    """Return a grant or a request, and what the caller may do about it."""
    with services.database.read() as session:
        return _with_actions(session, services, caller, services.grants.get(session, grant_id))


@router.get("/grants/{id}/actions", summary="What I may do about a grant", responses=problems(401, 404, 422))
def grant_actions(services: ServicesOf, caller: Caller, grant_id: GrantId) -> ActionsOut:
    """Return what can be done about a grant, and whether the caller may; `reason` is what the refusal would say."""
    with services.database.read() as session:
        return ActionsOut(items=services.grants.actions(session, caller, grant_id))


@router.post(
    "/grants/{id}/approve",
    summary="Grant what was asked for",
    response_model=GrantOut,
    responses=problems(401, 403, 404, 409, 422),
)
def approve(services: ServicesOf, caller: Caller, write: Write, grant_id: GrantId, body: CommentIn) -> Response:
    """Grant access from now on, for as long as was asked for. It ends by itself."""
    return write.run(lambda s: grant_out(services.grants.approve(s, caller, grant_id, body.comment)), GrantOut)


@router.post(
    "/grants/{id}/deny",
    summary="Turn a request down",
    response_model=GrantOut,
    responses=problems(401, 403, 404, 409, 422),
)
def deny(services: ServicesOf, caller: Caller, write: Write, grant_id: GrantId, body: CommentIn) -> Response:
    """Turn a request down."""
    return write.run(lambda s: grant_out(services.grants.deny(s, caller, grant_id, body.comment)), GrantOut)


@router.post(
    "/grants/{id}/revoke",
    summary="End a grant before its time",
    response_model=GrantOut,
    responses=problems(401, 403, 404, 409, 422),
)
def revoke(services: ServicesOf, caller: Caller, write: Write, grant_id: GrantId, body: WhyIn) -> Response:
    """End a grant, or withdraw a request. Whom it is for may, the owner and platform administrators may."""
    return write.run(lambda s: grant_out(services.grants.revoke(s, caller, grant_id, body.reason)), GrantOut)


@router.post(
    "/grants/{id}/look-at",
    summary="Look at a use of break-glass",
    response_model=GrantOut,
    responses=problems(401, 403, 404, 409, 422),
)
def look_at(services: ServicesOf, caller: Caller, write: Write, grant_id: GrantId, body: LookIn) -> Response:
    """Say afterwards whether breaking the glass was justified. What was not ends at once."""
    return write.run(
        lambda s: grant_out(
            services.grants.look_at(s, caller, grant_id, justified=body.justified, comment=body.comment)
        ),
        GrantOut,
    )


@router.post("/clock", summary="Accept the clock", status_code=204, responses=problems(401, 403, 409, 422))
def accept_clock(services: ServicesOf, caller: Caller, write: Write, body: WhyIn) -> Response:
    """Take the clock for right although it is behind a time that was seen, which was wrong then.

    While a clock is far behind, no grant counts.
    """
    write.run(lambda session: services.access.accept_clock(session, caller, body.reason), None)
    return Response(status_code=204)


@router.get("/separation-of-duties", summary="Separation of duties", responses=problems(401, 422))
def separation_of_duties(
    services: ServicesOf,
    caller: Caller,
    since: Annotated[datetime, Query(alias="from", description="Not before this time.")],
    until: Annotated[datetime, Query(alias="to", description="Before this time.")],
) -> DutiesOut:
    """Return who did alone what takes two, in a period: approvals, grants and reviews, and every use of break-glass."""
    begin, end = _utc(since, "from"), _utc(until, "to")
    if begin >= end:
        raise InvalidInput("query/to: must be after `from`")
    with services.database.read() as session:
        report = SeparationOfDuties(services, services.access).report(session, begin, end)
    violations = [ViolationOut.model_validate(one) for one in report.violations]
    return DutiesOut.model_validate({"from": begin, "to": end, "checked": report.checked, "violations": violations})


def grant_out(row: Grant) -> GrantOut:
    """Return a grant as the API shows it."""
    return GrantOut.model_validate({**_columns(row)})


def _with_actions(session: Session, services: Services, caller: Caller, row: Grant) -> GrantWithActionsOut:
    return GrantWithActionsOut.model_validate(
        {**_columns(row), "actions": [one.model_dump() for one in services.grants.actions(session, caller, row.id)]}
    )


def _columns(row: Grant) -> dict[str, object]:
    values = {name: getattr(row, name) for name in GrantOut.model_fields}
    return {**values, "purpose": row.purpose or None}


def _wish(body: WishIn) -> Wish:
    return Wish(body.action, body.scope, body.reason, body.duration, body.purpose, body.principal)


def _policies(session: Session, access: AccessService, digest: str) -> PoliciesOut:
    row = repository.policy_set(session, digest)
    if row is None:
        raise NotFound(f"no policies with the digest {digest[:12]} ever held")
    rules = [RuleOut.model_validate(one) for one in row.rules.values()]
    return PoliciesOut(digest=row.digest, activated_at=row.activated_at, rules=rules, settings=row.settings)


def _utc(value: datetime, name: str) -> datetime:
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise InvalidInput(f"query/{name}: out of range") from None
