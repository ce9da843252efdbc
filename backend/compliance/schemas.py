"""What compliance says and hears over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from backend.compliance.models import CheckState
from backend.core.actions import ActionOut
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.schemas import Payload, PlainText, Schema
from mlplatform.gates.result import Gate
from mlplatform.spec.model import Name
from mlplatform.spec.quantities import Duration

Reason = Annotated[
    PlainText, Field(min_length=10, max_length=1000, description="For whoever decides, and for auditors.")
]
CheckName = Annotated[PlainText, Field(min_length=1, max_length=500)]


class DeviationOut(Schema):
    """One thing that is not as a check demands."""

    subject: str = Field(examples=["model:wine/versions/3"])
    message: str
    evidence: str | None = Field(description="Id of the attestation, deployment, waiver or event that shows it.")


class CheckOut(Schema):
    """What a check came to."""

    id: str = Field(examples=["versions.attested"])
    title: str
    state: CheckState
    summary: str
    examined: int = Field(description="How many things it looked at.")
    exceptions: list[DeviationOut] = Field(description="At most 500.")
    evaluated_at: datetime | None
    since: datetime | None = Field(description="When it last changed its state.")


class ControlOut(Schema):
    """A control and how it stands."""

    framework: str = Field(examples=["soc2"])
    id: str = Field(examples=["CC8.1"])
    title: str
    description: str
    category: str
    owner: str
    frequency_seconds: int
    state: Literal["passing", "failing", "not_evaluated", "outside"] = Field(
        description="`outside`: the platform does not show it; `outside` says who does."
    )
    outside: str | None
    checks: list[CheckOut]


class FrameworkOut(Schema):
    """A framework, and how many of its controls are in which state."""

    name: str
    title: str
    source: str
    passing: int
    failing: int
    not_evaluated: int
    outside: int


class ModelComplianceOut(Schema):
    """How a model stands to the controls of a framework."""

    model: str
    framework: str
    met: int
    missing: int
    controls: list[ControlOut]


class EvaluationOut(Schema):
    """An evaluation of the checks."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    requested_by: str
    evaluated: int
    reason: str | None = Field(description="Why it came to nothing; null if it did not.")


class DocumentOut(Schema):
    """A document about a version, made from what is on record."""

    document: str = Field(examples=["model-card"])
    model: str
    version: int
    markdown: str


class WaiverIn(Payload):
    """A wish to have a gate's finding pass for a time."""

    model: Name
    gate: Gate
    checks: list[CheckName] = Field(
        min_length=1, max_length=100, description="Names of the gate's failed checks, as its result has them."
    )
    environments: list[Annotated[str, Field(pattern=ENVIRONMENT_PATTERN, max_length=63)]] = Field(
        default_factory=list, max_length=20, description="Where it is to hold; everywhere if empty."
    )
    reason: Reason
    duration: Annotated[Duration, Field(gt=timedelta(0), examples=["14d"], description="How long it is to hold.")]


class WaiverDecisionIn(Payload):
    """What somebody says to a waiver."""

    decision: Literal["approve", "reject"]
    comment: Annotated[PlainText, Field(max_length=1000)] = ""


class WaiverRevocationIn(Payload):
    """Why a waiver ends before its time."""

    reason: Reason


class WaiverOut(Schema):
    """A waiver."""

    id: str
    model: str
    gate: Gate
    checks: list[str]
    environments: list[str]
    reason: str
    state: Literal["waiting", "active", "refused", "revoked", "expired"]
    requested_by: str
    on_behalf_of: str | None
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    expires_at: datetime
    actions: list[ActionOut] = Field(description="What the caller may do.")
