"""HTTP routes of the scaffolder: new repositories, their progress, and the templates they are made from."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from backend.core.container import Services, ServicesOf
from backend.core.http.events import Following
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from scaffolder import repository
from scaffolder.errors import ScaffoldError
from scaffolder.models import ENDED, Scaffold, ScaffoldState
from scaffolder.schemas import ChangesOut, PlanOut, QuestionsOut, ScaffoldEventOut, ScaffoldIn, ScaffoldOut, TemplateOut
from scaffolder.service import Wish, translated
from scaffolder.templates import TemplateInfo

router = APIRouter(tags=["scaffolds"])

ScaffoldId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the scaffold.")]
TemplateName = Annotated[str, Query(pattern=r"^[a-z0-9-]+$", max_length=63)]
Version = Annotated[str, Query(pattern=r"^[A-Za-z0-9._/+-]+$", max_length=100)]
_LOOK = 0.2


@router.post(
    "/scaffolds",
    summary="Make a repository",
    status_code=201,
    response_model=ScaffoldOut,
    responses=problems(401, 403, 409, 422, 503),
)
def request_scaffold(services: ServicesOf, caller: Caller, write: Write, body: ScaffoldIn) -> Response:
    """Have a repository made from a template, pushed, protected and registered. Members of its owner group may.

    Everything that can be refused is refused now; the rest is done in the background, and taken back whole if it fails.
    `409 name-taken` has a `suggestion`.
    """
    if (before := write.replayed()) is not None:
        return before
    prepared = services.scaffolds.prepare(caller, _wish(body))
    response = write.run(
        lambda session: scaffold_out(session, services.scaffolds.request(session, caller, prepared)), ScaffoldOut, 201
    )
    services.runtime.wake()
    return response


@router.post("/scaffolds/plan", summary="What a scaffold would make", responses=problems(401, 403, 409, 422, 503))
def plan(services: ServicesOf, caller: Caller, body: ScaffoldIn) -> PlanOut:
    """Check a wish as if it were meant, and return the files that its repository would begin with. Nothing is made."""
    prepared = services.scaffolds.prepare(caller, _wish(body))
    return PlanOut(
        name=body.name,
        template_version=prepared.release.tag,
        host=prepared.host,
        org=prepared.org,
        owner=prepared.owner,
        files=services.scaffolds.files(prepared),
    )


@router.get("/scaffolds", summary="Scaffolds", responses=problems(401, 422))
def scaffolds(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    state: ScaffoldState | None = None,
    owner: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    name: Annotated[str | None, Query(max_length=63, pattern=r"^[a-z0-9-]*$")] = None,
) -> Page[ScaffoldOut]:
    """Return scaffolds, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page(session, state=state, owner=owner, name=name, after=after, limit=page.limit + 1)
        return page.page(rows, lambda row: [row.id], lambda row: scaffold_out(session, row))


@router.get("/scaffolds/questions", summary="A template's questions", responses=problems(401, 422, 503))
def questions(
    services: ServicesOf, caller: Caller, template: TemplateName = "golden-path", version: Version | None = None
) -> QuestionsOut:
    """Return what a template asks, as pages of a Backstage form: JSON Schema with hints.

    What the platform knows is offered: the caller's groups as owners, systems, hosts and organisations.
    """
    release, pages = services.scaffolds.questions(caller, template, version)
    return QuestionsOut(template=template, version=release.tag, parameters=pages)


@router.get("/scaffolds/{id}", summary="One scaffold", responses=problems(401, 404, 422))
def scaffold(services: ServicesOf, caller: Caller, scaffold_id: ScaffoldId) -> ScaffoldOut:
    """Return a scaffold with its progress."""
    with services.database.read() as session:
        return scaffold_out(session, services.scaffolds.get(session, scaffold_id))


