"""Is it up, is it able to work, and how much has it done: the routes outside of the API."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from backend.core.container import ServicesOf
from backend.core.errors import Unavailable
from backend.core.http.problems import problems
from backend.core.schemas import Schema

router = APIRouter(tags=["health"])


class Health(Schema):
    """It is."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process up")
def healthz() -> Health:
    """Answer as long as the process runs."""
    return Health()


@router.get("/readyz", summary="Can it work", responses=problems(503))
def readyz(services: ServicesOf) -> Health:
    """Answer 200 when the database does."""
    try:
        services.database.ping()
    except Exception as error:
        raise Unavailable("the platform's database does not answer") from error
    return Health()


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(services: ServicesOf) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)
