"""Puts the embedded MLflow behind the platform's own identities and audit log."""

from starlette.responses import Response

from backend.access.resources import Action, PlatformResource
from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.core.http.problems import problem_response
from backend.identity.limiter import EventLimiter
from backend.identity.principal import Principal
from backend.registry.mlflow_app import EmbeddedMlflow, MlflowRequest

REFUSED = "ml-platform.registry.mlflow_write.refused"


def make_mlflow_door(services: Services) -> EmbeddedMlflow:
    """Return the guarded MLflow app; call ``load_in_background`` when the platform starts."""
    limiter = EventLimiter()

    def refused(request: MlflowRequest, reason: str) -> None:
        left_out = limiter.admit(request.principal.ref)
        if left_out is None:
            return
        services.audit.record_refusal(
            type=REFUSED,
            subject="registry:mlflow",
            actor=request.principal,
            data={
                "method": request.method,
                "path": request.path[:500],
                "reason": reason,
                "source": request.source,
                "leftOut": left_out,
            },
        )

    def may_manage(caller: Principal) -> bool:
        with services.database.read() as session:
            return services.access.decide(session, caller, Action.MANAGE_TRACKING, PlatformResource()).allowed

    def problem(error: PlatformError) -> Response:
        return problem_response(error)

    return EmbeddedMlflow(
        services.registry.store,
        authenticate=services.identity.authenticate,
        refused=refused,
        problem=problem,
        may_manage=may_manage,
        base_url=services.settings.backend.base_url,
    )
