"""HTTP routes of the fleet: what every repository is at, and the campaigns that bring them along."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from scaffolder.fleet import repository
from scaffolder.fleet.models import Campaign
from scaffolder.fleet.schemas import (
    CampaignIn,
    CampaignOut,
    DecisionIn,
    FleetActionsOut,
    FleetRepositoryOut,
    InventoryOut,
    MemberOut,
    PlannedOut,
    SummaryOut,
)
from scaffolder.fleet.service import CampaignWish

router = APIRouter(prefix="/fleet", tags=["fleet"])

_ID = r"^[0-9a-f-]{36}$"
CampaignId = Annotated[str, Path(alias="id", pattern=_ID, description="Id of the campaign.")]
InventoryId = Annotated[str, Path(alias="id", pattern=_ID, description="Id of the pass.")]
Owner = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Template = Annotated[str | None, Query(max_length=63, pattern=r"^[a-z0-9-]+$")]


@router.get("/repositories", summary="Repositories and their templates", responses=problems(401, 422))
def repositories(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    owner: Owner = None,
    template: Template = None,
    behind: Annotated[bool | None, Query(description="Only those that are behind, or only those that are not.")] = None,
) -> Page[FleetRepositoryOut]:
    """Return every repository that came from a template, as the last pass saw it, by host and name."""
    after = page.after(str, str, str)
    with services.database.read() as session:
        rows = repository.fleet(
            session, owner=owner, template=template, behind=behind, after=after, limit=page.limit + 1
        )
        return page.page(rows, lambda row: [row.host, row.org, row.name], FleetRepositoryOut.model_validate)


@router.get(
    "/repositories/{host}/{path:path}", summary="One repository and its template", responses=problems(401, 404, 422)
)
def one_repository(
    services: ServicesOf,
    caller: Caller,
    host: Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=63, examples=["local"])],
    path: Annotated[
        str,
        Path(
            pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$",
            max_length=511,
            description="Organisation, or groups in groups, and name.",
            examples=["models/churn"],
        ),
    ],
) -> FleetRepositoryOut:
    """Return a repository that came from a template, as the last pass saw it."""
    org, _, name = path.rpartition("/")
    with services.database.read() as session:
        return FleetRepositoryOut.model_validate(services.fleet.seen(session, (host, org, name)))


@router.get("/summary", summary="Owners and their repositories", responses=problems(401, 422))
def summary(services: ServicesOf, caller: Caller) -> list[SummaryOut]:
    """Return, by owner and template, how many repositories there are and how many are behind."""
    with services.database.read() as session:
        return [SummaryOut.model_validate(row) for row in repository.summary(session)]


@router.get("/actions", summary="What I may do about the fleet", responses=problems(401))
def actions(services: ServicesOf, caller: Caller) -> FleetActionsOut:
    """Return what can be done, and whether the caller may do it now; `reason` is what the refusal would say."""
    with services.database.read() as session:
        items = services.fleet.actions(session, caller)
    return FleetActionsOut.model_validate({"items": [one.model_dump() for one in items]})


@router.post(
    "/inventories",
    summary="Look at all repositories",
    status_code=202,
    response_model=InventoryOut,
    responses=problems(401, 422),
)
def refresh(services: ServicesOf, caller: Caller, write: Write) -> Response:
    """Have all repositories looked at now. A pass that is under way already is returned instead of a new one."""
    return _woken(
        services,
        write.run(
            lambda session: InventoryOut.model_validate(services.fleet.refresh(session, caller.ref)), InventoryOut, 202
        ),
    )


@router.get("/inventories/{id}", summary="One pass", responses=problems(401, 404, 422))
def inventory(services: ServicesOf, caller: Caller, inventory_id: InventoryId) -> InventoryOut:
    """Return a pass over all repositories."""
    with services.database.read() as session:
        return InventoryOut.model_validate(services.fleet.inventory(session, inventory_id))


@router.post("/campaigns/plan", summary="Plan a campaign", responses=problems(401, 403, 422, 503))
def plan(services: ServicesOf, caller: Caller, body: CampaignIn) -> list[PlannedOut]:
    """Return the repositories that a campaign would be about, in its order. Nothing is changed."""
    return [PlannedOut.model_validate(one) for one in services.fleet.plan(caller, _wish(body))]


@router.post(
    "/campaigns",
    summary="Start a campaign",
    status_code=201,
    response_model=CampaignOut,
    responses=problems(401, 403, 409, 422, 503),
)
def start(services: ServicesOf, caller: Caller, write: Write, body: CampaignIn) -> Response:
    """Bring the repositories of a template to a version of it, by a request for each. Platform administrators may.

    With `repository` it is about that one only, and members of its owner group may.

    A campaign for another version of the same template that is under way is superseded: its open requests are brought along.
    """
    if (before := write.replayed()) is not None:
        return before
    wish = _wish(body)
    services.fleet.check(caller, wish)
    return _woken(
        services,
        write.run(lambda session: campaign_out(session, services.fleet.start(session, caller, wish)), CampaignOut, 201),
    )


@router.get("/campaigns", summary="Campaigns", responses=problems(401, 422))
def campaigns(services: ServicesOf, caller: Caller, page: Paging, template: Template = None) -> Page[CampaignOut]:
    """Return campaigns, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.campaigns(session, template=template, after=after, limit=page.limit + 1)
        return page.page(rows, lambda row: [row.id], lambda row: campaign_out(session, row))


