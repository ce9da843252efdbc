"""HTTP routes of notifications."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.core.config_notifications import NoticeKind
from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.identity.auth import Caller
from backend.notifications import repository
from backend.notifications.models import NotificationState
from backend.notifications.schemas import NotificationOut
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/notifications", tags=["notifications"])


@router.get("", summary="Who was told what", responses=problems(401, 403, 422))
def notifications(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    kind: NoticeKind | None = None,
    state: NotificationState | None = None,
    target: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
) -> Page[NotificationOut]:
    """Return the attempts to tell somebody something, newest first; for platform administrators."""
    with services.database.read() as session:
        services.notifications.may_see(session, caller)
        rows = repository.page(
            session,
            kind=kind,
            state=state.value if state else None,
            target=target,
            after=page.after(str),
            limit=page.limit + 1,
        )
    return page.page(rows, lambda row: [row.id], NotificationOut.model_validate)
