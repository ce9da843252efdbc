"""HTTP routes of access reviews."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.models import Review, ReviewItem
from backend.access.schemas import (
    CloseIn,
    CommentIn,
    ReviewIn,
    ReviewItemOut,
    ReviewItemWithActionsOut,
    ReviewOut,
    ReviewWithActionsOut,
)
from backend.core.container import Services, ServicesOf
from backend.core.errors import NotFound
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller

router = APIRouter(prefix="/access", tags=["access"])

ReviewId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the review.")]
ItemId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the item.")]


@router.post(
    "/reviews",
    summary="Open an access review",
    status_code=201,
    response_model=ReviewOut,
    responses=problems(401, 403, 409, 422),
)
def open_review(services: ServicesOf, caller: Caller, write: Write, body: ReviewIn) -> Response:
    """Have every standing permission reviewed by its owner: memberships, roles, ownerships and grants."""

    def work(session: Session) -> ReviewOut:
        return _review_out(services.reviews.open(session, caller, body.name), {})

    return _woken(services, write.run(work, ReviewOut, 201))


@router.get("/reviews", summary="Access reviews", responses=problems(401, 422))
def reviews(services: ServicesOf, caller: Caller, page: Paging) -> Page[ReviewOut]:
    """Return reviews, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.reviews(session, after=after, limit=page.limit + 1)
        counts = repository.counts(session, [row.id for row in rows])
    return page.page(rows, lambda row: [row.id], lambda row: _review_out(row, counts[row.id]))


@router.get("/reviews/{id}", summary="One access review", responses=problems(401, 404, 422))
def review(services: ServicesOf, caller: Caller, review_id: ReviewId) -> ReviewWithActionsOut:
    """Return a review, how far it is, and what the caller may do about it."""
    with services.database.read() as session:
        row = services.reviews.get(session, review_id)
        counts = repository.counts(session, [row.id])[row.id]
        actions = services.reviews.review_actions(session, caller, row)
    shown = _review_out(row, counts).model_dump()
    return ReviewWithActionsOut.model_validate({**shown, "actions": [one.model_dump() for one in actions]})


@router.get("/reviews/{id}/items", summary="Permissions in a review", responses=problems(401, 404, 422))
def items(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    review_id: ReviewId,
    state: Literal["pending", "confirmed", "revoked", "expired"] | None = None,
    owner: Annotated[str | None, Query(max_length=190, description="Only what this group or role reviews.")] = None,
) -> Page[ReviewItemWithActionsOut]:
    """Return the permissions of a review, each with what the caller may do about it."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        services.reviews.get(session, review_id)
        owners = None if owner is None else [owner.casefold()]
        rows = repository.items(session, review_id, state=state, owners=owners, after=after, limit=page.limit + 1)
        shown = {row.id: _with_actions(session, services, caller, row) for row in rows[: page.limit]}
    return page.page(rows, lambda row: [row.id], lambda row: shown[row.id])


@router.get("/review-items", summary="What waits for my review", responses=problems(401, 422))
def my_items(services: ServicesOf, caller: Caller, page: Paging) -> Page[ReviewItemWithActionsOut]:
    """Return the permissions that the caller can confirm or revoke now."""
    (after,) = page.after(str) or ("",)
    with services.database.read() as session:
        rows = [row for row in services.reviews.mine(session, caller) if row.id > after][: page.limit + 1]
        shown = {row.id: _with_actions(session, services, caller, row) for row in rows[: page.limit]}
    return page.page(rows, lambda row: [row.id], lambda row: shown[row.id])


@router.post(
    "/review-items/{id}/confirm",
    summary="Confirm a permission",
    response_model=ReviewItemOut,
    responses=problems(401, 403, 404, 409, 422),
)
def confirm(services: ServicesOf, caller: Caller, write: Write, item_id: ItemId, body: CommentIn) -> Response:
    """Say that a permission is still needed. Nobody reviews their own."""

    def work(session: Session) -> ReviewItemOut:
        row = services.reviews.decide(session, caller, item_id, confirmed=True, comment=body.comment)
        return ReviewItemOut.model_validate(row)

    return write.run(work, ReviewItemOut)


@router.post(
    "/review-items/{id}/revoke",
    summary="Revoke a permission",
    response_model=ReviewItemOut,
    responses=problems(401, 403, 404, 409, 422),
)
def revoke(services: ServicesOf, caller: Caller, write: Write, item_id: ItemId, body: CommentIn) -> Response:
    """Take a permission away: a grant ends at once; for everything else `exception` says who has to end it, and where."""

    def work(session: Session) -> ReviewItemOut:
        row = services.reviews.decide(session, caller, item_id, confirmed=False, comment=body.comment)
        return ReviewItemOut.model_validate(row)

    return write.run(work, ReviewItemOut)


@router.post(
    "/reviews/{id}/close",
    summary="Close an access review",
    response_model=ReviewOut,
    responses=problems(401, 403, 404, 409, 422),
)
def close(services: ServicesOf, caller: Caller, write: Write, review_id: ReviewId, body: CloseIn) -> Response:
    """End a review before it is due; its result is signed in a moment."""

    def work(session: Session) -> ReviewOut:
        row = services.reviews.close(session, caller, review_id, body.reason, expire_pending=body.expire_pending)
        return _review_out(row, repository.counts(session, [row.id])[row.id])

    return _woken(services, write.run(work, ReviewOut))


@router.get("/reviews/{id}/result", summary="Signed result of a review", responses=problems(401, 404, 422))
def result(services: ServicesOf, caller: Caller, review_id: ReviewId) -> dict[str, Any]:
    """Return the result as an in-toto statement in a DSSE envelope, signed with the key of the audit log."""
    with services.database.read() as session:
        row = services.reviews.get(session, review_id)
    if row.result is None:
        raise NotFound(f"the review is not closed; it is {row.state}", fix="Its result is signed when it closes.")
    return row.result


def _review_out(row: Review, counts: dict[str, int]) -> ReviewOut:
    values = {name: getattr(row, name) for name in ReviewOut.model_fields if name != "counts"}
    return ReviewOut.model_validate({**values, "counts": counts})


def _with_actions(session: Session, services: Services, caller: Caller, row: ReviewItem) -> ReviewItemWithActionsOut:
    shown = ReviewItemOut.model_validate(row).model_dump()
    actions = [one.model_dump() for one in services.reviews.actions(session, caller, row)]
    return ReviewItemWithActionsOut.model_validate({**shown, "actions": actions})


def _woken(services: Services, response: Response) -> Response:
    """Have the runtime look at what was just committed."""
    services.runtime.wake()
    return response
