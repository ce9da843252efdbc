"""Puts the embedded MLflow behind the platform's own identities and audit log."""

from typing import cast

from starlette.responses import Response

from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.core.http.problems import problem_response
from backend.identity.principal import Principal
from backend.registry.mlflow_app import EmbeddedMlflow

REFUSED = "ml-platform.registry.mlflow_write.refused"


def make_mlflow_door(services: Services) -> EmbeddedMlflow:
    """Return the guarded MLflow app; call ``load_in_background`` when the platform starts."""

    def authenticate(token: str, source: str) -> object:
        return services.identity.authenticate(token, source)

    def refused(principal: object, method: str, path: str) -> None:
        services.audit.record_refusal(
            type=REFUSED,
            subject="registry:mlflow",
            actor=cast(Principal, principal),
            data={"method": method, "path": path},
        )

    def problem(error: PlatformError) -> Response:
        return problem_response(error)

    return EmbeddedMlflow(services.registry.store, authenticate=authenticate, refused=refused, problem=problem)
