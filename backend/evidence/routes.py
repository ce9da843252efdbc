"""HTTP routes of evidence packs."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse

from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.evidence.schemas import PackIn, PackOut
from backend.identity.auth import Caller

router = APIRouter(prefix="/evidence", tags=["evidence"])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


@router.post(
    "/packs", summary="Export evidence", status_code=202, response_model=PackOut, responses=problems(401, 403, 422)
)
def export(services: ServicesOf, caller: Caller, write: Write, body: PackIn) -> Response:
    """Have a pack written: everything on record about a period, in one file that verifies offline."""
    answer = write.run(lambda session: services.evidence.request(session, caller, body), PackOut, 202)
    services.runtime.wake()
    return answer


@router.get("/packs", summary="Evidence packs", responses=problems(401, 403, 422))
def packs(services: ServicesOf, caller: Caller, page: Paging) -> Page[PackOut]:
    """Return packs, newest first."""
    (before,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = services.evidence.find(session, caller, before=before, limit=page.limit + 1)
    return page.page(rows, lambda row: [row.id], PackOut.model_validate)


@router.get("/packs/{id}", summary="One evidence pack", responses=problems(401, 403, 404, 422))
def pack(services: ServicesOf, caller: Caller, id: Id) -> PackOut:
    """Return a pack, as far as it is made."""
    with services.database.read() as session:
        return PackOut.model_validate(services.evidence.get(session, caller, id))


@router.get(
    "/packs/{id}/content",
    summary="A pack's file",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(401, 403, 404, 409, 422),
    },
)
def content(services: ServicesOf, caller: Caller, id: Id) -> FileResponse:
    """Return the zip file; that it was taken is on record."""
    with services.database.write() as session:
        found, file = services.evidence.content(session, caller, id)
        name = f"evidence-{found.since:%Y-%m-%d}-{found.until:%Y-%m-%d}.zip"
    return FileResponse(file, media_type="application/zip", filename=name)
