"""HTTP routes of objectives and of what they are judged by, and the door for Alertmanager."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.observability.alertmanager import raised
from backend.observability.models import SloState
from backend.observability.schemas import ModelSlosOut, SeriesOut, SloOut, TakenOut, WebhookIn
from mlplatform.spec.model import NAME_PATTERN
from mlplatform.spec.quantities import parse_duration

router = APIRouter(prefix="/observability", tags=["observability"])

_NAME = re.compile(NAME_PATTERN)
_MOST_MODELS = 10_000
ModelName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])]


@router.get("/models/{name}/slos", summary="How a model's objectives stand", responses=problems(401, 404, 422))
def model_slos(services: ServicesOf, caller: Caller, name: ModelName) -> ModelSlosOut:
    """Return every objective of a model, in each environment in which it is live, as it was judged last."""
    with services.database.read() as session:
        rows = services.slos.of_model(session, name)
        summary = services.slos.summaries(session, [name]).get(name)
    return ModelSlosOut(
        model=name,
        state=SloState(summary.state) if summary is not None else None,
        slos=[SloOut.model_validate(row) for row in rows],
    )


@router.get("/models/{name}/series", summary="A model's traffic over time", responses=problems(401, 404, 422))
def model_series(
    services: ServicesOf,
    caller: Caller,
    name: ModelName,
    environment: Annotated[str, Query(pattern=ENVIRONMENT_PATTERN, max_length=63, examples=["production"])],
    window: Annotated[Literal["1h", "6h", "1d", "7d", "30d"], Query(description="How long, without `from`.")] = "1h",
    since: Annotated[AwareDatetime | None, Query(alias="from", description="Not before this time.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Before this time; now if not given.")] = None,
) -> SeriesOut:
    """Return request rate, errors and latency of each version that users met, beside the limits of its objectives.

    At most 301 points each, the finer the shorter and the newer the window is. For `freshness` and `lag` there is the share of
    moments at which they did not hold. A batch model takes no requests, and so has no versions here.
    """
    with services.database.read() as session:
        found = services.traffic.of_model(
            session, environment, name, since=since, until=until, window=parse_duration(window)
        )
    return SeriesOut.model_validate(found)


@router.post(
    "/alertmanager", summary="Alertmanager's webhook", response_model=TakenOut, responses=problems(401, 403, 413, 422)
)
def alertmanager(services: ServicesOf, caller: Caller, write: Write, webhook: WebhookIn) -> Response:
    """Take alerts: they open incidents, join those that are open, or end in them. Sent again they change nothing."""

    def work(session: Session) -> TakenOut:
        services.incidents.may_raise(session, caller)
        named = {one.labels.get("model", "") for one in webhook.alerts}
        models = services.registry.registered(session, sorted(filter(_NAME.fullmatch, named))[:_MOST_MODELS])
        found = raised(webhook.alerts, models, services.settings.environments, services.clock.now())
        return TakenOut(alerts=len(webhook.alerts), incidents=sorted(services.incidents.take(session, found)))

    answer = write.run(work, TakenOut)
    services.runtime.wake()
    return answer
