"""Bodies of the access routes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.access.engine import Decision
from backend.core.actions import ActionOut
from backend.core.schemas import NO_NUL, Payload, Schema
from mlplatform.spec.quantities import Duration

Ref = Annotated[str, StringConstraints(min_length=1, max_length=300), NO_NUL]
Word = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=2000), NO_NUL]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), NO_NUL]


class DecisionIn(Payload):
    """Whether the caller may do something."""

    action: Word = Field(examples=["read"])
    resource: Ref = Field(
        examples=["dataset:default/customers"],
        description="`model:…`, `dataset:…`, `classification:…` (all data of a class) or `platform`.",
    )
    purpose: Word | None = Field(default=None, examples=["model-training"], description="What data is read for.")
    environment: Annotated[str, StringConstraints(max_length=63), NO_NUL] | None = None


class SaidOut(Schema):
    """A rule that decided."""

    rule: str
    reason: str


class DecisionOut(Schema):
    """A decision, by which rules of which policy set."""

    allowed: bool
    principal: str
    action: str
    resource: str
    explanation: str
    rules: list[SaidOut]
    grant: str | None = Field(default=None, description="The grant that covers it.")
    policies: str = Field(description="SHA-256 of the policy set.")
    request: str | None = Field(default=None, description="The command that asks for what no rule permits.")


class RuleOut(Schema):
    """A policy."""

    id: str
    effect: Literal["permit", "forbid"]
    because: str
    file: str
    line: int
    text: str


class PoliciesOut(Schema):
    """A policy set."""

    digest: str
    activated_at: datetime | None
    rules: list[RuleOut]
    settings: dict[str, Any] = Field(
        description="Roles, linked identities and purposes, which decisions depend on too."
    )


class WishIn(Payload):
    """A wish for access."""

    action: Word = Field(examples=["read"])
    scope: Ref = Field(
        examples=["dataset:default/customers"],
        description="`model:…`, `dataset:…`, `classification:…` (all data of a class) or `platform`.",
    )
    purpose: Word | None = Field(default=None, examples=["model-training"])
    reason: Reason
    duration: Duration = Field(examples=["1d"])
    principal: Ref | None = Field(
        default=None, description="For whom, if not for the caller: a user, repository or service."
    )


class WishableOut(Schema):
    """An action that can be asked for."""

    action: str
    scopes: list[str] = Field(description="What it is about: `model`, `dataset`, `classification` or `platform`.")
    break_glass: bool = Field(description="Whether it can be taken in an emergency.")
    for_purpose: bool = Field(description="Whether a purpose has to be stated.")


class WishesOut(Schema):
    """What can be asked for, for which purposes and how long."""

    actions: list[WishableOut]
    purposes: dict[str, str] = Field(description="Purposes of reading data, each with the highest class it reaches.")
    longest: str = Field(description="Longest time that a grant may last.", examples=["30d"])
    longest_break_glass: str = Field(description="Longest time that access lasts which somebody took.", examples=["4h"])


class CommentIn(Payload):
    """A word about a decision."""

    comment: Comment = ""


class WhyIn(Payload):
    """A reason."""

    reason: Reason


class LookIn(Payload):
    """What came of looking at a use of break-glass."""

    justified: bool
    comment: Reason


class GrantOut(Schema):
    """Access for a time, or the wish for it."""

    id: str
    kind: Literal["grant", "break-glass"]
    state: Literal["requested", "active", "denied", "expired", "revoked"]
    principal: str
    action: str
    scope: str
    purpose: str | None
    reason: str
    seconds: int
    owner: str = Field(description="The group, or the role, that decides.")
    requested_by: str
    on_behalf_of: str | None
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    starts_at: datetime | None
    ends_at: datetime = Field(description="When it ends; of a request, until when it waits for a decision.")
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    looked_at_by: str | None
    looked_at: datetime | None
    looked_at_comment: str | None
    justified: bool | None


class GrantWithActionsOut(GrantOut):
    """A grant, and what the caller may do about it."""

    actions: list[ActionOut]


class ActionsOut(Schema):
    """What the caller may do."""

    items: list[ActionOut]


class ReviewIn(Payload):
    """A new access review."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), NO_NUL]


class CloseIn(Payload):
    """The end of a review."""

    reason: Reason
    expire_pending: bool = Field(default=False, description="Let what is not decided about expire.")


class ReviewOut(Schema):
    """An access review."""

    id: str
    name: str
    state: Literal["collecting", "open", "closing", "closed", "failed"]
    opened_by: str
    opened_at: datetime
    remind_at: datetime
    escalate_at: datetime
    due_at: datetime
    reminded_at: datetime | None
    escalated_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    close_reason: str | None
    digest: str | None = Field(description="SHA-256 of the items as they were signed.")
    counts: dict[str, int] = Field(default_factory=dict, description="Items by state.")


class ReviewWithActionsOut(ReviewOut):
    """A review, and what the caller may do about it."""

    actions: list[ActionOut]


class ReviewItemOut(Schema):
    """A permission in a review."""

    id: str
    review_id: str
    kind: Literal["membership", "role", "ownership", "grant"]
    principal: str
    target: str
    owner: str = Field(description="Who reviews it.")
    grant_id: str | None
    state: Literal["pending", "confirmed", "revoked", "expired"]
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    exception: str | None = Field(description="What the platform can't take away itself, and who has to.")


class ReviewItemWithActionsOut(ReviewItemOut):
    """An item, and what the caller may do about it."""

    actions: list[ActionOut]


class ViolationOut(Schema):
    """Something that one person should not have done alone, or that nobody has put on record."""

    kind: str
    at: datetime
    subject: str
    persons: list[str]
    message: str


class DutiesOut(Schema):
    """Separation of duties in a period."""

    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    checked: dict[str, int]
    violations: list[ViolationOut]


def decision_out(decision: Decision) -> DecisionOut:
    """Return a decision as the API shows it."""
    rules = [SaidOut(rule=one.rule, reason=one.reason) for one in decision.rules]
    return DecisionOut(
        **{name: getattr(decision, name) for name in ("allowed", "principal", "resource", "explanation")},
        **{name: getattr(decision, name) for name in ("grant", "policies", "request")},
        action=decision.action.value,
        rules=rules,
    )
