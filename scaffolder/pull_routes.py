"""HTTP routes for pull requests of the embedded git host."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.writes import Write
from backend.identity.auth import Caller
from scaffolder.hosts.base import NewPullRequest
from scaffolder.pulls import Pulls
from scaffolder.schemas import DecisionIn, PullRequestIn, PullRequestOut

router = APIRouter(prefix="/git/{host}/{org}/{name}/pull-requests", tags=["pull requests"])

HostName = Annotated[str, Path(alias="host", pattern=r"^[a-z0-9-]+$", max_length=63, examples=["local"])]
Org = Annotated[str, Path(alias="org", pattern=r"^[A-Za-z0-9-]+$", max_length=39, examples=["models"])]
Name = Annotated[str, Path(alias="name", pattern=r"^[a-z0-9-]+$", max_length=63, examples=["churn"])]
Number = Annotated[int, Path(alias="number", ge=1, le=2**31 - 1)]


@router.get("", summary="Pull requests", responses=problems(401, 404, 409, 422))
def pull_requests(services: ServicesOf, caller: Caller, host: HostName, org: Org, name: Name) -> list[PullRequestOut]:
    """Return a repository's pull requests, newest first."""
    return [PullRequestOut.model_validate(one) for one in Pulls.of(services, host, org, name).all()]


@router.post(
    "",
    summary="Open a pull request",
    response_model=PullRequestOut,
    responses=problems(401, 403, 404, 409, 422),
)
def open_pull_request(
    services: ServicesOf, caller: Caller, write: Write, host: HostName, org: Org, name: Name, body: PullRequestIn
) -> Response:
    """Open a pull request from a branch that was pushed, or bring the open one of that branch up to date."""
    pulls = Pulls.of(services, host, org, name)
    new = NewPullRequest(body.head, body.title, body.body, draft=body.draft)
    return write.run(lambda session: pulls.open(session, caller, new), PullRequestOut)


@router.get("/{number}", summary="One pull request", responses=problems(401, 404, 409, 422))
def pull_request(
    services: ServicesOf, caller: Caller, host: HostName, org: Org, name: Name, number: Number
) -> PullRequestOut:
    """Return a pull request with its checks, and whether it merges."""
    return PullRequestOut.model_validate(Pulls.of(services, host, org, name).get(number))


@router.post(
    "/{number}/decision",
    summary="Merge or close a pull request",
    response_model=PullRequestOut,
    responses=problems(401, 403, 404, 409, 422),
)
def decide(
    services: ServicesOf,
    caller: Caller,
    write: Write,
    host: HostName,
    org: Org,
    name: Name,
    number: Number,
    body: DecisionIn,
) -> Response:
    """Merge or close a pull request, or mark a draft as ready. Members of the group that owns the repository may."""
    pulls = Pulls.of(services, host, org, name)
    return write.run(lambda session: pulls.decide(session, caller, number, body.decision), PullRequestOut)
