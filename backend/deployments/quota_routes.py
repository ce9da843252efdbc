"""The HTTP route of quotas."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Schema
from backend.identity.auth import Caller
from mlplatform.spec.model import ENTITY_REF_PATTERN

router = APIRouter(tags=["deployments"])


class QuotaOut(Schema):
    """How a team stands to a quota in an environment."""

    team: str = Field(examples=["group:default/risk"])
    environment: str
    resource: Literal["cpu", "memory", "gpu", "replicas", "models"]
    unit: str = Field(description="Cores, GiB, or the resource itself.")
    limit: Decimal
    used: Decimal = Field(description="What live versions ask for, and those that are being rolled out.")
    setting: str = Field(description="Where the limit is set.", examples=["mlPlatform.quotas[0]"])
    changed_by: list[str] = Field(description="Who may change it.")


@router.get("/quotas", summary="Quotas", responses=problems(401, 422))
def quotas(
    services: ServicesOf,
    caller: Caller,
    team: Annotated[str | None, Query(pattern=ENTITY_REF_PATTERN, max_length=190)] = None,
    environment: Annotated[str | None, Query(pattern=ENVIRONMENT_PATTERN, max_length=63)] = None,
) -> list[QuotaOut]:
    """Return what teams take up of their quotas: those that something of is live, and those that a quota names."""
    with services.database.read() as session:
        found = services.deployments.quotas.everywhere(session, team=team, environment=environment)
    return [QuotaOut.model_validate(one) for one in found]
