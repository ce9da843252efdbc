"""HTTP routes for watching a rollout: samples for a graph, and everything as it happens."""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from backend.core.container import Services, ServicesOf
from backend.core.http.events import Following
from backend.core.http.problems import problems
from backend.deployments import repository
from backend.deployments.models import Phase
from backend.deployments.routes import DeploymentId, deployment_out
from backend.deployments.samples import MOST
from backend.deployments.schemas import DeploymentOut, SampleOut, SamplesOut
from backend.identity.auth import Caller

router = APIRouter(tags=["deployments"])

_LOOK = 0.5
_MOST_AT_ONCE = 500


@router.get("/deployments/{id}/samples", summary="Samples of a rollout", responses=problems(401, 404, 422))
def samples(
    services: ServicesOf,
    caller: Caller,
    deployment_id: DeploymentId,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only those after this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Most samples.")] = _MOST_AT_ONCE,
) -> SamplesOut:
    """Return what both versions did while the new one was judged, oldest first.

    There is a sample every two seconds, and in a rollout that takes longer than an hour every four, or eight, and so on. Ask
    again with the last `seq` as `after` for those that come. A rollout that compares days has none.
    """
    with services.database.read() as session:
        services.deployments.get(session, deployment_id)
        rows = repository.samples(session, deployment_id, after=after, limit=limit)
    return SamplesOut(items=[SampleOut.model_validate(row) for row in rows])


def _existing(services: ServicesOf, caller: Caller, deployment_id: DeploymentId) -> str:
    with services.database.read() as session:
        return services.deployments.get(session, deployment_id).id


@router.get(
    "/deployments/{id}/events",
    summary="Follow a deployment",
    response_class=EventSourceResponse,
    responses=problems(401, 404, 422, 429),
)
async def events(
    services: ServicesOf,
    deployment_id: Annotated[str, Depends(_existing)],
    follower: Following,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,9}-[0-9a-f]{16}$",
            description="Go on after this event, as browsers ask by themselves.",
            examples=["12-0f1e2d3c4b5a6978"],
        ),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream a deployment as server-sent events until it is over.

    `deployment` (the whole of it) at once and whenever it changes, `sample` for each sample, those from before included, and one
    `end` (the whole of it) when it is completed. The connection also ends with the caller's token; with `Last-Event-ID` nothing
    comes twice.
    """
    news = _News(services, deployment_id, last_event_id)
    async for one in follower.events(news.look, every=_LOOK):
        yield one


class _News:
    """What somebody has not seen of a deployment; an event's id says up to where they have."""

    def __init__(self, services: Services, deployment_id: str, last_event_id: str | None) -> None:
        self._services, self._id = services, deployment_id
        sample, _, self._shown = (last_event_id or "0-").partition("-")
        self._sample = int(sample)

    def look(self) -> tuple[list[ServerSentEvent], bool]:
        """Return the new events, and whether the last of them was the end."""
        with self._services.database.read() as session:
            now = deployment_out(self._services.deployments.get(session, self._id))
            rows = repository.samples(session, self._id, after=self._sample, limit=_MOST_AT_ONCE)
        over = now.phase is Phase.COMPLETED
        found = [] if over else self._changed(now)
        for row in rows:
            self._sample = row.seq
            found.append(self._event("sample", SampleOut.model_validate(row)))
        over = over and len(rows) < _MOST_AT_ONCE
        if over:
            found.append(self._event("end", now))
        return found, over

    def _changed(self, now: DeploymentOut) -> list[ServerSentEvent]:
        shown = hashlib.sha256(now.model_dump_json().encode()).hexdigest()[:16]
        if shown == self._shown:
            return []
        self._shown = shown
        return [self._event("deployment", now)]

    def _event(self, name: str, data: DeploymentOut | SampleOut) -> ServerSentEvent:
        return ServerSentEvent(data=data, event=name, id=f"{self._sample}-{self._shown or '0' * 16}")
