"""HTTP routes of objectives, and the door for Alertmanager."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from backend.core.container import ServicesOf
from backend.core.errors import Forbidden
from backend.core.http.problems import problems
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.observability.alertmanager import raised
from backend.observability.models import SloState
from backend.observability.schemas import ModelSlosOut, SloOut, TakenOut, WebhookIn
from mlplatform.spec.model import NAME_PATTERN

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


@router.post(
    "/alertmanager", summary="Alertmanager's webhook", response_model=TakenOut, responses=problems(401, 403, 413, 422)
)
def alertmanager(services: ServicesOf, caller: Caller, write: Write, webhook: WebhookIn) -> Response:
    """Take alerts: they open incidents, join those that are open, or end in them. Sent again they change nothing."""
    settings = services.settings
    if caller.ref not in settings.observability.alertmanagers and not caller.in_any(
        settings.permissions.platform_admins
    ):
        raise Forbidden(
            f"{caller.ref} may not raise alerts",
            fix="Name it in mlPlatform.observability.alertmanagers.",
        ).audited(type="ml-platform.observability.alerts.refused", subject="incidents", actor=caller.ref)

    def work(session: Session) -> TakenOut:
        named = {one.labels.get("model", "") for one in webhook.alerts}
        models = services.registry.registered(session, sorted(filter(_NAME.fullmatch, named))[:_MOST_MODELS])
        found = raised(webhook.alerts, models, settings.environments, services.clock.now())
        return TakenOut(alerts=len(webhook.alerts), incidents=sorted(services.incidents.take(session, found)))

    answer = write.run(work, TakenOut)
    services.runtime.wake()
    return answer
