"""What a caller may do now, found out by asking the very checks that would refuse it."""

from collections.abc import Callable

from pydantic import Field

from backend.core.errors import Conflict, Forbidden, NotFound
from backend.core.schemas import Schema


class ActionOut(Schema):
    """Something to do, and whether this caller may do it as things are."""

    action: str
    allowed: bool
    reason: str | None = Field(default=None, description="What the refusal would say; null if it is allowed.")
    fix: str | None = Field(default=None, description="What to do about that, as far as there is something.")


def tried(action: str, *checks: Callable[[], object]) -> ActionOut:
    """Say whether all checks let an action pass; the first that refuses it says why.

    A refusal that is only asked about leaves no audit event: that is written where the error becomes an answer.
    """
    try:
        for check in checks:
            check()
    except (Conflict, Forbidden, NotFound) as refused:
        return ActionOut(action=action, allowed=False, reason=refused.detail, fix=refused.fix)
    return ActionOut(action=action, allowed=True)