@router.post(
    "/scaffolds/{id}/cancel",
    summary="Cancel a scaffold",
    response_model=ScaffoldOut,
    responses=problems(401, 403, 404, 409, 422),
)
def cancel(services: ServicesOf, caller: Caller, write: Write, scaffold_id: ScaffoldId) -> Response:
    """Stop a scaffold that is not over; what was made is taken back."""
    response = write.run(
        lambda session: scaffold_out(session, services.scaffolds.cancel(session, caller, scaffold_id)), ScaffoldOut
    )
    services.runtime.wake()
    return response


def _existing(services: ServicesOf, caller: Caller, scaffold_id: ScaffoldId) -> str:
    with services.database.read() as session:
        return services.scaffolds.get(session, scaffold_id).id


@router.get(
    "/scaffolds/{id}/events",
    summary="Follow a scaffold",
    response_class=EventSourceResponse,
    responses=problems(401, 404, 422, 429),
)
async def events(
    services: ServicesOf,
    scaffold_id: Annotated[str, Depends(_existing)],
    follower: Following,
    last_event_id: Annotated[
        str | None,
        Header(pattern=r"^[0-9]{1,9}$", description="Go on after this event, as browsers ask by themselves."),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream progress as server-sent events until the scaffold is over: `progress` for each step, then one `end`."""
    seen = int(last_event_id or 0)

    def look() -> tuple[list[ServerSentEvent], bool]:
        nonlocal seen
        found, over = _news(services, scaffold_id, seen)
        shown = [ServerSentEvent(data=one, event="progress", id=str(one.seq)) for one in found]
        seen = found[-1].seq if found else seen
        if over is not None:
            shown.append(ServerSentEvent(data=over, event="end", id=str(seen)))
        return shown, over is not None

    async for one in follower.events(look, every=_LOOK):
        yield one


@router.get("/templates", summary="Templates", responses=problems(401, 422))
def templates(services: ServicesOf, caller: Caller) -> list[TemplateOut]:
    """Return the templates that repositories can be made from, with their versions."""
    return [_template_out(services, one) for one in services.templates.all()]


@router.get(
    "/templates/{name}/changelog", summary="What a template's versions change", responses=problems(401, 422, 503)
)
def changelog(
    services: ServicesOf,
    caller: Caller,
    name: Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=63)],
    older: Annotated[Version, Query(alias="from", description="The version that one has.")],
    newer: Annotated[Version | None, Query(alias="to", description="The newest one if left out.")] = None,
) -> list[ChangesOut]:
    """Return what each version after one changes for a model repository, newest first."""
    with translated():
        sections = services.templates.changes(name, older, newer)
    return [ChangesOut(version=one.version, date=one.date, text=one.text) for one in sections]


def _wish(body: ScaffoldIn) -> Wish:
    return Wish(
        name=body.name,
        type=body.type,
        template=body.template,
        version=body.template_version,
        answers=body.answers,
        owner=body.owner,
        host=body.host,
        org=body.org,
    )


def scaffold_out(session: Session, row: Scaffold) -> ScaffoldOut:
    """Return a scaffold as the API shows it."""
    own = set(ScaffoldOut.model_fields) - {"events", "location"}
    values: dict[str, Any] = {name: getattr(row, name) for name in own}
    shown = [ScaffoldEventOut.model_validate(one) for one in repository.events(session, row.id)]
    return ScaffoldOut.model_validate({**values, "location": row.location_id, "events": shown})


def _news(services: Services, scaffold_id: str, seen: int) -> tuple[list[ScaffoldEventOut], ScaffoldOut | None]:
    """Return the events after one, and the whole scaffold if it is over."""
    with services.database.read() as session:
        row = services.scaffolds.get(session, scaffold_id)
        found = [ScaffoldEventOut.model_validate(one) for one in repository.events(session, scaffold_id, after=seen)]
        return found, scaffold_out(session, row) if row.state in ENDED else None


def _template_out(services: Services, one: TemplateInfo) -> TemplateOut:
    versions, reason = [], None
    try:
        versions = services.templates.versions(one.name)
    except ScaffoldError as fault:
        reason = fault.message
    return TemplateOut(name=one.name, url=one.url, description=one.description, versions=versions, reason=reason)
