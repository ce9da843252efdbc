"""HTTP routes of the catalog."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import LARGEST_PAGE, Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from catalog import repository
from catalog.models import EntityRow, Location, LocationState
from catalog.schemas import ChangeOut, ChangesOut, EntityOut, LocationIn, LocationOut, Search, SourceOut
from catalog.service import Place

router = APIRouter(prefix="/catalog", tags=["catalog"])

LocationId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the location.")]
Reference = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", examples=["group:default/risk"])]
_LARGEST_SEQ = 2**62


@router.get("/entities", summary="Entities", responses=problems(401, 422))
def entities(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    kind: Annotated[str | None, Query(max_length=63, pattern="^[A-Za-z]+$", examples=["Component"])] = None,
    type: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", examples=["ai-model"])] = None,
    owner: Reference = None,
    system: Reference = None,
    q: Annotated[Search | None, Query(description="Looked for in name, title and description.")] = None,
) -> Page[EntityOut]:
    """Return entities by reference."""
    (after,) = page.after(str) or ("",)
    with services.database.read() as session:
        rows = repository.entities(
            session,
            kind=kind,
            type=type,
            owner=owner.lower() if owner else None,
            system=system.lower() if system else None,
            q=q,
            after=after,
            limit=page.limit + 1,
        )
    return page.page(rows, lambda row: [row.ref], entity_out)


@router.get("/entities/by-ref/{ref:path}", summary="One entity", responses=problems(401, 404, 422))
def entity(
    services: ServicesOf,
    caller: Caller,
    ref: Annotated[str, Path(max_length=200, pattern=r"^[^\x00]+$", examples=["component:default/churn"])],
) -> EntityOut:
    """Return an entity by its reference `[kind:][namespace/]name`."""
    with services.database.read() as session:
        return entity_out(services.catalog.entity(session, ref))


@router.get("/changes", summary="What has changed", responses=problems(401, 422))
def changes(
    services: ServicesOf,
    caller: Caller,
    after: Annotated[int, Query(ge=0, le=_LARGEST_SEQ, description="`cursor` of the answer before; 0 for all.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 200,
) -> ChangesOut:
    """Return entities that changed, oldest change first, with those that are gone; for followers such as Backstage.

    An entity that was only moved to another place has changed too.
    """
    with services.database.read() as session:
        rows = repository.changes(session, after=after, limit=limit + 1)
    shown = rows[:limit]
    return ChangesOut(
        items=[
            ChangeOut(
                ref=row.ref,
                change="delete" if row.document is None else "upsert",
                at=row.changed_at,
                location=row.location_id,
                source=None if place is None else source_out(services, place),
                entity=row.document,
            )
            for row, place in shown
        ],
        cursor=shown[-1][0].seq if shown else after,
        more=len(rows) > limit,
    )


@router.get("/locations", summary="Locations", responses=problems(401, 422))
def locations(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    state: LocationState | None = None,
    host: Annotated[str | None, Query(max_length=63, pattern="^[a-z0-9-]+$")] = None,
) -> Page[LocationOut]:
    """Return the files that entities are read from, with what is wrong in them."""
    (after,) = page.after(str) or ("",)
    with services.database.read() as session:
        rows = repository.locations(session, state=state, host=host, after=after, limit=page.limit + 1)
    return page.page(rows, lambda row: [row.id], LocationOut.model_validate)


@router.post(
    "/locations",
    summary="Register a location",
    response_model=LocationOut,
    responses={201: {"model": LocationOut}, **problems(401, 403, 409, 422, 503)},
)
def register(services: ServicesOf, caller: Caller, write: Write, body: LocationIn) -> Response:
    """Read a repository's file and take what it declares into the catalog. Members of the groups that own it may.

    The same again reads the file again.
    """
    if (before := write.replayed()) is not None:
        return before
    place = Place(body.host, body.org, body.repository, body.path)
    found = services.catalog.read(place)
    return write.run_pair(lambda session: services.catalog.register(session, caller, place, found), LocationOut)


@router.get("/locations/{id}", summary="One location", responses=problems(401, 404, 422))
def location(services: ServicesOf, caller: Caller, location_id: LocationId) -> LocationOut:
    """Return a location."""
    with services.database.read() as session:
        return LocationOut.model_validate(services.catalog.location(session, location_id))


@router.post(
    "/locations/{id}/refresh",
    summary="Read a location again",
    response_model=LocationOut,
    responses=problems(401, 404, 422),
)
def refresh(services: ServicesOf, caller: Caller, write: Write, location_id: LocationId) -> Response:
    """Read a location now rather than when it is due."""
    if (before := write.replayed()) is not None:
        return before
    with services.database.read() as session:
        row = services.catalog.location(session, location_id)
    found = None
    if row.host != repository.PLATFORM_HOST:
        found = services.catalog.read(Place(row.host, row.org, row.repository, row.path))

    def work(session: Session) -> Any:
        fresh = services.catalog.location(session, location_id)
        if found is not None:
            services.catalog.apply(session, fresh, found)
        return fresh

    return write.run(work, LocationOut)


@router.delete(
    "/locations/{id}",
    summary="Unregister a location",
    response_model=LocationOut,
    responses=problems(401, 403, 404, 409, 422),
)
def unregister(services: ServicesOf, caller: Caller, write: Write, location_id: LocationId) -> Response:
    """Take a location and what it declares out of the catalog. The repository is not touched."""
    return write.run(lambda session: services.catalog.unregister(session, caller, location_id), LocationOut)


def source_out(services: Services, row: Location) -> SourceOut:
    """Return where an entity was read from as the API shows it."""
    url = services.catalog.file_url(row)
    return SourceOut(host=row.host, org=row.org, repository=row.repository, path=row.path, url=url)


def entity_out(row: EntityRow) -> EntityOut:
    """Return an entity as the API shows it."""
    names = ("ref", "kind", "namespace", "name", "type", "title", "description", "owner", "system")
    values: dict[str, Any] = {name: getattr(row, name) for name in names}
    return EntityOut.model_validate({**values, "location": row.location_id, "entity": row.document or {}})
