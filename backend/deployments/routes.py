"""HTTP routes of the deployments domain."""

import logging
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import Services, ServicesOf
from backend.core.errors import NotFound, PlatformError
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging, PlainText
from backend.core.writes import Write
from backend.deployments import repository
from backend.deployments.models import Deployment, Phase, Traffic
from backend.deployments.schemas import (
    LONGEST_VERSION,
    ApprovalIn,
    DeploymentActionsOut,
    DeploymentIn,
    DeploymentOut,
    PlaceOut,
    ReasonIn,
    ReplicaOut,
    RescoreOut,
    RollbackOut,
)
from backend.deployments.targets.base import TargetUnavailable, VersionKey
from backend.deployments.targets.log_filter import LogFilter
from backend.identity.auth import Caller
from mlplatform.batch.faults import BatchFailed
from mlplatform.spec.model import NAME_PATTERN, ModelType

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
router = APIRouter(tags=["deployments"])

DeploymentId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the deployment.")]
EnvironmentName = Annotated[
    str, Path(alias="environment", pattern=ENVIRONMENT_PATTERN, max_length=63, examples=["production"])
]
ModelName = Annotated[str, Path(alias="model", pattern=NAME_PATTERN, max_length=63, examples=["wine"])]
ModelFilter = Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)]
_TAKES_EFFECT = 5.0
"""Longest time that an answer waits for the proxy to confirm the change."""

_log = logging.getLogger(__name__)


@router.post(
    "/deployments",
    summary="Deploy a version",
    status_code=201,
    response_model=DeploymentOut,
    responses=problems(401, 403, 404, 409, 422),
)
def request_deployment(services: ServicesOf, caller: Caller, write: Write, body: DeploymentIn) -> Response:
    """Ask for a version to become live in an environment.

    The platform decides from signed attestations and the environment's policy. `403 admission-refused` lists every
    requirement as met, missing, failed or waiting.
    """

    def work(session: Session) -> DeploymentOut:
        deployment = services.deployments.request(
            session,
            caller,
            model=body.model,
            version=body.version,
            environment=body.environment,
            break_glass=body.break_glass.reason if body.break_glass else None,
        )
        return deployment_out(deployment)

    return _woken(services, write.run(work, DeploymentOut, 201))


