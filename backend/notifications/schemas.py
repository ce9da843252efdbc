"""Bodies of the notification routes."""

from datetime import datetime

from pydantic import Field

from backend.core.schemas import Schema
from backend.notifications.models import NotificationState


class AttemptOut(Schema):
    """An attempt to tell somebody."""

    target: str
    event: str
    attempt: int
    state: NotificationState
    due_at: datetime
    ended_at: datetime | None
    reason: str | None


class NotificationOut(AttemptOut):
    """An attempt to tell somebody, with what it is about."""

    id: str
    kind: str = Field(examples=["budget"])
    subject: str = Field(examples=["budget:team/group:default/risk"])
    owner: str = Field(description="The group that it is for.")
    severity: str = Field(examples=["ticket"])
    title: str
