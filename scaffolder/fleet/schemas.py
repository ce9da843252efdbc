"""What the fleet says and hears over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.core.actions import ActionOut
from backend.core.schemas import Payload, PlainText, Schema
from scaffolder.fleet.models import CampaignState, MemberState

_TEMPLATE = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_VERSION = r"^[A-Za-z0-9._/+-]+$"
_OWNER = r"^[A-Za-z]+:[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"
Reason = Annotated[PlainText, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


class PlaceIn(Payload):
    """Where a repository is."""

    host: Annotated[PlainText, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=63)]
    org: Annotated[PlainText, StringConstraints(pattern=r"^[A-Za-z0-9._/-]+$", max_length=255)]
    name: Annotated[PlainText, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]


class CampaignIn(Payload):
    """A wish for a campaign."""

    template: Annotated[PlainText, StringConstraints(pattern=_TEMPLATE, max_length=63)] = "golden-path"
    version: Annotated[PlainText, StringConstraints(pattern=_VERSION, max_length=100)]
    owner: Annotated[PlainText, StringConstraints(pattern=_OWNER, max_length=200)] | None = Field(
        default=None, description="Only the repositories of this group."
    )
    repository: PlaceIn | None = Field(default=None, description="Only this one; members of its owner group may too.")
    waves: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default=[3],
        max_length=10,
        description="How many repositories the first waves have; all that are left are the last wave.",
    )
    parallelism: int = Field(default=4, ge=1, le=16, description="Repositories that are worked on at the same time.")


class DecisionIn(Payload):
    """What is to become of a campaign."""

    decision: Literal["pause", "resume", "advance", "retry", "abort"]
    reason: Reason | None = Field(
        default=None, description="Needed to abort, and to advance past what a wave waits for."
    )
    keep_requests: bool = Field(default=False, description="Leave the open requests open when aborting.")


class PlannedOut(Schema):
    """A repository that a campaign would be about."""

    host: str
    org: str
    name: str
    owner: str | None
    version: str


class CampaignOut(Schema):
    """A campaign as it is now."""

    id: str
    template: str
    version: str
    owner: str | None
    repository: str = Field(description="The only one it is about, as `host/org/name`; empty for the fleet.")
    waves: list[int]
    parallelism: int
    state: CampaignState
    wave: int = Field(description="The wave that is open, from 0.")
    counts: dict[str, int] = Field(description="How many repositories are in each state.")
    message: str | None
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


class ConflictOut(Schema):
    """A file in conflict."""

    path: str
    kind: str
    hunks: int
    suggestions: list[str] = Field(description="Rules that suggest a resolution.")


class MemberOut(Schema):
    """A repository in a campaign."""

    position: int
    host: str
    org: str
    name: str
    owner: str | None
    wave: int
    state: MemberState
    from_version: str | None
    conflicts: list[ConflictOut]
    head_commit: str | None
    number: int | None = Field(description="Number of its request.")
    web_url: str | None
    checks: str | None
    draft: bool | None
    message: str | None
    updated_at: datetime


class InventoryOut(Schema):
    """A pass over all repositories."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    found: int
    message: str | None = Field(description="What could not be looked at.")


class FleetRepositoryOut(Schema):
    """A repository that came from a template, as the last pass saw it."""

    host: str
    org: str
    name: str
    owner: str | None
    web_url: str | None
    commit: str | None
    template: str | None
    version: str | None
    newest: str | None
    behind: int | None = Field(description="How many versions were released after this one.")
    drift: list[dict[str, Any]] | None = Field(
        description="Files that the template owns and the repository has otherwise; null if that is not known."
    )
    template_changed_at: datetime | None = Field(description="When the last update came in.")
    number: int | None = Field(description="Number of the open update request.")
    request_url: str | None
    fault: str | None
    seen_at: datetime


class SummaryOut(Schema):
    """The repositories of one owner and template."""

    owner: str | None
    template: str | None
    repositories: int
    behind: int
    open_requests: int
    faults: int


class FleetActionOut(ActionOut):
    """Something to do about the fleet, and whether this caller may do it as things are."""

    action: Literal["startCampaign", "decideCampaign", "takeInventory"]


class FleetActionsOut(Schema):
    """All that can be done about the fleet."""

    items: list[FleetActionOut]