@router.get("/deployments", summary="Deployments", responses=problems(401, 422))
def deployments(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    model: ModelFilter = None,
    environment: Annotated[str | None, Query(pattern=ENVIRONMENT_PATTERN, max_length=63)] = None,
    phase: Phase | None = None,
) -> Page[DeploymentOut]:
    """Return deployments, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page(
            session, model=model, environment=environment, phase=phase, after=after, limit=page.limit
        )
    return page.page(rows, lambda row: [row.id], deployment_out)


@router.get("/deployments/{id}", summary="One deployment", responses=problems(401, 404, 422))
def deployment(services: ServicesOf, caller: Caller, deployment_id: DeploymentId) -> DeploymentOut:
    """Return a deployment with its steps, figures and reasons."""
    with services.database.read() as session:
        return deployment_out(services.deployments.get(session, deployment_id))


@router.post(
    "/deployments/{id}/approval",
    summary="Approve or reject a deployment",
    response_model=DeploymentOut,
    responses=problems(401, 403, 404, 409, 422),
)
def decide_approval(
    services: ServicesOf, caller: Caller, write: Write, deployment_id: DeploymentId, body: ApprovalIn
) -> Response:
    """Say yes or no to a deployment that waits for it. Its requirements are looked at again."""

    def work(session: Session) -> DeploymentOut:
        approved = body.decision == "approve"
        return deployment_out(
            services.deployments.approve(session, caller, deployment_id, approved=approved, comment=body.comment)
        )

    return _woken(services, write.run(work, DeploymentOut))


@router.post(
    "/deployments/{id}/abort",
    summary="Abort a deployment",
    response_model=DeploymentOut,
    responses=problems(401, 403, 404, 409, 422),
)
def abort(services: ServicesOf, caller: Caller, write: Write, deployment_id: DeploymentId, body: ReasonIn) -> Response:
    """End a deployment that is not over. Its traffic goes back to the former version."""

    return _woken(
        services,
        write.run(
            lambda session: deployment_out(
                services.deployments.interventions.abort(session, caller, deployment_id, body.reason)
            ),
            DeploymentOut,
        ),
    )


@router.post(
    "/deployments/{id}/promote",
    summary="Promote without further analysis",
    response_model=DeploymentOut,
    responses=problems(401, 403, 404, 409, 422),
)
def promote(
    services: ServicesOf, caller: Caller, write: Write, deployment_id: DeploymentId, body: ReasonIn
) -> Response:
    """Have a running rollout skip the rest of its analysis. Takes the right to approve."""

    return _woken(
        services,
        write.run(
            lambda session: deployment_out(
                services.deployments.interventions.promote(session, caller, deployment_id, body.reason)
            ),
            DeploymentOut,
        ),
    )


@router.post(
    "/environments/{environment}/models/{model}/rollback",
    summary="Go back to the former version",
    response_model=RollbackOut,
    responses=problems(401, 403, 404, 409, 422),
)
def rollback(
    services: ServicesOf,
    caller: Caller,
    write: Write,
    environment: EnvironmentName,
    model: ModelName,
    body: ReasonIn,
) -> Response:
    """Give all traffic to the version that was live before; in under a second while that is kept warm.

    Later than that it is started first. During a rollout this aborts it. Answers when the proxy has taken the change over.
    For a batch model `rescore` names the days that the version has scored and that are still to be scored again.
    """

    def work(session: Session) -> RollbackOut:
        done = services.deployments.interventions.rollback(session, caller, environment, model, body.reason)
        return RollbackOut.model_validate(deployment_out(done), from_attributes=True)

    response = _woken(services, write.run(work, RollbackOut))
    until = time.monotonic() + _TAKES_EFFECT
    while time.monotonic() < until and not services.deployments.interventions.settled(environment, model):
        time.sleep(0.02)
    return _with_rescore(services, response)


def _with_rescore(services: Services, response: Response) -> Response:
    """Add what a batch version that was rolled back has left in the lake: looked up now, for its runs have just ended."""
    done = RollbackOut.model_validate_json(bytes(response.body))
    with services.database.read() as session:
        is_batch = services.registry.get_model(session, done.model).type == ModelType.BATCH
        if not is_batch or done.kind != "rollback" or done.previous_version is None:
            return response
        try:
            days = services.batch.days_scored_by(session, done.environment, done.model, done.previous_version)
        except (PlatformError, BatchFailed, OSError) as fault:
            _log.warning("the lake of %s does not answer: %s", done.environment, fault)
            return response
    body = done.model_copy(update={"rescore": RescoreOut(version=done.previous_version, days=days)})
    kept = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return Response(
        body.model_dump_json(by_alias=True),
        status_code=response.status_code,
        headers=kept,
        media_type="application/json",
    )


@router.get(
    "/environments/{environment}/models/{model}",
    summary="A model in an environment",
    responses=problems(401, 404, 422),
)
def place(services: ServicesOf, caller: Caller, environment: EnvironmentName, model: ModelName) -> PlaceOut:
    """Return what is live, how traffic is shared, the rollout that is under way, and the model servers."""
    with services.database.read() as session:
        found = services.deployments.place(session, environment, model)
    try:
        replicas = services.engine.target.replicas()
    except TargetUnavailable:
        replicas = []
    mine = [one for one in replicas if (one.key.environment, one.key.model) == (environment, model)]
    return PlaceOut.model_validate(
        {
            **found,
            "traffic": [_traffic_out(row) for row in found["traffic"]],
            "rollout": deployment_out(found["rollout"]) if found["rollout"] else None,
            "replicas": [
                ReplicaOut(
                    version=one.key.version,
                    replica=one.replica,
                    state=one.state,
                    port=one.port,
                    pid=one.pid,
                    message=one.message,
                )
                for one in mine
            ],
        }
    )


@router.get(
    "/environments/{environment}/models/{model}/actions",
    summary="What I may do about a model in an environment",
    responses=problems(401, 404, 422),
)
def actions(
    services: ServicesOf, caller: Caller, environment: EnvironmentName, model: ModelName
) -> DeploymentActionsOut:
    """Return what can be done there, and whether the caller may do it now: by right, and as things are.

    `reason` is what the refusal would say. `approve`, `promote` and `abort` are about the deployment that is not over; during a
    rollout, `rollback` aborts it.
    """
    with services.database.read() as session:
        items = services.deployments.actions.of(session, caller, environment, model)
    return DeploymentActionsOut.model_validate({"items": [one.model_dump() for one in items]})


@router.get(
    "/environments/{environment}/models/{model}/logs",
    summary="Logs of a model's servers",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/plain": {}}}, **problems(401, 404, 422, 429, 503)},
)
def logs(
    services: ServicesOf,
    caller: Caller,
    environment: EnvironmentName,
    model: ModelName,
    version: Annotated[
        int | None, Query(ge=1, le=LONGEST_VERSION, description="Every version that is up if left out.")
    ] = None,
    replica: Annotated[int | None, Query(ge=0, le=10_000, description="Only this replica.")] = None,
    level: Annotated[LogLevel | None, Query(description="Only lines of this level or a graver one.")] = None,
    trace: Annotated[
        str | None, Query(pattern="^[0-9a-f]{32}$", description="Only lines of the requests of this trace.")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only lines from then on.")] = None,
    grep: Annotated[
        PlainText | None, Query(min_length=1, max_length=200, description="Only lines with this text, in any case.")
    ] = None,
    tail: Annotated[int, Query(ge=0, le=10_000, description="Last lines of each replica.")] = 200,
    follow: Annotated[bool, Query(description="Go on with new lines until the client leaves.")] = False,
) -> StreamingResponse:
    """Return lines `<version>/<replica> <line>` by their time; logs of versions that were stopped are kept.

    `level`, `trace` and `since` are held against what a JSON line says of itself, so lines that are none are then left out.
    """
    with services.database.read() as session:
        found = services.deployments.place(session, environment, model)
        numbers = [version] if version is not None else sorted(row.version for row in found["traffic"])
        if not numbers:
            raise NotFound(f"no version of {model} is up in {environment}; name one with ?version=")
        for number in numbers:
            services.registry.get_version(session, model, number)
    wanted = LogFilter(replica, level, trace, since, grep)
    lines = services.engine.target.logs([VersionKey(environment, model, one) for one in numbers], tail, follow, wanted)
    return StreamingResponse(services.streams.read(caller, _encoded(lines)), media_type="text/plain; charset=utf-8")


def _encoded(lines: Iterator[str]) -> Iterator[bytes]:
    for line in lines:
        # An empty line is the target's sign of life: it makes the server notice a reader who has gone.
        yield line.rstrip("\n").encode("utf-8", "replace") + b"\n" if line else b""


def _woken(services: Services, response: Response) -> Response:
    """Have the engine look at what was just committed."""
    services.runtime.wake()
    return response


def deployment_out(row: Deployment) -> DeploymentOut:
    """Return a deployment as the API shows it."""
    own = ("id", "kind", "model", "version", "environment", "phase", "outcome", "reason", "previous_version")
    more = ("requested_by", "on_behalf_of", "requested_at", "requirements", "finished_at", "steps", "approvals")
    values: dict[str, Any] = {name: getattr(row, name) for name in (*own, *more)}
    glass = {"reason": row.break_glass_reason} if row.break_glass_reason else None
    return DeploymentOut.model_validate({**values, "break_glass": glass})


def _traffic_out(row: Traffic) -> dict[str, Any]:
    return {
        "version": row.version,
        "weight": row.served or 0,
        "state": row.state,
        "desired_weight": row.weight,
        "mirror": row.mirror,
        "warm_until": row.warm_until,
    }