@router.get("/campaigns/{id}", summary="One campaign", responses=problems(401, 404, 422))
def campaign(services: ServicesOf, caller: Caller, campaign_id: CampaignId) -> CampaignOut:
    """Return a campaign and how far it is."""
    with services.database.read() as session:
        return campaign_out(session, services.fleet.campaign(session, campaign_id))


@router.get("/campaigns/{id}/repositories", summary="A campaign's repositories", responses=problems(401, 404, 422))
def members(services: ServicesOf, caller: Caller, page: Paging, campaign_id: CampaignId) -> Page[MemberOut]:
    """Return a campaign's repositories in its order."""
    (after,) = page.after(int) or (-1,)
    with services.database.read() as session:
        services.fleet.campaign(session, campaign_id)
        rows = repository.members(session, campaign_id, after=after, limit=page.limit + 1)
        return page.page(rows, lambda row: [row.position], MemberOut.model_validate)


@router.post(
    "/campaigns/{id}/decision",
    summary="Pause, resume, advance, retry or abort a campaign",
    response_model=CampaignOut,
    responses=problems(401, 403, 404, 409, 422),
)
def decide(services: ServicesOf, caller: Caller, write: Write, campaign_id: CampaignId, body: DecisionIn) -> Response:
    """Say how a campaign is to go on. Platform administrators may.

    `advance` opens the next wave whatever became of this one; `retry` tries the repositories again whose update failed.
    """

    def work(session: Session) -> CampaignOut:
        row = services.fleet.decide(
            session, caller, campaign_id, body.decision, reason=body.reason, keep_requests=body.keep_requests
        )
        return campaign_out(session, row)

    return _woken(services, write.run(work, CampaignOut))


def campaign_out(session: Session, row: Campaign) -> CampaignOut:
    """Return a campaign as the API shows it."""
    values = {name: getattr(row, name) for name in CampaignOut.model_fields if name != "counts"}
    return CampaignOut.model_validate({**values, "counts": repository.counts(session, row.id)})


def _wish(body: CampaignIn) -> CampaignWish:
    one = body.repository
    return CampaignWish(
        template=body.template,
        version=body.version,
        owner=body.owner,
        repository=None if one is None else (one.host, one.org, one.name),
        waves=tuple(body.waves),
        parallelism=body.parallelism,
    )


def _woken(services: Services, response: Response) -> Response:
    services.runtime.wake()
    return response
