"""HTTP routes of sealed segments: what is sealed, what would be, and asking for it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.audit import segment_repository as repository
from backend.audit.models import AuditSegment
from backend.audit.schemas import SealingOut, SealingPlanOut, SegmentOut
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller

router = APIRouter(prefix="/audit", tags=["audit"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


@router.get("/segments", summary="Sealed segments", responses=problems(401, 422, 503))
def segments(services: ServicesOf, caller: Caller, page: Paging) -> Page[SegmentOut]:
    """Return the parts of the log whose events lie in sealed files, newest first."""
    (before,) = page.after(int) or (None,)
    with services.database.read() as session:
        rows = repository.segments(session, before=before, limit=page.limit + 1)
        gone = repository.removals(session, [row.first_seq for row in rows])
        shown = {row.first_seq: _segment(services, row, gone.get(row.first_seq)) for row in rows[: page.limit]}
    return page.page(rows, lambda row: [row.first_seq], lambda row: shown[row.first_seq])


@router.get("/segments/plan", summary="What would be sealed now", responses=problems(401, 409))
def plan(services: ServicesOf, caller: Caller) -> SealingPlanOut:
    """Return what a sealing would do, and what keeps it from that."""
    with services.database.read() as session:
        return SealingPlanOut.model_validate(services.sealing.plan(session))


@router.post(
    "/sealings",
    summary="Seal old events",
    status_code=202,
    response_model=SealingOut,
    responses=problems(401, 403, 409, 422),
)
def seal(services: ServicesOf, caller: Caller, write: Write) -> Response:
    """Have what is older than the setting sealed now, instead of when its schedule says."""
    answer = write.run(lambda session: services.sealing.request(session, caller), SealingOut, 202)
    services.runtime.wake()
    return answer


@router.get("/sealings", summary="Sealings", responses=problems(401, 422))
def sealings(services: ServicesOf, caller: Caller, page: Paging) -> Page[SealingOut]:
    """Return sealings, newest first."""
    (before,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.sealings(session, before=before, limit=page.limit + 1)
    return page.page(rows, lambda row: [row.id], SealingOut.model_validate)


@router.get("/sealings/{id}", summary="One sealing", responses=problems(401, 404, 422))
def sealing(services: ServicesOf, caller: Caller, id: Id) -> SealingOut:
    """Return a sealing, as far as it has come."""
    with services.database.read() as session:
        return SealingOut.model_validate(services.sealing.get(session, id))


def _segment(services: Services, row: AuditSegment, removed_at: datetime | None) -> SegmentOut:
    sealed = services.audit.sealed
    found = sealed.manifest_in(row)
    return SegmentOut(
        name=found.name,
        first=found.first,
        last=found.last,
        earliest=found.since,
        latest=found.until,
        root=found.root.hex(),
        chain=found.chain,
        sha256=found.sha256,
        bytes=found.size,
        place=sealed.store.place,
        sealed_at=row.sealed_at,
        removed_at=removed_at,
        manifest=row.manifest,
    )
