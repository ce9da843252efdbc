"""How a route says that it needs a caller: a parameter of type :data:`Caller`. A route without one is public."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from backend.core.container import services_of
from backend.identity.principal import Principal

_BEARER = HTTPBearer(
    bearerFormat="JWT",
    scheme_name="platformToken",
    description="A JWT of a configured issuer; `platform login` gets one from the embedded issuer.",
    auto_error=False,
)


async def _authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    identity = services_of(request).identity
    token = credentials.credentials if credentials else None
    # Verifying may have to fetch keys and refusing writes an audit event, so it must not block the loop.
    return await run_in_threadpool(identity.authenticate, token, source_of(request))


def source_of(request: Request) -> str:
    """Return where a request came from, for limiting and for audit events."""
    return request.client.host if request.client else "unknown"


Caller = Annotated[Principal, Depends(_authenticated)]
"""Type of a route's parameter that gets the verified caller; without a valid token the answer is 401."""
